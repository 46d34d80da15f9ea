//! Requests to stores, as traces show them: by OpenTelemetry's conventions for clients of databases.
//!
//! Promise: outside of a sampled trace a request costs one look more, and nothing is made for it.

use std::fmt::Display;

use tracing::{Instrument, Span};

use super::{TRACES_ONLY, is_traced};

/// What is asked of a store.
#[derive(Clone, Copy, Debug)]
pub struct StoreCall<'c> {
    /// As the conventions call what speaks the store's protocol: `cassandra`, `elasticsearch`.
    pub system: &'static str,
    /// What is done, in the store's own words: `SELECT`, `bulk`.
    pub operation: &'c str,
    /// In which keyspace.
    pub namespace: Option<&'c str>,
    /// With which table or index.
    pub collection: &'c str,
    /// How many of it travel together.
    pub batch: Option<usize>,
}

impl StoreCall<'_> {
    /// Its span, in the span that is entered.
    fn span(&self) -> Span {
        self.inside(&Span::current())
    }

    /// Its span, in another one.
    pub fn inside(&self, parent: &Span) -> Span {
        let Self { system, operation, namespace, collection, batch } = *self;
        let name = [operation, collection];
        tracing::info_span!(
            target: TRACES_ONLY,
            parent: parent,
            "store",
            otel.name = name.join(" ").trim_end(),
            otel.kind = "client",
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
            db.system.name = system,
            db.namespace = namespace,
            db.operation.name = operation,
            db.collection.name = collection,
            db.operation.batch.size = batch.map(|it| it as u64),
        )
    }
}

/// The answer to a request, in a span that `call` describes if what asks is traced.
pub async fn traced<'c, T, E: Display>(
    call: impl FnOnce() -> StoreCall<'c>,
    request: impl Future<Output = Result<T, E>>,
) -> Result<T, E> {
    if !is_traced() {
        return request.await;
    }
    let span = call().span();
    let answer = request.instrument(span.clone()).await;
    if let Err(error) = &answer {
        failed(&span, error);
    }
    answer
}

/// Says in a span that what it shows failed.
pub fn failed(span: &Span, error: &dyn Display) {
    span.record("otel.status_code", "error");
    span.record("otel.status_description", tracing::field::display(error));
}
