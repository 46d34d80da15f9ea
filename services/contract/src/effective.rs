//! An effective record, decoded: what its key, value, headers and place in the log say together. The key rules; headers are
//! information.

use domain::{Event, ProductId, Version};
use jiff::Timestamp;
use ledger::{LogRecord, Partition, RecordKey};
use uuid::Uuid;

use crate::envelope::read_meta;

/// An effective record, decoded.
#[derive(Debug, Clone)]
pub struct EffectiveEvent {
    pub product: ProductId,
    /// The version the record gives the product.
    pub version: Version,
    pub event_id: Uuid,
    pub event: Event,
    pub place: LogPosition,
    pub meta: Meta,
}

/// Where and when the log holds a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogPosition {
    pub partition: i32,
    pub offset: i64,
    /// The broker's append time.
    pub appended_at: Timestamp,
}

/// What the record's headers say; all of it is information only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Meta {
    pub actor: Option<String>,
    /// Who gave the command, if that was on behalf of the actor.
    pub principal: Option<String>,
    pub command_id: Option<Uuid>,
    pub correlation_id: Option<String>,
    /// The writer's clock.
    pub occurred_at: Option<Timestamp>,
}

impl EffectiveEvent {
    /// Puts together a record, its key and its event; an error says why they are none.
    pub fn of(
        partition: Partition,
        record: &LogRecord,
        key: &RecordKey,
        event: Event,
    ) -> Result<Self, String> {
        let meta = read_meta(&record.headers);
        Ok(Self {
            product: ProductId::parse(key.subject.as_str()).map_err(|error| error.to_string())?,
            version: Version(key.version),
            event_id: key.event_id,
            event,
            place: LogPosition {
                partition: partition.0,
                offset: record.offset,
                appended_at: Timestamp::from_millisecond(record.timestamp_ms)
                    .map_err(|error| error.to_string())?,
            },
            meta: Meta {
                actor: meta.actor.map(str::to_owned),
                principal: meta.principal.map(str::to_owned),
                command_id: meta.command_id.map(|id| id.0),
                correlation_id: meta.correlation_id.map(str::to_owned),
                occurred_at: meta.time,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use ledger::Headers;

    use super::*;

    #[test]
    fn the_key_rules_and_headers_that_make_no_sense_are_left_out() {
        let key = RecordKey::parse(b"p-1/3/7/00000000-0000-8000-8000-000000000001").unwrap();
        let mut headers = Headers::new();
        headers.push("ce_subject", b"another-product");
        headers.push("ce_time", b"yesterday");
        headers.push("folio_actor", b"ann");
        let record = LogRecord { offset: 9, timestamp_ms: 1_000, key: Bytes::new(), value: None, headers };
        let event = crate::json::event_from_data("ProductListed", r#"{"status": "listed"}"#).unwrap();
        let event = EffectiveEvent::of(Partition(2), &record, &key, event).unwrap();
        assert_eq!((event.product.as_str(), event.version), ("p-1", Version(3)));
        assert_eq!((event.event_id, event.place.offset, event.place.partition), (key.event_id, 9, 2));
        assert_eq!((event.meta.actor.as_deref(), event.meta.occurred_at), (Some("ann"), None));
    }
}
