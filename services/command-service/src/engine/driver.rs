//! What a thread's parts share: the log, the tickets, the instruments; and the time.

use std::sync::Arc;
use std::time::Instant;

use ahash::AHashMap;
use domain::Rejection;
use ledger::{Answer, AppendId, EventLog, Partition};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::encode::Encoder;
use super::health::Board;
use super::instruments::{Instruments, Tally, Transport};
use super::schemas::Schemas;
use super::{Answered, Origin, Refusal};
use crate::config::EngineConfig;
use toolkit::memory::Share;

/// A command whose answer is owed.
pub(super) struct Ticket {
    pub(super) command: &'static str,
    pub(super) transport: Transport,
    pub(super) origin: Origin,
    pub(super) arrived: Instant,
    pub(super) reply: oneshot::Sender<Answered>,
    /// Held until the answer is given.
    pub(super) _room: Option<OwnedSemaphorePermit>,
    pub(super) _share: Share,
    /// How often it was appended, and whether the last outcome was unknown.
    pub(super) appends: u32,
    pub(super) unknown: bool,
}

/// An append whose report is owed.
pub(super) struct Appending {
    pub(super) ticket: u64,
    pub(super) since: Instant,
}

pub(super) struct Driver {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) encoder: Encoder,
    pub(super) schemas: Schemas,
    pub(super) config: EngineConfig,
    pub(super) instruments: Instruments,
    pub(super) tally: Tally,
    pub(super) board: Board,
    pub(super) tickets: AHashMap<u64, Ticket>,
    pub(super) appending: AHashMap<(Partition, AppendId), Appending>,
    next_ticket: u64,
    next_request: u64,
    start: Instant,
}

/// Requests for end offsets above this are the driver's own; a sequencer counts from 1.
const OWN_REQUESTS: u64 = 1 << 63;

impl Driver {
    pub(super) fn new(
        log: Arc<dyn EventLog>,
        encoder: Encoder,
        schemas: Schemas,
        config: EngineConfig,
        instruments: Instruments,
        board: Board,
    ) -> Self {
        Self {
            log,
            encoder,
            schemas,
            config,
            tally: Tally::new(instruments.clone()),
            instruments,
            board,
            tickets: AHashMap::new(),
            appending: AHashMap::new(),
            next_ticket: 0,
            next_request: OWN_REQUESTS,
            start: Instant::now(),
        }
    }

    /// The engine's clock, in milliseconds.
    pub(super) fn now_ms(&self) -> u64 {
        self.ms_at(Instant::now())
    }

    pub(super) fn ms_at(&self, instant: Instant) -> u64 {
        instant.saturating_duration_since(self.start).as_millis() as u64
    }

    pub(super) fn open_ticket(&mut self, ticket: Ticket) -> u64 {
        self.next_ticket += 1;
        self.tickets.insert(self.next_ticket, ticket);
        self.next_ticket
    }

    /// Asks for a partition's end on the driver's own account.
    pub(super) fn ask_end(&mut self, partition: Partition) -> u64 {
        self.next_request += 1;
        self.log.ask_end_offset(partition, self.next_request);
        self.next_request
    }

    pub(super) fn is_own(request: u64) -> bool {
        request > OWN_REQUESTS
    }

    pub(super) fn answer(&mut self, ticket: u64, answer: Answer<Rejection>) {
        let Some(ticket) = self.tickets.remove(&ticket) else { return };
        self.tally.answered(ticket.command, outcome(&answer), ticket.transport, ticket.arrived.elapsed());
        // A client that went away needs no answer.
        drop(ticket.reply.send(Ok(answer)));
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, refusal: Refusal) {
        self.tally.answered(ticket.command, refusal.name(), ticket.transport, ticket.arrived.elapsed());
        drop(ticket.reply.send(Err(refusal)));
    }

    /// A report came: how long it took, and whether its command will be decided again for want of an offset.
    pub(super) fn reported(&mut self, partition: Partition, append_id: AppendId, known: bool) {
        let Some(append) = self.appending.remove(&(partition, append_id)) else { return };
        self.tally.appended(known, append.since.elapsed());
        if let Some(ticket) = self.tickets.get_mut(&append.ticket) {
            ticket.unknown = !known;
        }
    }
}

/// The label of an answer in metrics.
pub(super) fn outcome(answer: &Answer<Rejection>) -> &'static str {
    match answer {
        Answer::Accepted { replayed: false, .. } => "accepted",
        Answer::Accepted { replayed: true, .. } => "replayed",
        Answer::NoEffect { .. } => "no_effect",
        Answer::Rejected { rejection, .. } => rejection.code(),
        Answer::Conflict { .. } => "conflict",
        Answer::KeyReused { .. } => "key_reused",
        Answer::Contended { .. } => "contended",
        Answer::OutcomeUnknown => "outcome_unknown",
        Answer::Overloaded => "overloaded",
        Answer::Unreadable => "unreadable",
        Answer::Quarantined => "quarantined",
        Answer::TooLarge(_) => "too_large",
        Answer::Defect(_) => "defect",
        Answer::DeadlineExceeded => "deadline_exceeded",
    }
}
