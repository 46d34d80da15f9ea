//! A journal: a few records in one order that everybody sees, for decisions which many processes must take alike.
//!
//! Promises, of every adapter: what was appended and acknowledged is in the journal for ever; all read the same records in the
//! same order; a record may be in it twice, or be in it although its append failed.

use std::fmt::Debug;
use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;

/// One record of a journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its place: entries come in the order of their offsets.
    pub offset: i64,
    /// When it was appended, by the journal's own clock, in milliseconds since 1970.
    pub appended_ms: i64,
    pub key: Bytes,
    pub value: Bytes,
}

/// A journal did not answer, or not as it should; trying again can help.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct JournalError(pub String);

/// What a journal answers in its time.
pub type Journaled<'a, T> = Pin<Box<dyn Future<Output = Result<T, JournalError>> + Send + 'a>>;

/// Where a journal lies.
pub trait Journal: Debug + Send + Sync {
    /// Appends a record. After an error it may be there all the same.
    fn append(&self, key: String, value: Vec<u8>) -> Journaled<'_, ()>;

    /// All records from this offset on that are there now, and the offset to go on from.
    fn read(&self, from: i64) -> Journaled<'_, (Vec<Entry>, i64)>;
}
