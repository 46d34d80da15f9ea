//! How many questions were answered, how, and how long it took.

use std::time::Instant;

use contract::code::Code;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use read_models::ReadModel;
use toolkit::telemetry::names;

use super::ApiError;

/// The instruments of the questions, whichever API they came by.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    answered: Counter<u64>,
    seconds: Histogram<f64>,
    waited: Histogram<f64>,
    incomplete: Counter<u64>,
    uncounted: Counter<u64>,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            answered: meter.u64_counter(names::QUERIES_TOTAL).build(),
            seconds: meter.f64_histogram(names::QUERY_SECONDS).build(),
            incomplete: meter.u64_counter(names::INCOMPLETE_READS_TOTAL).build(),
            uncounted: meter.u64_counter(names::PARKED_UNKNOWN_TOTAL).build(),
            waited: meter.f64_histogram(names::CONSISTENCY_WAIT_SECONDS).build(),
        }
    }

    /// Counts a question that was answered with `answer`.
    pub(super) fn answered<T>(&self, query: &'static str, started: Instant, answer: &Result<T, ApiError>) {
        let outcome = answer.as_ref().map_or_else(|error| error.code().name(), |_| "answered");
        let query = KeyValue::new("query", query);
        if let Err(error) = answer
            && error.code() == Code::ReadModelIncomplete
        {
            tracing::warn!(%error, "rows are missing that the store had acknowledged");
            self.incomplete.add(1, std::slice::from_ref(&query));
        }
        self.seconds.record(started.elapsed().as_secs_f64(), std::slice::from_ref(&query));
        self.answered.add(1, &[query, KeyValue::new("outcome", outcome)]);
    }

    /// Counts an answer that does not say how many products are parked.
    pub(super) fn uncounted(&self, read_model: ReadModel) {
        self.uncounted.add(1, &[KeyValue::new("model", read_model.name())]);
    }

    /// Counts the time a question with a consistency token waits.
    pub(super) async fn waiting<T>(&self, wait: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let waited = wait.await;
        self.waited.record(started.elapsed().as_secs_f64(), &[]);
        waited
    }
}
