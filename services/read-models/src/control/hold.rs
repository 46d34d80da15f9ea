//! A hold, by which a build comes as far as the one that is read.

use std::fmt;

/// One hold: its revision and, as a topic may be lost and begin anew, its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    pub revision: u64,
    pub since_ms: i64,
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.revision, self.since_ms)
    }
}
