//! An event as a record, and back. Promises that an event which cannot be written is refused before anything is.

use contract::avro::{self, SchemaIds};
use contract::envelope::{self, EventMeta};
use domain::Event;
use ledger::{Append, DecodedRecord, LogRecord, NewRecord, Unreadable};

use super::command::Origin;
use crate::catalog::Catalog;

/// Makes records. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Encoder {
    source: &'static str,
}

impl Encoder {
    /// `source` names the writer in every record: a URI reference.
    pub fn new(source: &'static str) -> Self {
        Self { source }
    }

    /// Encodes what is to be appended; the error says why it cannot be.
    pub(super) fn encode(
        &self,
        append: Append<Catalog>,
        origin: Option<&Origin>,
        ids: &SchemaIds,
        max_bytes: usize,
    ) -> Result<NewRecord, String> {
        let value = avro::encode(&append.event, ids).map_err(|error| error.to_string())?;
        if value.len() > max_bytes {
            return Err(format!("the encoded event has {} bytes, the most are {max_bytes}", value.len()));
        }
        let traceparent = origin.and_then(|origin| origin.trace).map(|trace| trace.to_string());
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

/// What a record of the log holds.
pub(super) fn recorded(record: &LogRecord, ids: &SchemaIds) -> Result<DecodedRecord<Event>, Unreadable> {
    let Some(value) = &record.value else { return Err(Unreadable("it is a tombstone".to_owned())) };
    let event = avro::decode(value, ids).map_err(|error| Unreadable(error.to_string()))?;
    let (command_id, command_hash) = envelope::read_command(&record.headers);
    Ok(DecodedRecord { event, command_id, command_hash })
}
