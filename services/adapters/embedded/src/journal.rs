//! [`Journal`] in tables, beside the rows that its decisions are about.
//!
//! Promises what the port promises, as long as the tables are not discarded: a record is acknowledged, and read by anybody, when it
//! is on the disk, and everything that was written into the tables before it is on the disk then, too. If the tables are
//! discarded, because they are damaged or of something else, the decisions are lost together with the builds that they speak of:
//! everything begins again with the first build, and no decision speaks of a build that is not there.
//!
//! Start at [`EmbeddedJournal::new`].

use std::ops::Bound;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use toolkit::journal::{Entry, Journal, JournalError, Journaled};

use crate::Error;
use crate::tables::{Order, Row, Table, Tables};

/// The table of the records, by their offsets. A row's version says when it was appended.
const TABLE: &str = "journal";
/// The end is not known yet.
const UNKNOWN: i64 = -1;

/// A journal in tables. There is one in the tables, and one of these on it: what another one appends it does not see.
#[derive(Clone, Debug)]
pub struct EmbeddedJournal(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tables: Tables,
    records: Table,
    /// Held until what is appended is on the disk.
    appending: Mutex<()>,
    /// Everything below is on the disk.
    end: AtomicI64,
}

impl EmbeddedJournal {
    /// Reads nothing yet.
    pub fn new(tables: &Tables) -> Self {
        let (appending, end) = (Mutex::default(), AtomicI64::new(UNKNOWN));
        Self(Arc::new(Inner { tables: tables.clone(), records: tables.table(TABLE), appending, end }))
    }
}

impl Journal for EmbeddedJournal {
    fn append(&self, key: String, value: Vec<u8>) -> Journaled<'_, ()> {
        let inner = Arc::clone(&self.0);
        Box::pin(blocking(move || inner.append(&key, &value)))
    }

    fn read(&self, from: i64) -> Journaled<'_, (Vec<Entry>, i64)> {
        let inner = Arc::clone(&self.0);
        Box::pin(async move {
            // Whoever follows it asks many times a second.
            if inner.end.load(Ordering::Acquire) == from {
                return Ok((Vec::new(), from));
            }
            blocking(move || inner.read(from)).await
        })
    }
}

impl Inner {
    fn append(&self, key: &str, value: &[u8]) -> Result<(), JournalError> {
        let bytes = [&(key.len() as u32).to_be_bytes()[..], key.as_bytes(), value].concat();
        let _alone = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        let mut offset = 0;
        let append = || {
            let mut at = now_ms();
            if let Some((last, row)) = self.last()? {
                offset = last + 1;
                // Clocks are put back.
                at = at.max(row.version);
            }
            Ok(Some([self.records.put(&offset.to_be_bytes(), at, &bytes)]))
        };
        self.tables.write_after(append).map_err(failed)?;
        self.tables.sync().map_err(failed)?;
        self.end.store(offset + 1, Ordering::Release);
        Ok(())
    }

    fn read(&self, from: i64) -> Result<(Vec<Entry>, i64), JournalError> {
        let end = self.end()?;
        if end < from {
            return Err(JournalError(format!(
                "the journal of decisions ends at {end}, and was read up to {from}: it was made anew; start the process again"
            )));
        }
        let (first, behind) = (from.max(0).to_be_bytes(), end.to_be_bytes());
        let bounds = (Bound::Included(&first[..]), Bound::Excluded(&behind[..]));
        let rows = self.records.range(bounds, Order::Ascending, usize::MAX).map_err(failed)?;
        let entries = rows.into_iter().map(|(key, row)| self.entry(&key, row));
        Ok((entries.collect::<Result<_, _>>()?, end))
    }

    fn end(&self) -> Result<i64, JournalError> {
        if let known @ 0.. = self.end.load(Ordering::Acquire) {
            return Ok(known);
        }
        let _alone = self.appending.lock().unwrap_or_else(PoisonError::into_inner);
        // A process that was killed may have left what it never synced.
        self.tables.sync().map_err(failed)?;
        let end = self.last().map_err(failed)?.map_or(0, |(offset, _)| offset + 1);
        self.end.store(end, Ordering::Release);
        Ok(end)
    }

    fn last(&self) -> Result<Option<(i64, Row)>, Error> {
        let last = self.records.range((Bound::Unbounded, Bound::Unbounded), Order::Descending, 1)?;
        Ok(last.into_iter().next().map(|(key, row)| (offset(&key), row)))
    }

    fn entry(&self, key: &[u8], row: Row) -> Result<Entry, JournalError> {
        let (offset, bytes) = (offset(key), Bytes::from(row.bytes));
        let length = bytes.first_chunk().map(|length| u32::from_be_bytes(*length) as usize);
        match length {
            Some(length) if bytes.len() - 4 >= length => Ok(Entry {
                offset,
                appended_ms: row.version as i64,
                key: bytes.slice(4..4 + length),
                value: bytes.slice(4 + length..),
            }),
            _ => {
                let problem = format!("the journal of decisions: record {offset} cannot be read");
                self.tables.distrust(&problem);
                Err(JournalError(format!("{problem}; start again: everything is built again from the log")))
            }
        }
    }
}

/// Keys are written here only: eight bytes.
fn offset(key: &[u8]) -> i64 {
    key.first_chunk().map_or(0, |offset| i64::from_be_bytes(*offset))
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: Error) -> JournalError {
    JournalError(error.to_string())
}

/// On a thread that may block. If nobody waits for it any more, it is done all the same.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, JournalError> + Send + 'static,
) -> Result<T, JournalError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(JournalError(format!("work on the journal did not end: {error}"))))
}

#[cfg(test)]
mod tests;
