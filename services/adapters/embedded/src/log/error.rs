//! What can go wrong with a log on disk.

use std::path::PathBuf;

/// Why a log cannot be opened or used. We discard and repair nothing because of one.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// Another process has it, or this one.
    #[error("the log in {} is in use by another process: stop that one, or give this one a directory of its own", dir.display())]
    InUse { dir: PathBuf },
    /// It is another log than the one that was asked for.
    #[error(
        "the log in {} is of {found}, not of {wanted}: give another directory, or the options that it was made with",
        dir.display()
    )]
    Other { dir: PathBuf, found: String, wanted: String },
    /// It cannot be read as it was written.
    #[error(
        "the log in {} is damaged: {what}; {}restore the directory from a copy, or move it away to start with an empty log",
        dir.display(),
        if *untouched { "nothing was changed: " } else { "" }
    )]
    Damaged {
        dir: PathBuf,
        what: String,
        /// Whether it was found before anything could be changed: fjall changes files when it opens them.
        untouched: bool,
    },
    /// The directory cannot be worked with, or the machine is short of something.
    #[error("cannot {tried} {}: {problem}", dir.display())]
    Unusable { tried: &'static str, dir: PathBuf, problem: String },
    /// What is asked of the log makes no sense.
    #[error("{0}")]
    Invalid(String),
}
