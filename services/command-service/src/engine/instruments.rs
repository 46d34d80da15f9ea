//! What the engine counts. Names are `toolkit::telemetry::names`.

use std::sync::Arc;
use std::time::Duration;

use ledger::{Partition, VoidReason};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use toolkit::telemetry::names;

use super::health::Board;
use super::mailbox::Mailbox;

/// The door a command came through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Http,
    HttpBulk,
    Grpc,
    GrpcBulk,
    /// From the process itself.
    Local,
}

impl Transport {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::HttpBulk => "http_bulk",
            Self::Grpc => "grpc",
            Self::GrpcBulk => "grpc_bulk",
            Self::Local => "local",
        }
    }
}

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
    discards: Counter<u64>,
    cold_loads: Counter<u64>,
    cache_save_seconds: Histogram<f64>,
    cache_thrown_away: Counter<u64>,
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
            discards: counter(names::DISCARDS_TOTAL),
            cold_loads: counter(names::CACHE_COLD_LOADS_TOTAL),
            cache_save_seconds: histogram(names::CACHE_SAVE_SECONDS),
            cache_thrown_away: counter(names::CACHE_THROWN_AWAY_TOTAL),
        }
    }

    /// Shows what is on the board and in the inboxes whenever metrics are read.
    pub(super) fn watch(&self, board: &Board, mailboxes: &Arc<[Mailbox]>) {
        let watched = board.clone();
        let next = self.meter.i64_observable_gauge(names::NEXT_OFFSET).with_callback(move |observer| {
            for (partition, next) in watched.next_offsets() {
                observer.observe(next, &[KeyValue::new("partition", i64::from(partition))]);
            }
        });
        let (watched, mailboxes) = (board.clone(), Arc::clone(mailboxes));
        let waiting =
            self.meter.u64_observable_gauge(names::COMMANDS_WAITING).with_callback(move |observer| {
                let in_inboxes: usize = mailboxes.iter().map(Mailbox::depth).sum();
                observer.observe(watched.waiting() + in_inboxes as u64, &[]);
            });
        let watched = board.clone();
        let hot = self.meter.u64_observable_gauge(names::HOT_PRODUCTS).with_callback(move |observer| {
            observer.observe(watched.hot(), &[]);
        });
        // The provider keeps the callbacks; the handles have no further use.
        let (_next, _waiting, _hot) = (next.build(), waiting.build(), hot.build());
    }

    pub(crate) fn answered(
        &self,
        command: &'static str,
        outcome: &'static str,
        transport: Transport,
        after: Duration,
    ) {
        let labels = [
            KeyValue::new("command", command),
            KeyValue::new("outcome", outcome),
            KeyValue::new("transport", transport.name()),
        ];
        self.commands.add(1, &labels);
        self.seconds.record(after.as_secs_f64(), &labels[..2]);
    }

    pub(super) fn decided_again(&self, reason: &'static str) {
        self.attempts.add(1, &[KeyValue::new("reason", reason)]);
    }

    pub(super) fn appended(&self, known: bool, after: Duration) {
        let outcome = if known { "appended" } else { "unknown" };
        self.appends.add(1, &[KeyValue::new("outcome", outcome)]);
        self.append_seconds.record(after.as_secs_f64(), &[]);
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

    pub(super) fn cold_load(&self) {
        self.cold_loads.add(1, &[]);
    }

    pub(super) fn cache_saved(&self, after: Duration) {
        self.cache_save_seconds.record(after.as_secs_f64(), &[]);
    }

    pub(super) fn cache_thrown_away(&self, reason: &'static str) {
        self.cache_thrown_away.add(1, &[KeyValue::new("reason", reason)]);
    }

    pub(super) fn discarded(&self, partition: Partition) {
        self.discards.add(1, &[KeyValue::new("partition", i64::from(partition.0))]);
    }
}
