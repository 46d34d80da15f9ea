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
