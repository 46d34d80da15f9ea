//! An event as a record, and back. Promises that an event which cannot be written is refused before anything is.

use std::sync::Arc;

use contract::avro::{self, SchemaIds};
use contract::envelope::{self, EventMeta};
use domain::Event;
use ledger::{Append, AppendError, DecodedRecord, LogRecord, NewRecord, Offset, Partition, Unreadable};
use toolkit::telemetry::{TRACES_ONLY, TraceContext};
use tracing::Span;

use super::command::{Origin, Ticket};
use crate::catalog::Catalog;

/// Makes records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Encoder {
    source: &'static str,
    /// What kind of log records go to, and what it is called: for traces.
    log: (&'static str, Arc<str>),
}

impl Encoder {
    /// `source` names the writer in every record: a URI reference. `log` is what kind of log they go to, and its name.
    pub fn new(source: &'static str, log: (&'static str, &str)) -> Self {
        Self { source, log: (log.0, log.1.into()) }
    }

    /// Begins the span of a record's way to the log, if its command is sampled; what the record is to say of its trace. By
    /// OpenTelemetry's conventions for producers.
    pub(super) fn produces(
        &self,
        ticket: &mut Ticket,
        append: &Append<Catalog>,
        partition: Partition,
    ) -> Option<TraceContext> {
        let trace = ticket.origin.trace?;
        if !trace.is_sampled() {
            return Some(trace);
        }
        let (system, topic) = (self.log.0, &*self.log.1);
        let span = tracing::info_span!(
            target: TRACES_ONLY,
            "produce",
            otel.name = format!("send {topic}"),
            otel.kind = "producer",
            otel.status_code = tracing::field::Empty,
            otel.status_description = tracing::field::Empty,
            messaging.system = system,
            messaging.operation.name = "send",
            "messaging.operation.type" = "send",
            messaging.destination.name = topic,
            messaging.destination.partition.id = %partition,
            messaging.message.id = %append.key.event_id,
            messaging.kafka.message.key = %append.key,
            messaging.kafka.offset = tracing::field::Empty,
        );
        let trace = trace.adopt(&span);
        ticket.producing = span;
        Some(trace)
    }

    /// Encodes what is to be appended, in this trace; the error says why it cannot be.
    pub(super) fn encode(
        &self,
        append: Append<Catalog>,
        origin: Option<&Origin>,
        trace: Option<TraceContext>,
        ids: &SchemaIds,
        max_bytes: usize,
    ) -> Result<NewRecord, String> {
        let value = avro::encode(&append.event, ids).map_err(|error| error.to_string())?;
        if value.len() > max_bytes {
            return Err(format!("the encoded event has {} bytes, the most are {max_bytes}", value.len()));
        }
        let traceparent = trace.map(|trace| trace.to_string());
        let meta = EventMeta {
            event_id: append.key.event_id,
            time: jiff::Timestamp::now(),
            source: self.source,
            correlation_id: origin.and_then(|origin| origin.correlation_id.as_deref()),
            command_id: append.command_id,
            command_hash: append.command_hash,
            actor: origin.and_then(|origin| origin.actor.as_deref()),
            principal: origin.and_then(|origin| origin.principal.as_deref()),
            traceparent: traceparent.as_deref(),
        };
        let headers = envelope::headers(&meta, &append.after, append.event.type_name());
        Ok(NewRecord { key: append.key, value, headers })
    }
}

/// The way of a record to the log is over.
pub(super) fn produced(ticket: &mut Ticket, outcome: &Result<Offset, AppendError>) {
    let span = std::mem::replace(&mut ticket.producing, Span::none());
    if span.is_disabled() {
        return;
    }
    match outcome {
        Ok(offset) => {
            span.record("messaging.kafka.offset", offset);
        }
        Err(error) => toolkit::telemetry::failed(&span, error),
    }
}

/// What a record of the log holds.
pub(super) fn recorded(record: &LogRecord, ids: &SchemaIds) -> Result<DecodedRecord<Event>, Unreadable> {
    let Some(value) = &record.value else { return Err(Unreadable("it is a tombstone".to_owned())) };
    let event = avro::decode(value, ids).map_err(|error| Unreadable(error.to_string()))?;
    let (command_id, command_hash) = envelope::read_command(&record.headers);
    Ok(DecodedRecord { event, command_id, command_hash })
}
