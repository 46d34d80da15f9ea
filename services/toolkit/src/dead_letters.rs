//! Dead letters: records of a log that one of its readers could not apply, kept beside it, with the reason in words, until they are
//! applied after all or given up.
//!
//! Promises, of every adapter: what was parked and acknowledged is found by whoever has the partition next; a record that is
//! parked twice is one letter, the later one; letters come in the order of their offsets; where nothing was ever parked nothing is
//! needed.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::retry::Transient;

/// Why a record was not applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Its value is no event that this release can read.
    Undecodable,
    /// Whether it is an event only the registry can say, which did not answer: it is tried again by itself when it does.
    SchemaUnavailable,
    /// The event contradicts the state that it is to change.
    Unfoldable,
    /// The store takes no row of it, however often it is tried: too large, or against a mapping.
    RefusedByStore,
    /// Its subject's events do not fit on one another, from the beginning of the log on.
    Gap,
    /// What is stored of its subject was made of other events than those of this log.
    Diverged,
    /// Nothing is known against it: an earlier record of its subject is parked.
    Follows,
}

/// What is known of a letter without its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outline {
    pub partition: i32,
    pub offset: i64,
    /// Whose record it is: what is parked together.
    pub subject: String,
    pub kind: Kind,
    /// In words.
    pub reason: String,
    /// How often it was tried.
    pub attempts: u32,
    /// In milliseconds since 1970, as the one below.
    pub first_failed_ms: i64,
    pub last_failed_ms: i64,
    /// What was decided about letters up to here was done, or was decided before this one was there.
    pub acted: u64,
    /// Its subject was given up: nothing of it is applied any more.
    pub is_discarded: bool,
}

/// The record as its log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Original {
    pub topic: String,
    /// When it was appended, in milliseconds since 1970.
    pub timestamp_ms: i64,
    pub key: Bytes,
    pub value: Option<Bytes>,
    pub headers: Vec<(String, Bytes)>,
}

/// A record that was not applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    pub outline: Outline,
    pub original: Original,
}

/// Letters cannot be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("dead letters: {problem}")]
pub struct DeadLetterError {
    pub problem: String,
    /// Whether the same may succeed later.
    pub transient: bool,
}

/// What is answered of letters in its time.
pub type Lettered<'a, T> = Pin<Box<dyn Future<Output = Result<T, DeadLetterError>> + Send + 'a>>;

/// Where the letters of one group lie.
pub trait DeadLetters: fmt::Debug + Send + Sync {
    /// All letters of a partition, without their records.
    fn load(&self, partition: i32) -> Lettered<'_, Vec<Outline>>;

    /// Those of the letters at these offsets that are there. All of them are in memory at once: ask for a few.
    fn letters(&self, partition: i32, offsets: Vec<i64>) -> Lettered<'_, Vec<Letter>>;

    /// Puts letters there, in place of those of the same records. They are there to stay when it returns; after an error some may be.
    fn park(&self, letters: Vec<Letter>) -> Lettered<'_, ()>;

    /// Removes the letters of these offsets.
    fn resolve(&self, partition: i32, offsets: Vec<i64>) -> Lettered<'_, ()>;

    /// Makes an end of all of them: nobody makes any more what they are about.
    fn abolish(&self) -> Lettered<'_, ()>;
}

impl Kind {
    pub const ALL: [Self; 7] = [
        Self::Undecodable,
        Self::SchemaUnavailable,
        Self::Unfoldable,
        Self::RefusedByStore,
        Self::Gap,
        Self::Diverged,
        Self::Follows,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Undecodable => "undecodable",
            Self::SchemaUnavailable => "schema-unavailable",
            Self::Unfoldable => "unfoldable",
            Self::RefusedByStore => "refused-by-store",
            Self::Gap => "gap",
            Self::Diverged => "diverged",
            Self::Follows => "follows",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A word that is no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no kind `{0}`: there are undecodable, schema-unavailable, unfoldable, refused-by-store, gap, diverged and follows"
)]
pub struct UnknownKind(String);

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(word: &str) -> Result<Self, UnknownKind> {
        Self::ALL.into_iter().find(|it| it.name() == word).ok_or_else(|| UnknownKind(word.to_owned()))
    }
}

impl Letter {
    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let Original { topic, key, value, headers, .. } = &self.original;
        let headers: usize = headers.iter().map(|(name, value)| name.len() + value.len() + 48).sum();
        let value = value.as_ref().map_or(0, Bytes::len);
        size_of::<Self>() + topic.len() + key.len() + value + headers + self.outline.reason.len()
    }
}

impl Transient for DeadLetterError {
    fn is_transient(&self) -> bool {
        self.transient
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_called_the_same_everywhere() {
        for kind in Kind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
            assert_eq!(serde_json_like(kind), kind.name());
        }
        assert!("poison".parse::<Kind>().unwrap_err().to_string().contains("undecodable"));
    }

    /// As a serializer spells it.
    fn serde_json_like(kind: Kind) -> String {
        serde_yaml_ng::to_string(&kind).unwrap().trim().to_owned()
    }
}
