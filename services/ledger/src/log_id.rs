//! Which log a partition is of, told by what it holds.
//!
//! Promise: two logs have the same id only if they begin with the same record. Records are never removed and no key is given
//! twice, so a partition that has an id keeps it for ever, and also where all its records are moved to another cluster.

use std::fmt;
use std::num::NonZeroU64;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::LogRecord;
use crate::key::KeyRef;

/// Tells a partition's log from any other; a partition without records has none yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId(NonZeroU64);

/// A text that names no log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no log: 16 hexadecimal digits, not all of them 0")]
pub struct NoLogId(String);

impl LogId {
    /// Of the log that begins with this record.
    pub fn of_first(record: &LogRecord) -> Self {
        Self::of_first_key(&record.key).unwrap_or_else(|| {
            // Whoever wrote what is no record of ours may write the same again: only the time tells one from the other.
            let value = record.value.as_deref().unwrap_or_default();
            Self::of(&[&record.key, value, &record.timestamp_ms.to_be_bytes()])
        })
    }

    /// The same, where nothing but the key is known: none if it is not the key of a record.
    pub fn of_first_key(key: &[u8]) -> Option<Self> {
        KeyRef::parse(key).ok().map(|_| Self::of(&[key]))
    }

    /// As it was made a number of.
    pub fn from_number(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// As a number, which is never 0.
    pub fn number(self) -> u64 {
        self.0.get()
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
        }
        let digest = hash.finalize();
        let mut first = [0; 8];
        first.copy_from_slice(&digest[..8]);
        Self(NonZeroU64::new(u64::from_be_bytes(first)).unwrap_or(NonZeroU64::MIN))
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl FromStr for LogId {
    type Err = NoLogId;

    fn from_str(text: &str) -> Result<Self, NoLogId> {
        let is_hex = text.len() == 16 && text.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
        let number = is_hex.then(|| u64::from_str_radix(text, 16).ok()).flatten();
        number.and_then(Self::from_number).ok_or_else(|| NoLogId(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::Headers;

    const KEY: &str = "p-1/1/0/6f2c3a1e-0000-4000-8000-000000000001";

    fn record(key: &str, value: &str, timestamp_ms: i64) -> LogRecord {
        let (key, value) = (Bytes::from(key.to_owned()), Some(Bytes::from(value.to_owned())));
        LogRecord { offset: 0, timestamp_ms, key, value, headers: Headers::new() }
    }

    #[test]
    fn a_log_is_known_by_the_key_of_its_first_record_wherever_and_whenever_it_was_appended() {
        let first = LogId::of_first(&record(KEY, "value", 1));
        assert_eq!(LogId::of_first(&record(KEY, "another form of the value", 2)), first);
        assert_eq!(LogId::of_first_key(KEY.as_bytes()), Some(first));
        let other = KEY.replace("0001", "0002");
        assert_ne!(LogId::of_first(&record(&other, "value", 1)), first);
    }

    #[test]
    fn garbage_that_comes_again_begins_another_log() {
        let first = LogId::of_first(&record("garbage", "value", 1));
        assert_eq!(LogId::of_first(&record("garbage", "value", 1)), first);
        assert_ne!(LogId::of_first(&record("garbage", "value", 2)), first);
        assert_ne!(LogId::of_first(&record("garbage", "others", 1)), first);
        assert_eq!(LogId::of_first_key(b"garbage"), None);
    }

    #[test]
    fn an_id_keeps_its_form_between_releases() {
        let id = LogId::from_number(0x0123_4567_89ab_cdef).unwrap();
        assert_eq!(id.to_string(), "0123456789abcdef");
        assert_eq!("0123456789abcdef".parse(), Ok(id));
        assert_eq!("0000000000000001".parse(), Ok(LogId::from_number(1).unwrap()));
        for wrong in
            ["", "1", "0000000000000000", "0123456789ABCDEF", "+123456789abcdef", "0123456789abcdef0"]
        {
            assert_eq!(wrong.parse::<LogId>(), Err(NoLogId(wrong.to_owned())));
        }
        assert_eq!(LogId::from_number(0), None);
        assert_eq!(LogId::from_number(id.number()), Some(id));
    }
}
