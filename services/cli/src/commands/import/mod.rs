//! `folio import`: a catalog as shops export it, through the public bulk API. Promises that a dry run tells every row's
//! problems and touches no server, that what passes it is accepted, and that importing the same again changes nothing.

mod plan;
mod report;
mod run;

use std::path::PathBuf;

use indicatif::{ProgressBar, ProgressStyle};

pub use plan::Options;
pub use run::import;

use crate::import::Tally;
use plan::plan;

/// Does what `options` say; `urls` are the addresses of command services.
///
/// # Errors
/// If the file cannot be read or understood, rows were left out, or the import stopped: why, and how to go on.
pub async fn run(options: Options, urls: Vec<String>) -> anyhow::Result<Tally> {
    let plan = plan(options)?;
    report::begin(&plan);
    if plan.options.dry_run {
        return report::dry_run(&plan);
    }
    import(&plan, urls).await
}

/// Imports the sample catalog.
///
/// # Errors
/// Like [`run`].
pub async fn sample(urls: Vec<String>) -> anyhow::Result<Tally> {
    run(Options { preset: Some("diamonds".to_owned()), ..Options::default() }, urls).await
}

/// A progress bar with rate and time left; silent where standard error is no terminal.
pub(crate) fn bar(what: &'static str, length: u64) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{msg:22} [{bar:40}] {percent:>3} % {pos}/{len} {per_sec} {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_message(what)
}

/// The file that is imported; none for the sample.
fn file(options: &Options) -> Option<&PathBuf> {
    options.file.as_ref()
}
