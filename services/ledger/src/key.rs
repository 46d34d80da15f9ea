//! The key of a record, `<subject>/<version>/<basis>/<event id>`: everything the rule looks at. Promises one text per
//! key: what parses is exactly what `Display` writes, so two readers never disagree about a key.

use std::fmt;

use uuid::Uuid;

use crate::Offset;
use crate::subject::{self, Subject, SubjectError};

/// What the rule knows of a record.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordKey {
    pub subject: Subject,
    /// The version this record gives the product, from 1.
    pub version: u64,
    /// The writer had applied the partition up to this offset (exclusive) when it decided.
    pub basis: Offset,
    /// New for every append.
    pub event_id: Uuid,
}

/// Why the bytes are not a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("a key has four parts, <subject>/<version>/<basis>/<event id>, this one has {0}")]
    Parts(usize),
    #[error("the subject of a key is wrong: {0}")]
    Subject(SubjectError),
    #[error("the version of a key is a canonical decimal from 1")]
    Version,
    #[error("the basis of a key is a canonical decimal from 0")]
    Basis,
    #[error("the event id of a key is a hyphenated lower-case uuid")]
    EventId,
}

impl RecordKey {
    /// Canonical text only: no leading zeros, no plus signs, no upper-case uuid; version from 1, basis from 0.
    pub fn parse(key: &[u8]) -> Result<Self, KeyError> {
        KeyRef::parse(key).map(KeyRef::to_owned)
    }
}

impl fmt::Display for RecordKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.subject, self.version, self.basis, self.event_id)
    }
}

/// A key that still stands in the record's bytes: judging allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyRef<'a> {
    pub(crate) subject: &'a str,
    pub(crate) version: u64,
    pub(crate) basis: Offset,
    pub(crate) event_id: Uuid,
}

impl<'a> KeyRef<'a> {
    pub(crate) fn parse(key: &'a [u8]) -> Result<Self, KeyError> {
        let mut parts = key.split(|b| *b == b'/');
        let (Some(subject), Some(version), Some(basis), Some(event_id), None) =
            (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(KeyError::Parts(key.split(|b| *b == b'/').count()));
        };
        subject::check(subject).map_err(KeyError::Subject)?;
        // The check above leaves only ASCII.
        let subject = std::str::from_utf8(subject).map_err(|_| KeyError::Subject(SubjectError::Start))?;
        let version = decimal(version).filter(|v| *v >= 1).ok_or(KeyError::Version)?;
        let basis = decimal(basis).and_then(|b| Offset::try_from(b).ok()).ok_or(KeyError::Basis)?;
        let event_id = hyphenated(event_id).ok_or(KeyError::EventId)?;
        Ok(Self { subject, version, basis, event_id })
    }

    pub(crate) fn to_owned(self) -> RecordKey {
        RecordKey {
            subject: Subject::of_checked(self.subject),
            version: self.version,
            basis: self.basis,
            event_id: self.event_id,
        }
    }
}

fn decimal(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > 20 || (text[0] == b'0' && text.len() > 1) {
        return None;
    }
    text.iter().try_fold(0_u64, |n, b| {
        let digit = b.wrapping_sub(b'0');
        if digit > 9 { None } else { n.checked_mul(10)?.checked_add(u64::from(digit)) }
    })
}

fn hyphenated(text: &[u8]) -> Option<Uuid> {
    if text.len() != 36 {
        return None;
    }
    let mut n = 0_u128;
    for (i, b) in text.iter().enumerate() {
        if matches!(i, 8 | 13 | 18 | 23) {
            if *b != b'-' {
                return None;
            }
            continue;
        }
        let digit = match b {
            b'0'..=b'9' => b - b'0',
            b'a'..=b'f' => b - b'a' + 10,
            _ => return None,
        };
        n = n << 4 | u128::from(digit);
    }
    Some(Uuid::from_u128(n))
}

#[cfg(test)]
mod tests;
