//! Which lines are logged, from the start and after somebody changed it.
//!
//! Promises: what is no filter changes nothing and is told; the spans that name lines are there at every level.

use std::sync::{Mutex, OnceLock, PoisonError};

use tracing_subscriber::{EnvFilter, Registry, reload};

use super::{Error, NAMES_LINES, TRACES_ONLY};

/// A filter is no longer than this.
const MAX_BYTES: usize = 2_000;

/// One for the process, as its logs are one.
static LEVEL: OnceLock<LogLevel> = OnceLock::new();

/// The level of the process's logs.
#[derive(Debug)]
pub struct LogLevel {
    handle: reload::Handle<EnvFilter, Registry>,
    /// As it was written.
    now: Mutex<String>,
}

/// The filter of lines, and what changes it.
pub(super) fn filter(level: &str) -> Result<(reload::Layer<EnvFilter, Registry>, LogLevel), Error> {
    let (filter, handle) = reload::Layer::new(parse(level)?);
    Ok((filter, LogLevel { handle, now: Mutex::new(level.to_owned()) }))
}

impl LogLevel {
    pub(super) fn get() -> Option<&'static Self> {
        LEVEL.get()
    }

    /// From now on it is the process's, unless there is one.
    pub(super) fn of_the_process(self) {
        drop(LEVEL.set(self));
    }

    /// What is logged now, as it was written.
    pub fn now(&self) -> String {
        self.now.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Logs by `level` from now on, until it is changed again or the process ends; what was logged before.
    pub fn set(&self, level: &str) -> Result<String, Error> {
        let filter = parse(level)?;
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        self.handle.reload(filter).map_err(|_| Error::NotOurLogs)?;
        Ok(std::mem::replace(&mut now, level.to_owned()))
    }
}

/// Reads a filter: a level, and pairs of target and level. What the library takes for the name of a target alone is a
/// mistyped level far more often, and would silence everything else.
fn parse(level: &str) -> Result<EnvFilter, Error> {
    let refused = |problem: String| Error::Level { level: level.chars().take(100).collect(), problem };
    if level.len() > MAX_BYTES {
        return Err(refused(format!("it has more than {MAX_BYTES} bytes")));
    }
    let parts: Vec<&str> = level.split(',').map(str::trim).collect();
    for part in &parts {
        let its_level = part.rsplit_once('=').map_or(*part, |(_, level)| level);
        let is_one = ["off", "error", "warn", "info", "debug", "trace"].iter();
        if !is_one.copied().any(|one| one.eq_ignore_ascii_case(its_level)) {
            return Err(refused(format!(
                "`{part}` is neither a level (off, error, warn, info, debug, trace) nor target=level"
            )));
        }
    }
    // Spans that only traces need would stand between a line and the span that names it.
    let whole = format!("{},{TRACES_ONLY}=off,{NAMES_LINES}=info", parts.join(","));
    EnvFilter::try_new(whole).map_err(|error| refused(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_and_pairs_of_target_and_level_are_a_filter_and_nothing_else_is() {
        for good in ["info", "WARN", "off", "info,projector=debug", "error, edge::http=trace"] {
            assert!(parse(good).is_ok(), "{good}");
        }
        for wrong in ["", "inof", "5x", "info,", "info,projector", "info,=", "projector=loud", "info;debug"] {
            let refused = parse(wrong).unwrap_err().to_string();
            assert!(refused.contains("write a level such as info"), "{wrong}: {refused}");
        }
        assert!(parse(&"info,".repeat(1_000)).is_err());
    }

    #[test]
    fn a_level_is_changed_by_a_filter_only() {
        // The layer has to live: it is what is changed.
        let (_filter, level) = filter("info").unwrap();
        assert_eq!(level.set("debug,h2=info").unwrap(), "info");
        assert!(level.set("loud").is_err());
        assert_eq!(level.now(), "debug,h2=info");
    }
}
