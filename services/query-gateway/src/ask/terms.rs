//! What a question asks beside what it is about: of which build, and how fresh.
//!
//! Promise: what reads as a number is a number and nothing else, so that no name ever hides a build.

use std::fmt;
use std::str::FromStr;

use edge::limits::Account;
use read_models::Generation;

use super::Freshness;
use super::limits::{MAX_BUILD_NAME, shown};

/// On which terms a question is answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Terms {
    /// The build to be asked; none: the one that is read.
    pub(crate) build: Option<Named>,
    pub(crate) freshness: Freshness,
    /// What is counted of who asks.
    pub(crate) account: Account,
}

/// What was found, and by whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer<T> {
    pub(crate) found: T,
    /// The build that answered, where the question named one.
    pub(crate) build: Option<Generation>,
}

impl<T> Answer<T> {
    pub(crate) fn map<U>(self, show: impl FnOnce(T) -> U) -> Answer<U> {
        Answer { found: show(self.found), build: self.build }
    }
}

/// A build of a read model, as questions name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Named {
    Number(Generation),
    /// One that was made as of some time.
    Name(String),
}

/// Neither a number nor a name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{0}\" is no build: give its number, as in 2 or g2, or its name (1 to {MAX_BUILD_NAME} of a-z, 0-9 and -)"
)]
pub(crate) struct NoBuild(String);

impl FromStr for Named {
    type Err = NoBuild;

    fn from_str(text: &str) -> Result<Self, NoBuild> {
        let wrong = || NoBuild(shown(text));
        let is_of_a_name = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
        if text.is_empty() || text.len() > MAX_BUILD_NAME || !text.bytes().all(is_of_a_name) {
            return Err(wrong());
        }
        // Of all that reads as a number some are none of a build: `g0`, `-1`, or more than can be counted.
        let number = text.strip_prefix('g').unwrap_or(text).trim_start_matches('-');
        if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Number).map_err(|_| wrong());
        }
        Ok(Self::Name(text.to_owned()))
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(generation) => generation.fmt(f),
            Self::Name(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_named_by_its_number_or_its_name() {
        let number = |number| Ok(Named::Number(Generation::try_from(number).unwrap()));
        for (text, named) in
            [("2", number(2)), ("g2", number(2)), ("02", number(2)), ("g4294967295", number(u32::MAX))]
        {
            assert_eq!(text.parse::<Named>(), named, "{text}");
        }
        let longest = "n".repeat(MAX_BUILD_NAME);
        for name in ["black-friday", "2026-11-24", "g", "g2x", "x", "b-2", "-", &longest] {
            assert_eq!(name.parse::<Named>(), Ok(Named::Name(name.to_owned())), "{name}");
            assert_eq!(name.parse::<Named>().unwrap().to_string(), name);
        }
    }

    #[test]
    fn what_is_neither_is_told_shortened() {
        let long = "n".repeat(100_000);
        for wrong in [
            "",
            "0",
            "g0",
            "-1",
            "g-1",
            "--1",
            "+2",
            "g+2",
            " 2",
            "2.0",
            "4294967296",
            "G2",
            "a b",
            "a_b",
            "a/b",
            "..",
            "a\0",
            "\u{fc}",
            "\u{ff12}",
            "*",
            &long,
        ] {
            let error = wrong.parse::<Named>().unwrap_err().to_string();
            assert!(error.contains("2 or g2") && error.len() < 250, "{error}");
        }
    }
}
