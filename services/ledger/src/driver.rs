//! What drives a sequencer: catching up, following the log and starting that again, waiting for schemas, saving. Inputs in,
//! outputs out, like the sequencer itself, so that what is simulated is what ships.
//!
//! Promises: every signal reaches the sequencer in order or, where that cannot be, the state is built again from offset 0;
//! a record is called unreadable only when whoever knows the schemas has said so, and only a record that counts is waited for.
//! While it is, only its product takes no commands; the tail waits only where too much would have to be kept.
//!
//! How to drive it: `start`; then every command, every signal of the partition, `schemas_changed`, `saved` and `save_failed`
//! as they come, a `tick` every few milliseconds while it `is_restless`, and `save` now and then; after each input carry out
//! all outputs, in order.

mod holding;
mod saving;
#[cfg(test)]
mod tests;
mod withholding;

use std::collections::VecDeque;

pub use saving::SavePolicy;

use crate::laws::{Kept, Laws};
use crate::{
    Aggregate, AppendId, ColdProducts, CommandKey, DecodedRecord, LogRecord, Mark, Offset, Output, Sequencer,
    Signal, Submission, TailError, Unreadable,
};
use holding::{Holding, Refused};
use saving::Saving;
use withholding::Withheld;

/// How long an unanswered question is not asked again, at least.
const ASK_AGAIN_MS: u64 = 2_000;
/// The same for the end of the log, after an answer that says nothing.
const ASK_END_AGAIN_MS: u64 = 500;
/// How long a failed tail rests, at first and at most.
const RESTART_MS: (u64, u64) = (50, 5_000);
/// Requests for end offsets above this are the driver's own; a sequencer counts from 1.
const OWN_REQUESTS: u64 = 1 << 63;

/// Reads the values of records, as far as their schemas are known at this moment.
pub trait Decoder<A: Aggregate> {
    /// The schema that the record names, if it names one.
    fn schema_of(&self, record: &LogRecord) -> Option<u32>;

    fn standing(&self, schema: u32) -> SchemaStanding;

    fn decode(&self, record: &LogRecord) -> Result<DecodedRecord<A::Event>, Unreadable>;
}

/// What is known of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchemaStanding {
    /// Records with it can be read.
    Known,
    /// Whoever knows the schemas was asked and has none, or none that is of use.
    Refused,
    /// To be asked for.
    Unknown,
}

/// How much is kept of products whose records wait for a schema; more, and the tail waits. So much of the tail is kept then;
/// more, and the state is built again instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    pub records: usize,
    pub bytes: usize,
}

/// Drives the sequencer of one partition. Each command carries a context `X` of its caller.
pub struct PartitionDriver<A: Aggregate, X = u64, L = Kept> {
    sequencer: Sequencer<A, X, L>,
    held: Held,
    /// A question for the end that is not answered for so long is asked again.
    patience_ms: u64,
    now_ms: u64,
    tail: Tail,
    withheld: Withheld,
    catch_up: CatchUp,
    requests: u64,
    /// Survives a rebuild.
    refused: Refused,
    saving: Option<Saving>,
    outputs: VecDeque<Output<A, X>>,
}

#[derive(Debug)]
enum Tail {
    Following,
    /// An effective record waits for a schema, and too much is withheld already.
    Held(Holding),
    /// It failed and is started again later: `None` once it was.
    Stopped {
        again_ms: Option<u64>,
        failures: u32,
    },
}

#[derive(Debug)]
enum CatchUp {
    Ask { not_before_ms: u64 },
    Asked { request: u64, since_ms: u64 },
    Known { end: Offset },
}

impl<A: Aggregate, X, L: Laws> PartitionDriver<A, X, L> {
    /// Drives a fresh sequencer. A command is answered within `deadline_ms`: no question is asked again sooner.
    pub fn new(sequencer: Sequencer<A, X, L>, held: Held, deadline_ms: u64) -> Self {
        Self {
            sequencer,
            held,
            patience_ms: deadline_ms.max(ASK_AGAIN_MS),
            now_ms: 0,
            tail: Tail::Following,
            withheld: Withheld::default(),
            catch_up: CatchUp::Ask { not_before_ms: 0 },
            requests: OWN_REQUESTS,
            refused: Refused::default(),
            saving: None,
            outputs: VecDeque::new(),
        }
    }

    /// Products that are not in use lie in `cold`; a snapshot's mark says where to start.
    #[must_use]
    pub fn keeping(
        mut self,
        cold: Box<dyn ColdProducts<A::State>>,
        policy: SavePolicy,
        mark: Option<Mark>,
    ) -> Self {
        self.sequencer = self.sequencer.with_cold(cold, policy.hot).within_bytes(policy.hot_bytes);
        if let Some(mark) = mark {
            self.sequencer.resume(mark);
        }
        self.saving = Some(Saving::new(policy));
        self
    }

    /// Begins to read the log, at this time of the clock that all else is told.
    pub fn start(&mut self, now_ms: u64) {
        self.passes(now_ms);
        if let Some(saving) = &mut self.saving {
            saving.begin(now_ms);
        }
        self.outputs.push_back(Output::TailFrom(self.sequencer.tail_from()));
        self.ask_end();
    }

    /// A client's command; see [`PartitionDriver::refuses`].
    pub fn command(&mut self, now_ms: u64, submission: impl Into<Box<Submission<A::Command, X>>>) {
        self.passes(now_ms);
        self.sequencer.command(self.now_ms, submission);
    }

    /// A signal of the log about this partition.
    pub fn signal(&mut self, now_ms: u64, signal: Signal, decoder: &impl Decoder<A>) {
        self.passes(now_ms);
        match signal {
            Signal::Appended { append_id, outcome, .. } => {
                self.sequencer.appended(self.now_ms, append_id, outcome);
            }
            Signal::EndOffset { request, outcome, .. } if request > OWN_REQUESTS => {
                self.end_is(request, outcome.ok());
            }
            Signal::EndOffset { request, outcome, .. } => {
                self.sequencer.end_offset(self.now_ms, request, outcome);
            }
            signal => match &mut self.tail {
                Tail::Held(holding) => holding.keep(signal, self.held),
                Tail::Following | Tail::Stopped { .. } => self.tail_signal(signal, decoder),
            },
        }
    }

    /// An append that could not be encoded or is too large: nothing was written.
    pub fn refused(&mut self, append_id: AppendId, reason: String) {
        self.sequencer.refused(append_id, reason);
    }

    /// Time passes.
    pub fn tick(&mut self, now_ms: u64) {
        self.passes(now_ms);
        match self.catch_up {
            CatchUp::Ask { not_before_ms } if self.now_ms >= not_before_ms => self.ask_end(),
            CatchUp::Asked { since_ms, .. } if self.now_ms >= since_ms + self.patience_ms => self.ask_end(),
            CatchUp::Ask { .. } | CatchUp::Asked { .. } | CatchUp::Known { .. } => {}
        }
        match &mut self.tail {
            Tail::Stopped { again_ms, .. } if again_ms.is_some_and(|at| self.now_ms >= at) => {
                *again_ms = None;
                self.outputs.push_back(Output::TailFrom(self.sequencer.tail_from()));
            }
            Tail::Held(holding) if self.now_ms >= holding.ask_ms => {
                holding.ask_ms = self.now_ms + ASK_AGAIN_MS;
                self.outputs.push_back(Output::AskSchema { schema: holding.schema, again: true });
            }
            Tail::Held(_) | Tail::Stopped { .. } | Tail::Following => {}
        }
        self.ask_for_withheld();
        self.sequencer.tick(self.now_ms);
    }

    /// The next thing to do.
    #[inline]
    pub fn next_output(&mut self) -> Option<Output<A, X>> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        let output = self.sequencer.next_output()?;
        if matches!(output, Output::Discard { .. }) {
            self.build_again();
        }
        Some(output)
    }

    /// What the caller gave with a command whose answer was not taken yet.
    pub fn context(&mut self, command: CommandKey) -> Option<&mut X> {
        self.sequencer.context(command)
    }

    /// The same, of the command that an append without an outcome answers.
    pub fn context_of(&mut self, append_id: AppendId) -> Option<&mut X> {
        self.sequencer.context_of(append_id)
    }

    /// For looking in.
    pub fn sequencer(&self) -> &Sequencer<A, X, L> {
        &self.sequencer
    }

    /// Whether commands are decided at once.
    pub fn is_caught_up(&self) -> bool {
        self.sequencer.is_ready() && !matches!(self.tail, Tail::Held(_))
    }

    /// Why commands should not be given to it now. It would keep them until it can decide, or until their deadline.
    pub fn refuses(&self) -> Option<String> {
        (!self.is_caught_up()).then(|| match &self.tail {
            Tail::Held(holding) => format!("waits for the registry to tell schema id {}", holding.schema),
            Tail::Following | Tail::Stopped { .. } => format!("is {}", self.waits_for()),
        })
    }

    /// Whether time matters to it.
    pub fn is_restless(&self) -> bool {
        self.sequencer.waiting() > 0
            || !self.withheld.is_empty()
            || !matches!((&self.tail, &self.catch_up), (Tail::Following, CatchUp::Known { .. }))
    }

    /// What it waits for while it has not caught up.
    pub fn waits_for(&self) -> String {
        match (&self.tail, &self.catch_up) {
            (Tail::Held(holding), _) => format!("waiting for schema id {}", holding.schema),
            (Tail::Stopped { .. }, _) => "not being read: its tail failed".to_owned(),
            (Tail::Following, CatchUp::Known { end }) => {
                format!("catching up: at {} of {end}", self.sequencer.next())
            }
            (Tail::Following, CatchUp::Ask { .. } | CatchUp::Asked { .. }) => {
                "asking where its end is".to_owned()
            }
        }
    }

    fn tail_signal(&mut self, signal: Signal, decoder: &impl Decoder<A>) {
        match signal {
            Signal::Records { records, .. } => self.records(records, decoder),
            Signal::Position { position, .. } => {
                self.tail = Tail::Following;
                self.sequencer.position(self.now_ms, position);
            }
            Signal::TailFailed { error: TailError::Other(problem), .. } => {
                let failures = if let Tail::Stopped { failures, .. } = self.tail { failures + 1 } else { 0 };
                let again_in_ms = (RESTART_MS.0 << failures.min(10)).min(RESTART_MS.1);
                self.tail = Tail::Stopped { again_ms: Some(self.now_ms + again_in_ms), failures };
                self.outputs.push_back(Output::TailFailed { problem, again_in_ms });
            }
            Signal::TailFailed { error, .. } => self.rebuild(error.to_string()),
            // These never come here.
            Signal::Appended { .. } | Signal::EndOffset { .. } => {}
        }
    }

    fn records(&mut self, records: Vec<LogRecord>, decoder: &impl Decoder<A>) {
        let mut records = records.into_iter();
        while let Some(record) = records.next() {
            if record.offset < self.sequencer.tail_from() {
                continue;
            }
            let unread = match self.lacks(&record, decoder) {
                Some(schema) => self.withhold(schema, record).map(|record| (schema, record)),
                // Nothing is saved meanwhile, so that memory would grow with what others change.
                None if let Some(schema) = self.withheld.schema()
                    && self.must_save() =>
                {
                    Some((schema, record))
                }
                None => {
                    self.sequencer
                        .record(self.now_ms, record.offset, &record.key, || decoder.decode(&record));
                    None
                }
            };
            if let Some((schema, record)) = unread {
                return self.hold(record.offset, schema, std::iter::once(record).chain(records).collect());
            }
        }
        self.tail = Tail::Following;
    }

    /// The state is worth nothing, and it is not the sequencer that says so.
    fn rebuild(&mut self, reason: String) {
        self.outputs.push_back(Output::Discard { reason });
        self.build_again();
    }

    /// Throws the state away and builds it again from the log.
    fn build_again(&mut self) {
        self.sequencer.reset();
        self.withheld = Withheld::default();
        self.tail = Tail::Following;
        self.outputs.push_back(Output::TailFrom(0));
        self.ask_end();
    }

    fn ask_end(&mut self) {
        self.requests += 1;
        self.catch_up = CatchUp::Asked { request: self.requests, since_ms: self.now_ms };
        self.outputs.push_back(Output::AskEndOffset { request: self.requests });
    }

    fn end_is(&mut self, request: u64, end: Option<Offset>) {
        match (&self.catch_up, end) {
            (CatchUp::Asked { request: asked, .. }, Some(end)) if *asked == request => {
                self.catch_up = CatchUp::Known { end };
                self.sequencer.catch_up_to(end);
            }
            (CatchUp::Asked { request: asked, since_ms }, None) if *asked == request => {
                let not_before_ms = self.now_ms.max(since_ms + ASK_END_AGAIN_MS);
                self.catch_up = CatchUp::Ask { not_before_ms };
            }
            _ => {}
        }
    }

    fn passes(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }
}

impl<A: Aggregate, X, L> std::fmt::Debug for PartitionDriver<A, X, L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PartitionDriver")
            .field("sequencer", &self.sequencer)
            .field("tail", &self.tail)
            .field("catch_up", &self.catch_up)
            .finish_non_exhaustive()
    }
}
