//! What the tests of several modules stand on.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use event_reader::feed::RangeReader;
use ledger::{Headers, LogRecord};
use toolkit::dead_letters::{DeadLetterError, DeadLetters, Kind, Letter, Lettered, Original, Outline};
use toolkit::journal::{Entry, Journal, JournalError, Journaled};

/// Reads a log that begins with a record of this key, and nothing else of it.
pub(crate) fn beginning(key: &'static str) -> RangeReader {
    let (ranges, asked) = RangeReader::channel("t");
    let headers = Headers::default();
    let first = LogRecord { offset: 0, timestamp_ms: 1, key: key.into(), value: None, headers };
    std::thread::spawn(move || {
        for request in asked {
            request.give(Ok(vec![first.clone()]));
        }
    });
    ranges
}

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

/// By partition and offset.
type ByPlace = BTreeMap<(i32, i64), Letter>;

/// Dead letters in memory.
#[derive(Debug, Default)]
pub(crate) struct Letters {
    pub(crate) all: Mutex<ByPlace>,
    pub(crate) is_away: Mutex<bool>,
}

impl Letters {
    /// A letter whose record says nothing.
    pub(crate) fn put(&self, partition: i32, offset: i64, subject: &str, kind: Kind) {
        let outline = Outline {
            partition,
            offset,
            subject: subject.to_owned(),
            kind,
            reason: "a reason".to_owned(),
            attempts: 1,
            first_failed_ms: 1,
            last_failed_ms: 2,
            acted: 0,
            is_discarded: false,
        };
        let original = Original {
            topic: "t".to_owned(),
            timestamp_ms: 0,
            key: "k".into(),
            value: None,
            headers: Vec::new(),
        };
        self.all.lock().unwrap().insert((partition, offset), Letter { outline, original });
    }

    fn there(&self) -> Result<MutexGuard<'_, ByPlace>, DeadLetterError> {
        if *self.is_away.lock().unwrap() {
            return Err(DeadLetterError { problem: "they are away".to_owned(), transient: true });
        }
        Ok(self.all.lock().unwrap())
    }
}

impl DeadLetters for Letters {
    fn load(&self, partition: i32) -> Lettered<'_, Vec<Outline>> {
        let all = self.there().map(|it| {
            it.values().map(|it| it.outline.clone()).filter(|it| it.partition == partition).collect()
        });
        Box::pin(async move { all })
    }

    fn letters(&self, partition: i32, offsets: Vec<i64>) -> Lettered<'_, Vec<Letter>> {
        let some = self.there().map(|it| {
            let is_one = |letter: &&Letter| {
                letter.outline.partition == partition && offsets.contains(&letter.outline.offset)
            };
            it.values().filter(is_one).cloned().collect()
        });
        Box::pin(async move { some })
    }

    fn park(&self, letters: Vec<Letter>) -> Lettered<'_, ()> {
        let parked = self.there().map(|mut all| {
            for letter in letters {
                all.insert((letter.outline.partition, letter.outline.offset), letter);
            }
        });
        Box::pin(async move { parked })
    }

    fn resolve(&self, partition: i32, offsets: Vec<i64>) -> Lettered<'_, ()> {
        let resolved = self.there().map(|mut all| {
            for offset in offsets {
                all.remove(&(partition, offset));
            }
        });
        Box::pin(async move { resolved })
    }

    fn abolish(&self) -> Lettered<'_, ()> {
        let abolished = self.there().map(|mut all| all.clear());
        Box::pin(async move { abolished })
    }
}
