//! What the engine counts. Names are `toolkit::telemetry::names`.

use std::time::{Duration, Instant};

use ledger::{Partition, VoidReason};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use toolkit::telemetry::names;

use super::command::Transport;
use super::health::PartitionStatus;
use super::mailbox::Mailboxes;

/// The engine's instruments. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Instruments {
    meter: Meter,
    commands: Counter<u64>,
    seconds: Histogram<f64>,
    attempts: Counter<u64>,
    appends: Counter<u64>,
    append_seconds: Histogram<f64>,
    effective: Counter<u64>,
    voids: Counter<u64>,
    garbage: Counter<u64>,
    violations: Counter<u64>,
    unreadable: Counter<u64>,
    discards: Counter<u64>,
    cold_loads: Counter<u64>,
    cache_save_seconds: Histogram<f64>,
    cache_discarded: Counter<u64>,
}

/// What one thread has counted and not told yet: counting by labels has its price, so it is told once for many.
#[derive(Debug)]
pub(super) struct Tally {
    instruments: Instruments,
    answers: Vec<Answers>,
    appended: u64,
    unknown: u64,
}

/// So many answers of one kind.
#[derive(Debug)]
struct Answers {
    command: &'static str,
    outcome: &'static str,
    transport: Transport,
    number: u64,
}

impl Tally {
    pub(super) fn new(instruments: Instruments) -> Self {
        Self { instruments, answers: Vec::new(), appended: 0, unknown: 0 }
    }

    /// A command was answered, so long after it arrived.
    pub(super) fn answered(
        &mut self,
        command: &'static str,
        outcome: &'static str,
        transport: Transport,
        after: Duration,
    ) {
        self.instruments.took(command, outcome, after);
        let is_it =
            |it: &&mut Answers| (it.command, it.outcome, it.transport) == (command, outcome, transport);
        match self.answers.iter_mut().find(is_it) {
            Some(answers) => answers.number += 1,
            None => self.answers.push(Answers { command, outcome, transport, number: 1 }),
        }
    }

    /// An append was reported.
    pub(super) fn appended(&mut self, known: bool) {
        *(if known { &mut self.appended } else { &mut self.unknown }) += 1;
    }

    /// How long an append took that was sent then and is not measured yet.
    pub(super) fn append_took(&mut self, since: Option<Instant>) {
        if let Some(since) = since {
            self.instruments.append_seconds.record(since.elapsed().as_secs_f64(), &[]);
        }
    }

    /// Tells what was counted.
    pub(super) fn report(&mut self) {
        for answers in self.answers.drain(..) {
            self.instruments.commands_answered(&answers);
        }
        self.instruments.appends("appended", std::mem::take(&mut self.appended));
        self.instruments.appends("unknown", std::mem::take(&mut self.unknown));
    }
}

impl Instruments {
    pub fn new(meter: &Meter) -> Self {
        let counter = |name| meter.u64_counter(name).build();
        let histogram = |name| meter.f64_histogram(name).build();
        Self {
            meter: meter.clone(),
            commands: counter(names::COMMANDS_TOTAL),
            seconds: histogram(names::COMMAND_SECONDS),
            attempts: counter(names::COMMAND_ATTEMPTS_TOTAL),
            appends: counter(names::APPENDS_TOTAL),
            append_seconds: histogram(names::APPEND_SECONDS),
            effective: counter(names::EFFECTIVE_RECORDS_TOTAL),
            voids: counter(names::VOID_RECORDS_TOTAL),
            garbage: counter(names::GARBAGE_RECORDS_TOTAL),
            violations: counter(names::VIOLATIONS_TOTAL),
            unreadable: counter(names::UNREADABLE_RECORDS_TOTAL),
            discards: counter(names::DISCARDS_TOTAL),
            cold_loads: counter(names::CACHE_COLD_LOADS_TOTAL),
            cache_save_seconds: histogram(names::CACHE_SAVE_SECONDS),
            cache_discarded: counter(names::CACHE_DISCARDED_TOTAL),
        }
    }

    /// Shows what is on the board and in the inboxes whenever metrics are read.
    pub(super) fn watch(&self, board: &PartitionStatus, mailboxes: &Mailboxes) {
        let watched = board.clone();
        let next = self.meter.i64_observable_gauge(names::NEXT_OFFSET).with_callback(move |observer| {
            for (partition, next) in watched.next_offsets() {
                observer.observe(next, &[KeyValue::new("partition", i64::from(partition))]);
            }
        });
        let (watched, mailboxes) = (board.clone(), mailboxes.clone());
        let waiting =
            self.meter.u64_observable_gauge(names::COMMANDS_WAITING).with_callback(move |observer| {
                observer.observe(watched.waiting() + mailboxes.depth() as u64, &[]);
            });
        let watched = board.clone();
        let hot = self.meter.u64_observable_gauge(names::HOT_PRODUCTS).with_callback(move |observer| {
            observer.observe(watched.hot(), &[]);
        });
        let watched = board.clone();
        let hot_bytes = self.meter.u64_observable_gauge(names::HOT_BYTES).with_callback(move |observer| {
            observer.observe(watched.hot_bytes(), &[]);
        });
        let watched = board.clone();
        let withheld =
            self.meter.u64_observable_gauge(names::PRODUCTS_WITHHELD).with_callback(move |observer| {
                observer.observe(watched.withheld(), &[]);
            });
        // The provider keeps the callbacks; the handles have no further use.
        let (_next, _waiting) = (next.build(), waiting.build());
        let (_hot, _hot_bytes, _withheld) = (hot.build(), hot_bytes.build(), withheld.build());
    }

    pub(crate) fn answered(
        &self,
        command: &'static str,
        outcome: &'static str,
        transport: Transport,
        after: Duration,
    ) {
        self.took(command, outcome, after);
        self.commands_answered(&Answers { command, outcome, transport, number: 1 });
    }

    fn took(&self, command: &'static str, outcome: &'static str, after: Duration) {
        let labels = [KeyValue::new("command", command), KeyValue::new("outcome", outcome)];
        self.seconds.record(after.as_secs_f64(), &labels);
    }

    fn commands_answered(&self, answers: &Answers) {
        let labels = [
            KeyValue::new("command", answers.command),
            KeyValue::new("outcome", answers.outcome),
            KeyValue::new("transport", answers.transport.name()),
        ];
        self.commands.add(answers.number, &labels);
    }

    pub(super) fn decided_again(&self, reason: &'static str) {
        self.attempts.add(1, &[KeyValue::new("reason", reason)]);
    }

    fn appends(&self, outcome: &'static str, number: u64) {
        if number > 0 {
            self.appends.add(number, &[KeyValue::new("outcome", outcome)]);
        }
    }

    pub(super) fn effective(&self, partition: Partition, records: u64) {
        self.effective.add(records, &[KeyValue::new("partition", i64::from(partition.0))]);
    }

    pub(super) fn void(&self, reason: VoidReason) {
        match reason {
            VoidReason::Garbage | VoidReason::WrongPartition => self.garbage.add(1, &[]),
            VoidReason::OutsideWindow | VoidReason::Stale | VoidReason::Ahead => {
                self.voids.add(1, &[KeyValue::new("reason", reason.name())]);
            }
        }
    }

    pub(super) fn violation(&self) {
        self.violations.add(1, &[]);
    }

    pub(super) fn unreadable(&self) {
        self.unreadable.add(1, &[]);
    }

    pub(super) fn cold_load(&self) {
        self.cold_loads.add(1, &[]);
    }

    pub(super) fn cache_saved(&self, after: Duration) {
        self.cache_save_seconds.record(after.as_secs_f64(), &[]);
    }

    pub(super) fn cache_discarded(&self, reason: &'static str) {
        self.cache_discarded.add(1, &[KeyValue::new("reason", reason)]);
    }

    pub(super) fn discarded(&self, partition: Partition) {
        self.discards.add(1, &[KeyValue::new("partition", i64::from(partition.0))]);
    }
}
