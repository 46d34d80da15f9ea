//! Records as they are written and read, and the small ids around them. Plain data.

use std::fmt;

use bytes::Bytes;
use uuid::Uuid;

use crate::{Headers, RecordKey};

/// The place of a record in its partition, from 0.
pub type Offset = i64;

/// Names one append of one sequencer; the report comes back with it. Never used twice by the same sequencer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppendId(pub u64);

/// Names a command across retries and instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub Uuid);

/// Tells whether two commands of the same id are the same command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandHash(pub [u8; 16]);

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A record to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewRecord {
    pub key: RecordKey,
    pub value: Bytes,
    pub headers: Headers,
}

/// A record as the log shows it. Nothing about it is trusted: the key may be anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    pub offset: Offset,
    /// The broker's append time, in milliseconds since 1970.
    pub timestamp_ms: i64,
    pub key: Bytes,
    /// `None` is a tombstone, which no correct writer writes.
    pub value: Option<Bytes>,
    pub headers: Headers,
}

impl LogRecord {
    /// About how much memory it takes, in bytes.
    pub fn size(&self) -> usize {
        let value = self.value.as_ref().map_or(0, Bytes::len);
        size_of::<Self>() + self.key.len() + value + self.headers.size()
    }
}
