//! What can go wrong with a store on disk.

use std::path::PathBuf;

/// Why a store cannot be opened or used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another process has it.
    #[error("the store in {} is in use by another process: give each instance a directory of its own", dir.display())]
    InUse { dir: PathBuf },
    /// There are files that are not of a cache of Folio's. Nothing was touched.
    #[error(
        "{} holds files that are not of a cache of Folio's (it has no CACHEDIR.TAG, or another program's): give an empty or a \
         new directory",
        dir.display()
    )]
    NotOurs { dir: PathBuf },
    /// The directory cannot be worked with.
    #[error("cannot {tried} {}: {problem}", dir.display())]
    Unusable { tried: &'static str, dir: PathBuf, problem: String },
    /// An open store failed.
    #[error("cannot {tried} the store in {}: {problem}", dir.display())]
    Failed { tried: &'static str, dir: PathBuf, problem: String },
}
