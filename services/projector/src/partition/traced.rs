//! What traces show of a partition's work: a span for the batch, and one for each record of it whose trace is sampled, from its
//! judgement to the writing of its rows.
//!
//! Promises: a record is a child of what sent it, so that a trace goes on to the stores; a batch is a trace of its own, with links to its
//! records', as it belongs to none of them; without an exporter a batch costs one comparison, and a record that is not sampled
//! costs a look at its headers. A build that is not read has none: it replays what traces have shown long ago.

use contract::envelope;
use event_reader::Judged;
use ledger::{Offset, Partition};
use read_models::control::Role;
use read_models::model::{Fold, Store};
use toolkit::telemetry::{NAMES_LINES, Sampling, StoreCall, TRACES_ONLY, TraceContext, failed};
use tracing::Span;

use super::unwritten::is_not_read;
use super::{Context, Task};

/// What a projector's traces say of what it reads and writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traces {
    pub(crate) sampling: Sampling,
    /// What kind of log there is,
    pub(crate) log: &'static str,
    /// what kind of store, by OpenTelemetry's conventions, and which read model lies there.
    pub(crate) store: &'static str,
    pub(crate) read_model: &'static str,
}

/// The spans of a batch.
#[derive(Debug)]
pub(super) struct Traced {
    /// None unless it has a record that is sampled.
    pub(super) batch: Span,
    /// Of its sampled records, by their offsets, until their rows are written.
    records: Vec<(Offset, Span)>,
}

impl Default for Traced {
    fn default() -> Self {
        Self { batch: Span::none(), records: Vec::new() }
    }
}

impl Traces {
    /// Begins the spans of what counts of a batch.
    fn begin(&self, of: (&str, &str, Partition), records: &[Judged<'_>]) -> Traced {
        if !self.sampling.is_exported() {
            return Traced::default();
        }
        let sampled: Vec<_> = records.iter().filter_map(|it| Some((it, sampled(it)?))).collect();
        if sampled.is_empty() {
            return Traced::default();
        }
        let batch = self.batch(of, records.len());
        for (_, context) in &sampled {
            context.link_to(&batch);
        }
        if let Some(context) = TraceContext::of(&batch) {
            context.name(&batch);
        }
        let spans = sampled.into_iter().map(|(it, context)| (it.record.offset, self.record(of, it, context)));
        Traced { records: spans.collect(), batch }
    }

    /// It names the lines that are logged while it is written.
    fn batch(&self, (topic, group, partition): (&str, &str, Partition), records: usize) -> Span {
        tracing::info_span!(
            target: NAMES_LINES,
            parent: None,
            "batch",
            otel.name = format!("process {topic}"),
            otel.kind = "consumer",
            messaging.system = self.log,
            messaging.operation.name = "process",
            "messaging.operation.type" = "process",
            messaging.destination.name = topic,
            messaging.destination.partition.id = %partition,
            messaging.consumer.group.name = group,
            messaging.batch.message_count = records as u64,
            folio.read_model = self.read_model,
            trace_id = tracing::field::Empty,
        )
    }

    fn record(
        &self,
        (topic, group, partition): (&str, &str, Partition),
        Judged { key, record, .. }: &Judged<'_>,
        context: TraceContext,
    ) -> Span {
        let span = tracing::info_span!(
            target: TRACES_ONLY,
            parent: None,
            "record",
            otel.name = format!("process {topic}"),
            otel.kind = "consumer",
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
            messaging.system = self.log,
            messaging.operation.name = "process",
            "messaging.operation.type" = "process",
            messaging.destination.name = topic,
            messaging.destination.partition.id = %partition,
            messaging.consumer.group.name = group,
            messaging.message.id = %key.event_id,
            messaging.kafka.message.key = %key,
            messaging.kafka.offset = record.offset,
            folio.product.id = %key.subject,
            folio.read_model = self.read_model,
        );
        // Nothing is passed on.
        let _its_own = context.adopt(&span);
        span
    }
}

impl Traced {
    /// Begins the spans of writing the rows of the records below `position`.
    pub(super) fn writing(&self, traces: &Traces, position: Offset, rows: usize) -> Vec<Span> {
        let call = StoreCall {
            system: traces.store,
            operation: "write",
            namespace: None,
            collection: traces.read_model,
            batch: Some(rows),
        };
        let below = self.records.iter().take_while(|(offset, _)| *offset < position);
        below.map(|(_, span)| call.inside(span)).collect()
    }

    /// The rows of the records below `position` are written.
    pub(super) fn written(&mut self, position: Offset) {
        let below = self.records.partition_point(|(offset, _)| *offset < position);
        self.records.drain(..below);
    }

    /// A record is parked.
    pub(super) fn parked(&self, offset: Offset, reason: &str) {
        if let Some((_, span)) = self.records.iter().find(|(its, _)| *its == offset) {
            failed(span, &format_args!("parked: {reason}"));
        }
    }
}

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// Begins the spans of what counts of a batch.
    pub(super) fn trace(&mut self, records: &[Judged<'_>], role: Role) {
        let Context { traces, topic, group, .. } = &*self.context;
        let of = (topic.as_str(), group.as_str(), self.claim.partition);
        self.traced = if is_not_read(role) { Traced::default() } else { traces.begin(of, records) };
    }
}

/// The context that a record was sent in, if that is sampled.
fn sampled(judged: &Judged<'_>) -> Option<TraceContext> {
    let header = judged.record.headers.get(envelope::names::TRACEPARENT)?;
    let context = TraceContext::parse(std::str::from_utf8(header).ok()?)?;
    context.is_sampled().then_some(context)
}
