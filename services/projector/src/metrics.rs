//! What the projector counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use event_reader::Tally;
use ledger::VoidReason;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram};
use read_models::declared::On;
use read_models::{Generation, ReadModel};
use toolkit::dead_letters::Kind;
use toolkit::telemetry::{Sampling, Telemetry, names};

use crate::partition::Traces;

/// Instruments of one read model. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    model: KeyValue,
    sampling: Sampling,
    applied: Counter<u64>,
    void: Counter<u64>,
    garbage: Counter<u64>,
    violations: Counter<u64>,
    writes: Counter<u64>,
    retries: Counter<u64>,
    takeovers: Counter<u64>,
    repaired: Counter<u64>,
    parked: Counter<u64>,
    dropped: Counter<u64>,
    parked_products: Gauge<u64>,
    parked_records: Gauge<u64>,
    batch_records: Histogram<u64>,
    batch_seconds: Histogram<f64>,
    delay: Histogram<f64>,
    lag: Gauge<u64>,
    build_lag: Gauge<u64>,
    stopped: Gauge<u64>,
    retrying: Gauge<u64>,
    stalled: Gauge<f64>,
    build_stopped: Gauge<u64>,
    /// Whether what is told of the build counts: of one that is not read only its lag and its stopped partitions do.
    tells: Option<Arc<AtomicBool>>,
}

impl Metrics {
    pub(crate) fn new(telemetry: &Telemetry, read_model: &str) -> Self {
        show(telemetry, read_model);
        let meter = telemetry.meter();
        Self {
            model: KeyValue::new("model", read_model.to_owned()),
            sampling: telemetry.sampling(),
            applied: meter.u64_counter(names::PROJECTOR_APPLIED_TOTAL).build(),
            void: meter.u64_counter(names::VOID_RECORDS_TOTAL).build(),
            garbage: meter.u64_counter(names::GARBAGE_RECORDS_TOTAL).build(),
            violations: meter.u64_counter(names::VIOLATIONS_TOTAL).build(),
            writes: meter.u64_counter(names::PROJECTOR_WRITES_TOTAL).build(),
            retries: meter.u64_counter(names::PROJECTOR_RETRIES_TOTAL).build(),
            takeovers: meter.u64_counter(names::PROJECTOR_TAKEOVERS_TOTAL).build(),
            repaired: meter.u64_counter(names::PROJECTOR_REPAIRED_PRODUCTS_TOTAL).build(),
            parked: meter.u64_counter(names::PROJECTOR_PARKED_TOTAL).build(),
            dropped: meter.u64_counter(names::PROJECTOR_DROPPED_TOTAL).build(),
            parked_products: meter.u64_gauge(names::PROJECTOR_PARKED_PRODUCTS).build(),
            parked_records: meter.u64_gauge(names::PROJECTOR_PARKED_RECORDS).build(),
            batch_records: meter.u64_histogram(names::PROJECTOR_BATCH_RECORDS).build(),
            batch_seconds: meter.f64_histogram(names::PROJECTOR_BATCH_SECONDS).build(),
            delay: meter.f64_histogram(names::PROJECTOR_DELAY_SECONDS).build(),
            lag: meter.u64_gauge(names::PROJECTOR_LAG_RECORDS).build(),
            build_lag: meter.u64_gauge(names::PROJECTOR_BUILD_LAG_RECORDS).build(),
            stopped: meter.u64_gauge(names::PROJECTOR_STOPPED_PARTITIONS).build(),
            retrying: meter.u64_gauge(names::PROJECTOR_RETRYING_PARTITIONS).build(),
            stalled: meter.f64_gauge(names::PROJECTOR_STALLED_SECONDS).build(),
            build_stopped: meter.u64_gauge(names::PROJECTOR_BUILD_STOPPED_PARTITIONS).build(),
            tells: None,
        }
    }

    /// The same for one of several builds, which counts only while `flag` is set.
    pub(crate) fn told_while(&self, flag: &Arc<AtomicBool>) -> Self {
        Self { tells: Some(Arc::clone(flag)), ..self.clone() }
    }

    /// What traces say of a read model beside.
    pub(crate) fn traces(&self, log: &'static str, read_model: ReadModel) -> Traces {
        let store = match (log, read_model.declared().on) {
            ("kafka", On::Cql(_)) => "cassandra",
            ("kafka", On::Search { .. }) => "elasticsearch",
            // In this process, on local disk.
            _ => "folio",
        };
        Traces { sampling: self.sampling, log, store, read_model: read_model.name() }
    }

    fn tells(&self) -> bool {
        self.tells.as_ref().is_none_or(|flag| flag.load(Ordering::Acquire))
    }

    /// Records were judged.
    pub(crate) fn judged(&self, tally: &Tally) {
        if !self.tells() {
            return;
        }
        for (reason, count) in &tally.void {
            self.void.add(*count, &[self.model.clone(), KeyValue::new("reason", reason.name())]);
        }
        if tally.garbage > 0 {
            self.garbage.add(tally.garbage, std::slice::from_ref(&self.model));
        }
    }

    pub(crate) fn violation(&self) {
        self.violations.add(1, std::slice::from_ref(&self.model));
    }

    pub(crate) fn retry(&self) {
        if !self.tells() {
            return;
        }
        self.retries.add(1, std::slice::from_ref(&self.model));
    }

    /// A partition was taken over again because rows may have been lost.
    pub(crate) fn took_over_again(&self) {
        self.takeovers.add(1, std::slice::from_ref(&self.model));
    }

    /// Products had rows that did not fit, and are built again.
    pub(crate) fn repaired(&self, products: usize) {
        self.repaired.add(products as u64, std::slice::from_ref(&self.model));
    }

    /// A record was parked.
    pub(crate) fn parked(&self, kind: Kind) {
        if self.tells() {
            self.parked.add(1, &[self.model.clone(), KeyValue::new("kind", kind.name())]);
        }
    }

    /// A record of a product that was given up.
    pub(crate) fn dropped(&self) {
        if self.tells() {
            self.dropped.add(1, std::slice::from_ref(&self.model));
        }
    }

    /// What is parked of the build that is read.
    pub(crate) fn are_parked(&self, products: usize, records: usize) {
        self.parked_products.record(products as u64, std::slice::from_ref(&self.model));
        self.parked_records.record(records as u64, std::slice::from_ref(&self.model));
    }

    /// A batch was written: how many records, events and rows; how long it took; how old its newest event was then.
    pub(crate) fn batch(
        &self,
        records: usize,
        applied: usize,
        writes: usize,
        took: Duration,
        delay: Option<Duration>,
    ) {
        if !self.tells() {
            return;
        }
        let model = std::slice::from_ref(&self.model);
        self.applied.add(applied as u64, model);
        self.writes.add(writes as u64, model);
        self.batch_records.record(records as u64, model);
        self.batch_seconds.record(took.as_secs_f64(), model);
        if let Some(delay) = delay {
            self.delay.record(delay.as_secs_f64(), model);
        }
    }

    pub(crate) fn lag(&self, partition: i32, records: u64) {
        self.lag.record(records, &[self.model.clone(), KeyValue::new("partition", i64::from(partition))]);
    }

    /// The same of a build that is not read.
    pub(crate) fn build_lag(&self, generation: Generation, partition: i32, records: u64) {
        let labels = [
            self.model.clone(),
            KeyValue::new("generation", generation.to_string()),
            KeyValue::new("partition", i64::from(partition)),
        ];
        self.build_lag.record(records, &labels);
    }

    pub(crate) fn build_stopped(&self, generation: Generation, partitions: usize) {
        let labels = [self.model.clone(), KeyValue::new("generation", generation.to_string())];
        self.build_stopped.record(partitions as u64, &labels);
    }

    pub(crate) fn stopped(&self, partitions: usize) {
        self.stopped.record(partitions as u64, std::slice::from_ref(&self.model));
    }

    /// So many partitions of the build that is read try something again.
    pub(crate) fn retrying(&self, partitions: usize) {
        self.retrying.record(partitions as u64, std::slice::from_ref(&self.model));
    }

    /// For so long one of its partitions has stood still though there is something to apply.
    pub(crate) fn stalled(&self, still: Duration) {
        self.stalled.record(still.as_secs_f64(), std::slice::from_ref(&self.model));
    }
}

/// The series that are there from the start. (What is told by partition stands without one until it owns one.)
fn show(telemetry: &Telemetry, read_model: &str) {
    let model = ("model", read_model);
    for reason in [VoidReason::OutsideWindow, VoidReason::Stale, VoidReason::Ahead] {
        telemetry.shows(names::VOID_RECORDS_TOTAL, &[model, ("reason", reason.name())]);
    }
    for kind in Kind::ALL {
        telemetry.shows(names::PROJECTOR_PARKED_TOTAL, &[model, ("kind", kind.name())]);
    }
    let by_model = [
        names::GARBAGE_RECORDS_TOTAL,
        names::VIOLATIONS_TOTAL,
        names::PROJECTOR_APPLIED_TOTAL,
        names::PROJECTOR_WRITES_TOTAL,
        names::PROJECTOR_BATCH_RECORDS,
        names::PROJECTOR_BATCH_SECONDS,
        names::PROJECTOR_DELAY_SECONDS,
        names::PROJECTOR_LAG_RECORDS,
        names::PROJECTOR_BUILD_LAG_RECORDS,
        names::PROJECTOR_RETRIES_TOTAL,
        names::PROJECTOR_TAKEOVERS_TOTAL,
        names::PROJECTOR_REPAIRED_PRODUCTS_TOTAL,
        names::PROJECTOR_DROPPED_TOTAL,
        names::PROJECTOR_PARKED_PRODUCTS,
        names::PROJECTOR_PARKED_RECORDS,
        names::PROJECTOR_STOPPED_PARTITIONS,
        names::PROJECTOR_RETRYING_PARTITIONS,
        names::PROJECTOR_STALLED_SECONDS,
        names::PROJECTOR_BUILD_STOPPED_PARTITIONS,
    ];
    telemetry.show_all(&by_model, &[model]);
}
