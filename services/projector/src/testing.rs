//! What the tests of several modules stand on.

use std::sync::Mutex;

use toolkit::journal::{Entry, Journal, JournalError, Journaled};

/// A journal in memory.
#[derive(Debug, Default)]
pub(crate) struct InMemory {
    entries: Mutex<Vec<Entry>>,
    pub(crate) is_away: Mutex<bool>,
}

impl Journal for InMemory {
    fn append(&self, key: String, value: Vec<u8>) -> Journaled<'_, ()> {
        let mut entries = self.entries.lock().unwrap();
        let offset = entries.len() as i64;
        entries.push(Entry { offset, appended_ms: 1, key: key.into(), value: value.into() });
        Box::pin(async { Ok(()) })
    }

    fn read(&self, from: i64) -> Journaled<'_, (Vec<Entry>, i64)> {
        let entries = self.entries.lock().unwrap();
        let read = (entries[from as usize..].to_vec(), entries.len() as i64);
        let is_away = *self.is_away.lock().unwrap();
        Box::pin(async move { if is_away { Err(JournalError("it is away".to_owned())) } else { Ok(read) } })
    }
}
