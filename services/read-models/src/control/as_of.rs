//! Builds of what was appended up to some time: named, read by that name, and gone when they expire.
//!
//! Promise: where such a build ends is decided with it, by offsets: whoever makes it, and when, makes the same.

use jiff::{SignedDuration, Timestamp};

use super::builds::{Builds, Refused};
use super::record::Step;

/// Builds as of some time that one read model may have: each is a whole copy of it.
pub(super) const MAX_AS_OF: usize = 8;
/// The most characters of a name.
const MAX_NAME: usize = 40;
/// How long one may be wanted, at least and at most.
const KEPT: (SignedDuration, SignedDuration) =
    (SignedDuration::from_mins(1), SignedDuration::from_hours(24 * 366));

/// A build of what was appended up to some time. Times are in milliseconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsOf {
    pub name: String,
    pub as_of_ms: i64,
    /// Of each partition the first offset that is not in it.
    pub ends: Vec<i64>,
    /// From then on nobody may count on it.
    pub expires_ms: i64,
    pub is_complete: bool,
}

/// What somebody wants to read as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AsOfRequest {
    pub as_of: Timestamp,
    pub name: String,
    /// How long it is needed from now on.
    pub expires: SignedDuration,
}

impl AsOfRequest {
    /// Whether it can be done at `now`; if not, why. Ask before it is looked where the log was then.
    pub fn check(&self, now: Timestamp) -> Result<(), Refused> {
        check_name(&self.name)?;
        if self.as_of > now {
            return Err(Refused(format!("{} is not over yet: a build ends at a time that is", self.as_of)));
        }
        let (least, most) = KEPT;
        if self.expires < least || self.expires > most {
            let problem =
                format!("it cannot expire after {:#}: give between {least:#} and {most:#}", self.expires);
            return Err(Refused(problem));
        }
        Ok(())
    }

    /// The step to propose, where the log's partitions had these `ends` then.
    pub fn step(&self, builds: &Builds, format: u32, ends: Vec<i64>, now: Timestamp) -> Step {
        let expires_ms =
            now.as_millisecond().saturating_add(i64::try_from(self.expires.as_millis()).unwrap_or(i64::MAX));
        Step::AsOf {
            generation: builds.next(),
            format,
            name: self.name.clone(),
            as_of_ms: self.as_of.as_millisecond(),
            ends,
            expires_ms,
        }
    }
}

/// Whether a build can have this name: it goes into names of servers, and must not read as a number of a build.
pub(super) fn check_name(name: &str) -> Result<(), Refused> {
    let is_made_of = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_short = (1..=MAX_NAME).contains(&name.len());
    let is_number = || name.trim_start_matches('g').bytes().all(|it| it.is_ascii_digit());
    if is_short && name.chars().all(is_made_of) && !name.starts_with('-') && !is_number() {
        return Ok(());
    }
    let shown: String = name.chars().take(2 * MAX_NAME).collect();
    Err(Refused(format!(
        "`{shown}` is no name of a build: give up to {MAX_NAME} lower-case letters, digits and hyphens, and nothing like \
         `7` or `g7`, which is a number"
    )))
}

/// A time as people read it.
pub(super) fn for_people(ms: i64) -> String {
    let time = Timestamp::from_millisecond(ms);
    time.map_or_else(|_| format!("{ms} ms since 1970"), |it| it.to_string())
}
