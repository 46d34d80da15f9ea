//! `folio import`: the sample catalog through the public bulk API, with a progress bar.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::bail;
use indicatif::{ProgressBar, ProgressStyle};

use crate::import::{Answer, Upload, diamonds};
use crate::say::say;

/// Lines per request: large enough that requests cost nothing, small enough that a killed service costs little.
const CHUNK: usize = 1_000;
/// Requests at a time.
const PARALLEL: usize = 4;
const PATIENCE: Duration = Duration::from_mins(1);

/// What an import came to.
#[derive(Clone, Debug, Default)]
pub struct Imported {
    pub lines: u64,
    pub new: u64,
    /// Lines that an earlier import had brought already.
    pub replayed: u64,
    pub took: Duration,
}

/// Imports the first `first` products of the sample (all of them if none), through the command services at `urls`.
///
/// # Errors
/// If lines were refused, or nothing was answered for a minute.
pub async fn run(urls: Vec<String>, first: Option<usize>) -> anyhow::Result<Imported> {
    let mut lines = diamonds::lines()?;
    lines.truncate(first.unwrap_or(usize::MAX));
    let upload = Upload { urls, chunk: CHUNK, parallel: PARALLEL, patience: PATIENCE };
    let bar = bar("importing", lines.len() as u64);
    let began = Instant::now();
    let tally = Mutex::new((Imported::default(), BTreeMap::<String, (u64, String)>::new()));
    let count = |index: usize, answer: &Answer| {
        let mut tally = tally.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (imported, refused) = &mut *tally;
        imported.lines += 1;
        match answer.code() {
            None if answer.replayed => imported.replayed += 1,
            None => imported.new += 1,
            Some(code) => {
                let problem = answer.problem.as_ref().map(ToString::to_string).unwrap_or_default();
                let entry =
                    refused.entry(code.to_owned()).or_insert((0, format!("line {}: {problem}", index + 1)));
                entry.0 += 1;
            }
        }
        bar.inc(1);
    };
    upload.run(&lines, count).await?;
    bar.finish();
    let (mut imported, refused) = tally.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    imported.took = began.elapsed();
    if !refused.is_empty() {
        for (code, (count, example)) in &refused {
            say!("{count} lines were refused with {code}; the first: {example}");
        }
        bail!("{} of {} lines were refused", refused.values().map(|it| it.0).sum::<u64>(), lines.len());
    }
    let rate = imported.lines as f64 / imported.took.as_secs_f64();
    say!(
        "imported {} products ({} new, {} known already) in {:.1} s: {rate:.0} a second, each acknowledged by the broker",
        imported.lines,
        imported.new,
        imported.replayed,
        imported.took.as_secs_f64()
    );
    Ok(imported)
}

/// A progress bar with rate and time left; silent where standard error is no terminal.
pub(crate) fn bar(what: &'static str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:22} [{bar:40}] {pos}/{len} {per_sec} {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style).with_message(what)
}
