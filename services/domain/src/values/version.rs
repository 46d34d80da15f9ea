//! How many events a product has.

use std::fmt;

/// A product's version: the number of its events. 0 means that nothing is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Version(pub u64);

impl Version {
    /// The version of a product without events.
    pub const NONE: Version = Version(0);
    /// The version a product has after its first event.
    pub const FIRST: Version = Version(1);

    /// The version as a number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The version the next event gives. It stays where it is at the largest number, which no log reaches.
    #[must_use]
    pub fn next(self) -> Version {
        Version(self.0.saturating_add(1))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<u64> for Version {
    fn from(version: u64) -> Self {
        Self(version)
    }
}

impl From<Version> for u64 {
    fn from(version: Version) -> Self {
        version.0
    }
}
