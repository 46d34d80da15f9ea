//! One promise per test, on a counter as the product. The simulation (`tests/sim`) checks how they work together.

mod barrier;
mod bench;
pub(crate) mod cold;
mod damage;
mod expecting;
mod outcomes;

use uuid::Uuid;

use super::*;
use crate::{CommandHash, CommandId, Decision, EvolveError, Expected, RecordKey, VoidReason};

pub(crate) const P: Partition = Partition(0);

#[derive(Debug, PartialEq)]
pub(crate) struct Counter;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Ask {
    /// Rejected if the product exists.
    Create,
    /// No effect if 0, rejected if there is no product, and an event that cannot be folded if 666.
    Add(u64),
}

impl Aggregate for Counter {
    type State = u64;
    type Command = Ask;
    type Event = u64;
    type Rejection = &'static str;

    fn decide(state: Option<&u64>, command: &Ask) -> Decision<u64, &'static str> {
        match (state, command) {
            (Some(_), Ask::Create) => Decision::Rejected("exists"),
            (None, Ask::Create) => Decision::Event(0),
            (None, Ask::Add(_)) => Decision::Rejected("not found"),
            (Some(_), Ask::Add(0)) => Decision::NoEffect,
            (Some(_), Ask::Add(n)) => Decision::Event(*n),
        }
    }

    fn evolve(state: Option<u64>, _: &Subject, _: u64, event: &u64) -> Result<u64, EvolveError> {
        if *event == 666 { Err(EvolveError("666".into())) } else { Ok(state.unwrap_or(0) + event) }
    }
}

pub(super) type Out = Output<Counter>;
pub(super) type Said = Answer<&'static str>;

/// A sequencer with a small hand to feed it.
pub(super) struct Rig {
    pub(super) s: Sequencer<Counter>,
    pub(super) now: u64,
    tickets: u64,
    foreign: u128,
}

impl Rig {
    /// Caught up with an empty partition.
    pub(super) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(super) fn with(limits: Limits) -> Self {
        let mut rig = Self::behind(limits);
        rig.s.catch_up_to(0);
        rig
    }

    /// Not caught up.
    pub(super) fn behind(limits: Limits) -> Self {
        Self { s: Sequencer::new(P, 1, 7, limits), now: 1_000, tickets: 0, foreign: 0 }
    }

    /// A new command with a new id; returns its ticket, which is also its id.
    pub(super) fn ask(&mut self, subject: &str, command: Ask) -> u64 {
        self.tickets += 1;
        self.submit(submission(self.tickets, subject, command))
    }

    pub(super) fn submit(&mut self, submission: Submission<Ask>) -> u64 {
        self.tickets = self.tickets.max(submission.context);
        let ticket = submission.context;
        self.s.command(self.now, submission);
        ticket
    }

    pub(super) fn out(&mut self) -> Vec<Out> {
        all(&mut self.s)
    }

    /// The ticket of the command that the append answers, which has no answer yet.
    #[track_caller]
    pub(super) fn ticket(&mut self, append: &Append<Counter>) -> u64 {
        *self.s.context(append.command).expect("its command has no answer yet")
    }

    /// The one append that comes out, and nothing else.
    #[track_caller]
    pub(super) fn append(&mut self) -> Append<Counter> {
        let mut out = self.out();
        assert_eq!(out.len(), 1, "{out:?}");
        match out.remove(0) {
            Output::Append(append) => append,
            other => panic!("no append but {other:?}"),
        }
    }

    /// The answers that come out, and nothing else but counted void records.
    #[track_caller]
    pub(super) fn answers(&mut self) -> Vec<(u64, Said)> {
        self.out()
            .into_iter()
            .filter(|output| !matches!(output, Output::VoidRecord { .. }))
            .map(|output| match output {
                Output::Answer { context, answer } => (context, answer),
                other => panic!("no answer but {other:?}"),
            })
            .collect()
    }

    #[track_caller]
    pub(super) fn request(&mut self) -> u64 {
        match self.out().as_slice() {
            [Output::AskEndOffset { request }] => *request,
            other => panic!("no request but {other:?}"),
        }
    }

    pub(super) fn reported(&mut self, append: &Append<Counter>, offset: Offset) {
        self.s.appended(self.now, append.append_id, Ok(offset));
    }

    pub(super) fn lost(&mut self, append: &Append<Counter>) {
        self.s.appended(self.now, append.append_id, Err(AppendError::Unknown("time-out".into())));
    }

    /// The tail shows an own record: its value is not needed.
    pub(super) fn shows(&mut self, append: &Append<Counter>, offset: Offset) {
        self.s.record(self.now, offset, append.key.to_string().as_bytes(), || {
            panic!("an own record is not decoded")
        });
    }

    /// The tail shows an own record whose append is given up: its value is needed.
    pub(super) fn shows_again(&mut self, append: &Append<Counter>, offset: Offset) {
        let recorded = DecodedRecord {
            event: append.event,
            command_id: Some(append.command_id),
            command_hash: append.command_hash,
        };
        self.s.record(self.now, offset, append.key.to_string().as_bytes(), || Ok(recorded));
    }

    /// The tail shows a record of another writer.
    pub(super) fn other(
        &mut self,
        offset: Offset,
        subject: &str,
        version: u64,
        event: u64,
        command: Option<u64>,
    ) {
        let key = self.key(offset, subject, version);
        let recorded =
            DecodedRecord { event, command_id: command.map(id), command_hash: command.map(|_| hash(0)) };
        self.s.record(self.now, offset, key.as_bytes(), || Ok(recorded));
    }

    pub(super) fn key(&mut self, offset: Offset, subject: &str, version: u64) -> String {
        self.foreign += 1;
        let event_id = Uuid::from_u128(self.foreign);
        RecordKey { subject: Subject::parse(subject).unwrap(), version, basis: offset, event_id }.to_string()
    }

    pub(super) fn tick(&mut self, ms: u64) {
        self.now += ms;
        self.s.tick(self.now);
    }

    pub(super) fn version(&self, subject: &str) -> u64 {
        self.s.version(&Subject::parse(subject).unwrap())
    }

    pub(super) fn state(&self, subject: &str) -> Option<u64> {
        self.s.state(&Subject::parse(subject).unwrap()).map(|state| *state)
    }
}

pub(super) fn all(s: &mut Sequencer<Counter>) -> Vec<Out> {
    std::iter::from_fn(|| s.next_output()).collect()
}

pub(super) fn id(n: u64) -> CommandId {
    CommandId(Uuid::from_u128(u128::from(n)))
}

pub(super) fn hash(n: u8) -> CommandHash {
    CommandHash([n; 16])
}

pub(crate) fn submission(ticket: u64, subject: &str, command: Ask) -> Submission<Ask> {
    Submission {
        context: ticket,
        subject: Subject::parse(subject).unwrap(),
        command_id: id(ticket),
        command_hash: Some(hash(0)),
        expected: Expected::default(),
        command,
        deadline_ms: 1_000_000,
    }
}

#[track_caller]
pub(super) fn accepted(answers: &[(u64, Said)], ticket: u64, version: u64, offset: Offset, replayed: bool) {
    match answers {
        [(t, Answer::Accepted { version: v, offset: o, replayed: r, .. })] => {
            assert_eq!((*t, *v, *o, *r), (ticket, version, offset, replayed));
        }
        other => panic!("ticket {ticket} was not accepted: {other:?}"),
    }
}
