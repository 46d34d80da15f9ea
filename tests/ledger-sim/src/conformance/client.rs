//! One log under test, with the signals it has sent.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use uuid::Uuid;

use super::Harness;
use ledger::{
    AppendError, AppendId, EventLog, Headers, Inbox, LogRecord, NewRecord, Offset, Partition, RecordKey,
    Signal, Subject,
};

pub(super) const P0: Partition = Partition(0);
pub(super) const P1: Partition = Partition(1);

#[derive(Default)]
struct Signals(Mutex<Vec<Signal>>);

impl Inbox for Signals {
    fn deliver(&self, signal: Signal) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(signal);
    }
}

pub(super) struct Client<'h> {
    pub(super) log: Box<dyn EventLog>,
    harness: &'h dyn Harness,
    signals: Arc<Signals>,
}

/// A record unlike any other: `n` is in its key, value and headers.
pub(super) fn record(n: u64) -> NewRecord {
    let mut headers = Headers::new();
    headers.push("ce_type", b"Tested");
    headers.push("n", &n.to_be_bytes());
    headers.push("empty", b"");
    headers.push("n", b"again");
    with_value(n, Bytes::from(format!("value {n}")), headers)
}

pub(super) fn with_value(n: u64, value: Bytes, headers: Headers) -> NewRecord {
    let subject = Subject::parse(&format!("p-{}", n % 7)).expect("a subject");
    let key =
        RecordKey { subject, version: n + 1, basis: 0, event_id: Uuid::from_u128(u128::from(n) << 64 | 1) };
    NewRecord { key, value, headers }
}

#[track_caller]
pub(super) fn assert_same(read: &LogRecord, written: &NewRecord) {
    assert_eq!(read.key, written.key.to_string(), "the key");
    assert_eq!(read.value.as_ref(), Some(&written.value), "the value");
    assert_eq!(read.headers, written.headers, "the headers");
}

impl<'h> Client<'h> {
    pub(super) fn open(harness: &'h dyn Harness) -> Self {
        let signals = Arc::new(Signals::default());
        let log = harness.open(Arc::clone(&signals) as Arc<dyn Inbox>);
        Self { log, harness, signals }
    }

    /// Waits until `look` finds what it looks for in all signals so far.
    #[track_caller]
    pub(super) fn wait<T>(&self, what: &str, mut look: impl FnMut(&[Signal]) -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            let found = look(&self.signals.0.lock().unwrap_or_else(PoisonError::into_inner));
            if let Some(found) = found {
                return found;
            }
            assert!(start.elapsed() < self.harness.patience(), "no {what} within {:?}", start.elapsed());
            self.harness.work();
        }
    }

    #[track_caller]
    pub(super) fn outcome(&self, id: u64) -> Result<Offset, AppendError> {
        self.wait("report", |signals| {
            signals.iter().find_map(|signal| match signal {
                Signal::Appended { append_id, outcome, .. } if append_id.0 == id => Some(outcome.clone()),
                _ => None,
            })
        })
    }

    /// Appends and waits for the offset.
    #[track_caller]
    pub(super) fn append(&self, partition: Partition, id: u64, record: NewRecord) -> Offset {
        self.log.append(partition, AppendId(id), record);
        self.outcome(id).expect("a healthy log takes an append")
    }

    #[track_caller]
    pub(super) fn end(&self, partition: Partition, id: u64) -> Offset {
        self.log.ask_end_offset(partition, id);
        self.wait("end offset", |signals| {
            signals.iter().find_map(|signal| match signal {
                Signal::EndOffset { partition: of, request, outcome } if *request == id => {
                    assert_eq!(*of, partition);
                    Some(outcome.clone())
                }
                _ => None,
            })
        })
        .expect("a healthy log tells its end")
    }

    /// Waits for that many records of the partition, and takes all there are.
    #[track_caller]
    pub(super) fn tailed(&self, partition: Partition, count: usize) -> Vec<LogRecord> {
        self.wait("records of the tail", |signals| {
            let records: Vec<LogRecord> = signals
                .iter()
                .filter_map(|signal| match signal {
                    Signal::Records { partition: of, records } if *of == partition => Some(records.clone()),
                    _ => None,
                })
                .flatten()
                .collect();
            (records.len() >= count).then_some(records)
        })
    }

    #[track_caller]
    pub(super) fn position_reaches(&self, partition: Partition, end: Offset) {
        self.wait("position", |signals| {
            signals.iter().find(|signal| {
                matches!(signal, Signal::Position { partition: of, position } if *of == partition && *position >= end)
            })?;
            Some(())
        });
    }

    /// All signals so far.
    pub(super) fn signals(&self) -> Vec<Signal> {
        self.signals.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
