//! Makes what a read model sees of a record that counts.

use contract::envelope::read_meta;
use jiff::Timestamp;
use ledger::{LogRecord, Partition, RecordKey};
use read_models::model::{Meta, Place, Recorded};
use read_models::{Event, ProductId, Version};

/// Puts together what the key, the value, the headers and the log say. The key rules: headers are information.
pub(crate) fn recorded(
    partition: Partition,
    record: &LogRecord,
    key: &RecordKey,
    event: Event,
) -> Result<Recorded, String> {
    let meta = read_meta(&record.headers);
    Ok(Recorded {
        product: ProductId::parse(key.subject.as_str()).map_err(|error| error.to_string())?,
        version: Version(key.version),
        event_id: key.event_id,
        event,
        place: Place {
            partition: partition.0,
            offset: record.offset,
            appended_at: Timestamp::from_millisecond(record.timestamp_ms)
                .map_err(|error| error.to_string())?,
        },
        meta: Meta {
            actor: meta.actor.map(str::to_owned),
            command_id: meta.command_id.map(|id| id.0),
            correlation_id: meta.correlation_id.map(str::to_owned),
            occurred_at: meta.time,
        },
    })
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
        let event = contract::json::event_from_data("ProductListed", r#"{"status": "listed"}"#).unwrap();
        let recorded = recorded(Partition(2), &record, &key, event).unwrap();
        assert_eq!((recorded.product.as_str(), recorded.version), ("p-1", Version(3)));
        assert_eq!(
            (recorded.event_id, recorded.place.offset, recorded.place.partition),
            (key.event_id, 9, 2)
        );
        assert_eq!((recorded.meta.actor.as_deref(), recorded.meta.occurred_at), (Some("ann"), None));
    }
}
