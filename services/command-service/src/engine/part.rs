//! One partition as its thread drives it: its sequencer, where its tail is, and what it still waits for.
//!
//! Promises: every signal reaches the sequencer in order or, where that cannot be, the state is built again from offset 0;
//! nothing that goes wrong with one partition holds up another.

use std::collections::VecDeque;

use contract::avro::schema_id;
use domain::Command;
use ledger::{LogRecord, Mark, Offset, Output, Partition, Sequencer, Signal, Submission, TailError};

use super::cache::Shelf;
use super::driver::Driver;
use super::holding::Refused;
use super::saving::Saving;
use super::{Refusal, encode};
use crate::catalog::Catalog;
use crate::config::EngineConfig;

/// How long an unanswered question for the end is not asked again.
pub(super) const ASK_AGAIN_MS: u64 = 2_000;
/// How often a partition that is behind says how far it is.
const TELL_MS: u64 = 100;
/// How long a failed tail rests, at first and at most.
const RESTART_MS: (u64, u64) = (50, 5_000);

pub(super) struct Part {
    pub(super) partition: Partition,
    pub(super) sequencer: Sequencer<Catalog>,
    pub(super) tail: Tail,
    catch_up: CatchUp,
    /// What was told to the board.
    pub(super) told_caught_up: bool,
    tell_ms: u64,
    /// For counting effective records: `next` at the last look, and void records since.
    pub(super) seen: Offset,
    pub(super) voids: u64,
    pub(super) outputs: Vec<Output<Catalog>>,
    pub(super) saving: Option<Saving>,
    /// Survives a rebuild.
    pub(super) refused: Refused,
}

#[derive(Debug)]
pub(super) enum Tail {
    Following,
    /// An effective record names a schema id that the registry is being asked for. What comes meanwhile is kept, up to a
    /// number and a size.
    Held {
        offset: Offset,
        schema: u32,
        signals: VecDeque<Signal>,
        records: usize,
        bytes: usize,
        overflowed: bool,
        ask_ms: u64,
    },
    /// It failed and is started again later.
    Stopped {
        again_ms: u64,
        failures: u32,
    },
}

#[derive(Debug)]
enum CatchUp {
    Ask { not_before_ms: u64 },
    Asked { request: u64, since_ms: u64 },
    Known { end: Offset },
}

impl Part {
    /// With a shelf, products that are not in use lie there, and a snapshot's mark says where to start.
    pub(super) fn new(
        partition: Partition,
        partitions: i32,
        config: &EngineConfig,
        shelf: Option<(Shelf, Option<Mark>)>,
    ) -> Self {
        let limits = ledger::Limits {
            max_waiting: config.max_waiting,
            max_attempts: config.max_attempts,
            remembered: config.remembered_commands,
        };
        // Random 64 bits: no sequencer ever had them, so that event ids are new.
        let nonce =
            uuid::Uuid::new_v4().as_u64_pair().1.rotate_left(8) ^ uuid::Uuid::new_v4().as_u64_pair().0;
        let sequencer = Sequencer::new(partition, partitions, nonce, limits);
        let (sequencer, saving) = Saving::begin(sequencer, shelf, partitions);
        Self {
            partition,
            tail: Tail::Following,
            catch_up: CatchUp::Ask { not_before_ms: 0 },
            told_caught_up: false,
            tell_ms: 0,
            seen: sequencer.next(),
            voids: 0,
            outputs: Vec::new(),
            sequencer,
            saving,
            refused: Refused::default(),
        }
    }

    pub(super) fn start(&mut self, driver: &mut Driver) {
        driver.log.tail_from(self.partition, self.sequencer.tail_from());
        self.ask(driver, 0);
    }

    /// Why commands cannot be taken now.
    pub(super) fn refuses(&self) -> Option<Refusal> {
        match &self.tail {
            Tail::Held { schema, .. } => Some(Refusal::NotReady(format!(
                "partition {} waits for the registry to tell schema id {schema}",
                self.partition
            ))),
            Tail::Following | Tail::Stopped { .. } if self.sequencer.is_ready() => None,
            Tail::Following | Tail::Stopped { .. } => {
                Some(Refusal::NotReady(format!("partition {} is {}", self.partition, self.waits_for())))
            }
        }
    }

    pub(super) fn command(&mut self, now_ms: u64, submission: Submission<Command>) {
        self.sequencer.command(now_ms, submission);
    }

    pub(super) fn signal(&mut self, driver: &mut Driver, now_ms: u64, signal: Signal) {
        match signal {
            Signal::Appended { append_id, outcome, .. } => {
                driver.reported(self.partition, append_id, outcome.is_ok());
                self.sequencer.appended(now_ms, append_id, outcome);
            }
            Signal::EndOffset { request, outcome, .. } if Driver::is_own(request) => {
                self.end_is(now_ms, request, outcome.ok());
            }
            Signal::EndOffset { request, outcome, .. } => {
                self.sequencer.end_offset(now_ms, request, outcome);
            }
            signal => match &mut self.tail {
                Tail::Held { signals, records, bytes, overflowed, .. } => {
                    *records += if let Signal::Records { records, .. } = &signal { records.len() } else { 1 };
                    *bytes += signal.size();
                    *overflowed |=
                        *records > driver.config.tail_records || *bytes > driver.config.tail_bytes();
                    if *overflowed {
                        // From here on signals are missing: only a rebuild makes it whole again.
                        signals.clear();
                    } else {
                        signals.push_back(signal);
                    }
                }
                Tail::Following | Tail::Stopped { .. } => self.tail_signal(driver, now_ms, signal),
            },
        }
        self.carry_out(driver, now_ms);
    }

    fn tail_signal(&mut self, driver: &mut Driver, now_ms: u64, signal: Signal) {
        match signal {
            Signal::Records { records, .. } => self.records(driver, now_ms, records),
            Signal::Position { position, .. } => {
                self.tail = Tail::Following;
                self.sequencer.position(now_ms, position);
            }
            Signal::TailFailed { error: TailError::Other(problem), .. } => {
                let failures = if let Tail::Stopped { failures, .. } = self.tail { failures + 1 } else { 0 };
                let wait = (RESTART_MS.0 << failures.min(10)).min(RESTART_MS.1);
                tracing::warn!(
                    partition = self.partition.0,
                    problem,
                    again_ms = wait,
                    "the tail of a partition failed: it is started again"
                );
                self.tail = Tail::Stopped { again_ms: now_ms + wait, failures };
            }
            Signal::TailFailed { error, .. } => self.rebuild(driver, now_ms, &error.to_string()),
            // These never come here.
            Signal::Appended { .. } | Signal::EndOffset { .. } => {}
        }
    }

    fn records(&mut self, driver: &mut Driver, now_ms: u64, records: Vec<LogRecord>) {
        let known = driver.schemas.known();
        let mut records = records.into_iter();
        while let Some(record) = records.next() {
            if record.offset < self.sequencer.tail_from() {
                continue;
            }
            // Judged first: a record that counts for nothing is not worth a question, let alone a wait.
            if let Some(id) = record.value.as_deref().and_then(schema_id)
                && !known.knows(id)
                && !self.refused.has(record.offset, id)
                && self.sequencer.needs_value(record.offset, &record.key)
            {
                if known.refuses(id) {
                    self.refused.add(record.offset, id);
                } else {
                    let at = (record.offset, id);
                    let rest: Vec<_> = std::iter::once(record).chain(records).collect();
                    self.hold(driver, now_ms, at, rest);
                    return;
                }
            }
            self.sequencer
                .record(now_ms, record.offset, &record.key, || encode::recorded(&record, &known.ids));
        }
        self.tail = Tail::Following;
    }

    /// Throws the state away and builds it again from the log.
    pub(super) fn rebuild(&mut self, driver: &mut Driver, now_ms: u64, reason: &str) {
        tracing::error!(
            partition = self.partition.0,
            reason,
            "the state of a partition is thrown away and built again"
        );
        driver.instruments.discarded(self.partition);
        driver.appending.retain(|(partition, _), _| *partition != self.partition);
        self.sequencer.reset();
        (self.tail, self.seen, self.voids) = (Tail::Following, 0, 0);
        driver.log.tail_from(self.partition, 0);
        self.ask(driver, now_ms);
    }

    fn ask(&mut self, driver: &mut Driver, now_ms: u64) {
        self.catch_up = CatchUp::Asked { request: driver.ask_end(self.partition), since_ms: now_ms };
    }

    fn end_is(&mut self, now_ms: u64, request: u64, end: Option<Offset>) {
        match (&self.catch_up, end) {
            (CatchUp::Asked { request: asked, .. }, Some(end)) if *asked == request => {
                self.catch_up = CatchUp::Known { end };
                self.sequencer.catch_up_to(end);
            }
            (CatchUp::Asked { request: asked, since_ms }, None) if *asked == request => {
                self.catch_up = CatchUp::Ask { not_before_ms: now_ms.max(since_ms + 500) };
            }
            _ => {}
        }
    }

    pub(super) fn tick(&mut self, driver: &mut Driver, now_ms: u64) {
        match self.catch_up {
            CatchUp::Ask { not_before_ms } if now_ms >= not_before_ms => self.ask(driver, now_ms),
            CatchUp::Asked { since_ms, .. }
                if now_ms >= since_ms + driver.config.deadline_ms.max(ASK_AGAIN_MS) =>
            {
                self.ask(driver, now_ms);
            }
            CatchUp::Ask { .. } | CatchUp::Asked { .. } | CatchUp::Known { .. } => {}
        }
        match self.tail {
            Tail::Stopped { again_ms, failures } if now_ms >= again_ms => {
                self.tail = Tail::Stopped { again_ms: u64::MAX, failures };
                driver.log.tail_from(self.partition, self.sequencer.tail_from());
            }
            Tail::Held { schema, ref mut ask_ms, .. } if now_ms >= *ask_ms => {
                *ask_ms = now_ms + ASK_AGAIN_MS;
                driver.schemas.ask(schema);
            }
            Tail::Held { .. } | Tail::Stopped { .. } | Tail::Following => {}
        }
        self.sequencer.tick(now_ms);
        if !self.told_caught_up && now_ms >= self.tell_ms {
            self.tell_ms = now_ms + TELL_MS;
            driver.board.behind(self.partition, self.waits_for());
        }
    }

    /// Whether time matters to it.
    pub(super) fn is_restless(&self) -> bool {
        self.sequencer.waiting() > 0
            || !self.told_caught_up
            || !matches!((&self.tail, &self.catch_up), (Tail::Following, CatchUp::Known { .. }))
    }

    pub(super) fn waits_for(&self) -> String {
        match (&self.tail, &self.catch_up) {
            (Tail::Held { schema, .. }, _) => format!("waiting for schema id {schema}"),
            (Tail::Stopped { .. }, _) => "not being read: its tail failed".to_owned(),
            (Tail::Following, CatchUp::Known { end }) => {
                format!("catching up: at {} of {end}", self.sequencer.next())
            }
            (Tail::Following, CatchUp::Ask { .. } | CatchUp::Asked { .. }) => {
                "asking where its end is".to_owned()
            }
        }
    }
}
