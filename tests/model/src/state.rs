//! What the model remembers: the log, what is in flight to it, what each writer has heard, and what became of each
//! command. A writer's driver is not in it: it is what the real one makes of `heard`.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use ledger::{AppendId, Headers, LogRecord, Offset};

use crate::check::Promise;
use crate::product::Changed;

/// A point in a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub(crate) log: Vec<Landed>,
    /// The log's end: behind the last record, or further.
    pub(crate) end: Offset,
    pub(crate) flying: BTreeMap<Name, Flying>,
    pub(crate) writers: Vec<Writer>,
    pub(crate) tickets: BTreeMap<u64, Ticket>,
    pub(crate) spent: Bounds,
    /// The first promise that does not hold, and how. The run ends there.
    pub(crate) wrong: Option<(Promise, String)>,
}

/// How often each thing that the network, the clock or a client may do happens at most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// A client asks again with the same command id.
    pub retries: u8,
    /// An append times out: its record lands later, or never.
    pub timeouts: u8,
    /// A record lands twice.
    pub copies: u8,
    /// A writer dies and starts anew, without its state.
    pub crashes: u8,
    /// The log goes on by a whole window without any record of our products.
    pub jumps: u8,
    /// A writer's clock passes every deadline.
    pub deadlines: u8,
    /// A writer throws its state away and reads the log again.
    pub resets: u8,
}

/// An append: whose, in which life of that writer, and which.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    pub writer: usize,
    pub life: u8,
    pub append: AppendId,
}

/// A record.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Record {
    pub(crate) key: Bytes,
    pub(crate) event: Changed,
    pub(crate) ticket: u64,
}

impl Record {
    /// As the log shows it.
    pub(crate) fn at(&self, offset: Offset) -> LogRecord {
        let (key, value, headers) = (self.key.clone(), None, Headers::new());
        LogRecord { offset, timestamp_ms: 0, key, value, headers }
    }
}

/// A record in flight to the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Flying {
    pub(crate) record: Arc<Record>,
    /// Nobody waits for a report of it any more.
    pub(crate) is_orphan: bool,
}

/// A record in the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Landed {
    pub(crate) offset: Offset,
    pub(crate) record: Arc<Record>,
}

/// What a writer was told, and what is in flight to it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Writer {
    pub(crate) life: u8,
    pub(crate) heard: Vec<Heard>,
    /// The tail has shown it everything below.
    pub(crate) tail: Offset,
    /// Delivery reports in flight: an offset, or nothing known.
    pub(crate) reports: BTreeMap<AppendId, Option<Offset>>,
    /// Answers to its questions for the log's end, in flight.
    pub(crate) ends: BTreeMap<u64, Offset>,
    /// Something waits for the clock.
    pub(crate) is_backing_off: bool,
}

/// One input of a sequencer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Heard {
    CatchUp(Offset),
    Command(u64),
    Report(AppendId, Option<Offset>),
    /// The record at this index of the log.
    Record(usize),
    Position(Offset),
    End(u64, Offset),
    /// A second passes.
    Second,
    /// Every deadline passes.
    Deadline,
    Reset(Offset),
}

/// A command as its client sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Ticket {
    /// Where it waits, and the log's end when it came; zero once that does not matter any more.
    pub(crate) writer: usize,
    pub(crate) arrived: Offset,
    pub(crate) fate: Fate,
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    Waits,
    Accepted,
    Replayed,
    NoEffect,
    Rejected,
    Conflict,
    KeyReused,
    Contended,
    Unknown,
    Expired,
    /// Its writer died first.
    Lost,
}

impl Fate {
    /// Whether the client was told that nothing came of this submission.
    pub(crate) fn denies_effect(self) -> bool {
        matches!(
            self,
            Self::NoEffect
                | Self::Rejected
                | Self::Conflict
                | Self::KeyReused
                | Self::Contended
                | Self::Expired
        )
    }
}
