//! One partition as its thread hosts it: carries out what the partition's driver says, and tells operators how it is.
//!
//! Promises: what the driver says is done in its order; nothing that goes wrong with one partition holds up another.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use domain::Rejection;
use ledger::{
    Answer, Append, EventLog, Held, Limits, Mark, Offset, Output, Partition, PartitionDriver, Sequencer,
    Signal, VoidReason,
};

use super::cache::{PartitionCache, Saver};
use super::command::{Refusal, Submitted, Ticket};
use super::encode::{Encoder, produced};
use super::health::PartitionStatus;
use super::instruments::{Instruments, Tally};
use super::schemas::{Known, Schemas};
use super::served::ServedLog;
use crate::catalog::Catalog;
use crate::config::EngineConfig;

/// How often a partition that is behind says how far it is.
const TELL_MS: u64 = 100;
/// Garbage is counted always and logged this often at most.
const REPORT_GARBAGE: Duration = Duration::from_secs(10);

/// What the partitions of a thread share.
pub(super) struct Tools {
    pub(super) log: Arc<dyn EventLog>,
    encoder: Encoder,
    schemas: Schemas,
    /// What was known of the schemas when they changed last.
    known: Arc<Known>,
    max_record_bytes: usize,
    instruments: Instruments,
    pub(super) tally: Tally,
    board: PartitionStatus,
    pub(super) served: ServedLog,
}

impl Tools {
    pub(super) fn new(
        log: Arc<dyn EventLog>,
        encoder: Encoder,
        schemas: Schemas,
        config: &EngineConfig,
        instruments: Instruments,
        board: PartitionStatus,
        served: ServedLog,
    ) -> Self {
        let (known, tally) = (schemas.known(), Tally::new(instruments.clone()));
        let max_record_bytes = config.max_record_bytes;
        Self { log, encoder, schemas, known, max_record_bytes, instruments, tally, board, served }
    }

    pub(super) fn schemas_changed(&mut self) {
        self.known = self.schemas.known();
    }

    fn answer(&mut self, ticket: Ticket, answer: Answer<Rejection>) {
        self.tally.answered(ticket.command, outcome(&answer), ticket.transport, ticket.arrived.elapsed());
        // An append that outlives its command is among the slow ones: it took at least so long.
        self.tally.append_took(ticket.appended);
        // A client that went away needs no answer.
        drop(ticket.reply.send(Ok(answer)));
    }

    pub(super) fn refuse(&mut self, ticket: Ticket, refusal: Refusal) {
        self.tally.answered(ticket.command, refusal.name(), ticket.transport, ticket.arrived.elapsed());
        drop(ticket.reply.send(Err(refusal)));
    }
}

pub(super) struct PartitionHost {
    partition: Partition,
    driver: PartitionDriver<Catalog, Ticket>,
    cold: Option<PartitionCache>,
    /// What was told to the board, and when to tell more.
    told_caught_up: bool,
    tell_ms: u64,
    /// For counting effective records: `next` at the last look, and void records since.
    seen: Offset,
    voids: u64,
    /// When garbage was last logged.
    reported_garbage: Option<Instant>,
}

impl PartitionHost {
    /// With a shelf, products that are not in use lie there, and a snapshot's mark says where to start.
    pub(super) fn new(
        partition: Partition,
        partitions: i32,
        config: &EngineConfig,
        cold: Option<(PartitionCache, Option<Mark>)>,
    ) -> Self {
        let limits = Limits {
            max_waiting: config.max_waiting,
            max_attempts: config.max_attempts,
            remembered: config.remembered_commands,
        };
        // Random 64 bits: no sequencer ever had them, so that event ids are new.
        let nonce =
            uuid::Uuid::new_v4().as_u64_pair().1.rotate_left(8) ^ uuid::Uuid::new_v4().as_u64_pair().0;
        let sequencer = Sequencer::new(partition, partitions, nonce, limits);
        let held = Held { records: config.tail_records, bytes: config.tail_bytes() };
        let driver = PartitionDriver::new(sequencer, held, config.deadline_ms);
        let (driver, cold) = match cold {
            Some((cold, mark)) => {
                (driver.keeping(Box::new(cold.clone()), cold.policy(partitions), mark), Some(cold))
            }
            None => (driver, None),
        };
        let seen = driver.sequencer().next();
        let (told_caught_up, tell_ms, voids, reported_garbage) = (false, 0, 0, None);
        Self { partition, driver, cold, told_caught_up, tell_ms, seen, voids, reported_garbage }
    }

    pub(super) fn start(&mut self, tools: &mut Tools, now_ms: u64) {
        self.driver.start(now_ms);
        self.carry_out(tools);
    }

    pub(super) fn command(&mut self, tools: &mut Tools, now_ms: u64, submitted: Submitted) {
        if let Some(reason) = self.driver.refuses() {
            let refusal = Refusal::NotReady(format!("partition {} {reason}", self.partition));
            return tools.refuse(submitted.submission.context, refusal);
        }
        self.driver.command(now_ms, submitted.submission);
        self.carry_out(tools);
    }

    pub(super) fn signal(&mut self, tools: &mut Tools, now_ms: u64, signal: Signal) {
        if let Signal::Appended { append_id, outcome, .. } = &signal {
            let since = self.driver.context_of(*append_id).and_then(|ticket| {
                produced(ticket, outcome);
                ticket.unknown = outcome.is_err();
                ticket.appended.take()
            });
            tools.tally.appended(outcome.is_ok());
            tools.tally.append_took(since);
        }
        self.driver.signal(now_ms, signal, &*tools.known);
        self.learn_log(tools);
        self.carry_out(tools);
    }

    /// What was applied shows which log it is, before anything that follows from it is done.
    fn learn_log(&self, tools: &Tools) {
        let sequencer = self.driver.sequencer();
        match sequencer.log() {
            Some(log) if tools.served.of(self.partition) != Some(log) => {
                tools.served.shows(self.partition, log, sequencer.next());
            }
            None if sequencer.next() == 0 && self.driver.is_caught_up() => {
                tools.served.shows_none(self.partition);
            }
            Some(_) | None => {}
        }
    }

    pub(super) fn schemas_changed(&mut self, tools: &mut Tools, now_ms: u64) {
        self.driver.schemas_changed(now_ms, &*tools.known);
        self.carry_out(tools);
    }

    pub(super) fn saved(&mut self, number: u64) {
        self.driver.saved(number);
    }

    pub(super) fn save_failed(&mut self, reason: String) {
        self.driver.save_failed(reason);
    }

    pub(super) fn tick(&mut self, tools: &mut Tools, now_ms: u64) {
        self.driver.tick(now_ms);
        if !self.told_caught_up && now_ms >= self.tell_ms {
            self.tell_ms = now_ms + TELL_MS;
            tools.board.behind(self.partition, self.driver.waits_for());
        }
    }

    /// Whether time matters to it.
    pub(super) fn is_restless(&self) -> bool {
        !self.told_caught_up || self.driver.is_restless()
    }

    /// Saves what has changed, if it is time. Waits for the disk only when twice as much has changed as is saved at once.
    pub(super) fn save(&mut self, saver: &Saver, now_ms: u64) -> anyhow::Result<()> {
        let Some(cold) = &self.cold else { return Ok(()) };
        if cold.is_broken() {
            bail!("the cache cannot be read again and again: delete it, or give another cache.dir");
        }
        if let Some(snapshot) = self.driver.save(now_ms) {
            saver.save(cold, snapshot);
        }
        Ok(())
    }

    /// Saves what has changed, before the end.
    pub(super) fn save_now(&mut self, saver: &Saver) {
        if let Some(cold) = &self.cold
            && let Some(snapshot) = self.driver.save_now()
        {
            saver.save(cold, snapshot);
        }
    }

    /// Carries out what the driver says.
    pub(super) fn carry_out(&mut self, tools: &mut Tools) {
        while tools.served.replaced().is_none()
            && let Some(output) = self.driver.next_output()
        {
            self.carry_out_one(tools, output);
        }
    }

    fn carry_out_one(&mut self, tools: &mut Tools, output: Output<Catalog, Ticket>) {
        let partition = self.partition.0;
        match output {
            Output::Append(append) => self.append(tools, append),
            Output::AskEndOffset { request } => tools.log.ask_end_offset(self.partition, request),
            Output::Answer { context, answer } => tools.answer(context, answer),
            Output::TailFrom(from) => tools.log.tail_from(self.partition, from),
            Output::TailFailed { problem, again_in_ms } => tracing::warn!(
                partition,
                problem,
                again_ms = again_in_ms,
                "the tail of a partition failed: it is started again"
            ),
            Output::AskSchema { schema, again } => {
                if !again {
                    tracing::warn!(
                        partition,
                        schema.id = schema,
                        "an effective record names a schema id not met before: asking the registry"
                    );
                }
                tools.schemas.ask(schema);
            }
            Output::Discard { reason } => {
                tracing::error!(partition, reason, "the state of a partition is discarded and built again");
                tools.instruments.discarded(self.partition);
                (self.seen, self.voids) = (0, 0);
            }
            // Who writes the cache ends the process, in order: until then commands are answered.
            Output::GiveUp { reason } => {
                tracing::error!(partition, reason, "nothing of a partition is saved any more");
            }
            Output::Violation { offset, subject, version, current, first } => {
                tools.instruments.violation();
                // Once: whoever writes one writes many.
                if first {
                    tracing::error!(
                        partition, kafka.offset = offset, product.id = %subject, version, current,
                        "a record that no correct writer wrote: its product takes no more commands"
                    );
                }
            }
            Output::UnreadableRecord { offset, subject, version, reason, first } => {
                tools.instruments.unreadable();
                if first {
                    tracing::error!(
                        partition, kafka.offset = offset, product.id = %subject, version, reason,
                        "an effective record cannot be read: its product takes no more commands"
                    );
                }
            }
            Output::VoidRecord { offset, reason } => self.void(tools, offset, reason),
        }
    }

    fn void(&mut self, tools: &Tools, offset: Offset, reason: VoidReason) {
        self.voids += 1;
        tools.instruments.void(reason);
        let partition = self.partition.0;
        let is_garbage = matches!(reason, VoidReason::Garbage | VoidReason::WrongPartition);
        let is_due = self.reported_garbage.is_none_or(|reported| reported.elapsed() >= REPORT_GARBAGE);
        if is_garbage && is_due {
            self.reported_garbage = Some(Instant::now());
            let problem = "a record that says nothing: someone else writes into the topic";
            tracing::warn!(partition, kafka.offset = offset, reason = reason.name(), "{problem}");
        } else {
            tracing::debug!(partition, kafka.offset = offset, ?reason, "a void record");
        }
    }

    fn append(&mut self, tools: &mut Tools, append: Append<Catalog>) {
        let append_id = append.append_id;
        let partition = self.partition;
        let asked = self.driver.context(append.command).map(|ticket| {
            if ticket.appends > 0 {
                tools.instruments.decided_again(if ticket.unknown { "outcome_unknown" } else { "void" });
            }
            ticket.appends += 1;
            ticket.appended = Some(Instant::now());
            let trace = tools.encoder.produces(ticket, &append, partition);
            (&ticket.origin, trace)
        });
        let (origin, trace) = asked.unzip();
        let (ids, most) = (&tools.known.ids, tools.max_record_bytes);
        match tools.encoder.encode(append, origin, trace.flatten(), ids, most) {
            Ok(record) => tools.log.append(partition, append_id, record),
            Err(reason) => self.driver.refused(append_id, reason),
        }
    }

    /// Tells others how far it is: once for all the mail of a round, for each telling has its price.
    pub(super) fn report(&mut self, tools: &Tools) {
        let sequencer = self.driver.sequencer();
        let next = sequencer.next();
        if next > self.seen {
            let applied = (next - self.seen) as u64;
            tools.instruments.effective(self.partition, applied.saturating_sub(self.voids));
            (self.seen, self.voids) = (next, 0);
            tools.log.applied(self.partition, next);
        }
        tools.board.at(sequencer);
        let caught_up = self.driver.is_caught_up();
        if caught_up && !self.told_caught_up {
            tools.board.caught_up(self.partition);
        } else if !caught_up && self.told_caught_up {
            tools.board.behind(self.partition, self.driver.waits_for());
        }
        self.told_caught_up = caught_up;
    }
}

/// The label of an answer in metrics.
fn outcome(answer: &Answer<Rejection>) -> &'static str {
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
        Answer::Withheld => "withheld",
        Answer::TooLarge(_) => "too_large",
        Answer::Defect(_) => "defect",
        Answer::DeadlineExceeded => "deadline_exceeded",
    }
}
