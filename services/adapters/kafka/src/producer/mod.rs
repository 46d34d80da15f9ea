//! Appending: the raw producer under [`super::KafkaEventLog`], and a plain one for dead letters and control records.
//!
//! Promises of the raw producer: one report per record, with an offset or as an unknown outcome; a record is sent at
//! most once (no retries, counted or not, and no idempotence: the log's rule needs neither, and librdkafka's idempotence
//! can append a record twice after its epoch changed); `send` never blocks.

mod lanes;
mod raw;
mod record;

#[cfg(feature = "bare")]
pub(super) use raw::log_settings;
pub(super) use raw::{RawProducer, Report};
pub use record::{NewMessage, RecordProducer};

use ledger::Headers;
use rdkafka::message::{Header, OwnedHeaders};

/// What every producer does with a batch unless configuration says otherwise
/// ([decision 12](../../../../../docs/decisions/0012-the-records-last-form.md)).
const COMPRESSION: (&str, &str) = ("compression.codec", "lz4");

/// Headers as librdkafka takes them.
pub(super) fn owned(headers: &Headers) -> OwnedHeaders {
    let empty = OwnedHeaders::new_with_capacity(headers.len());
    headers.iter().fold(empty, |owned, (name, value)| owned.insert(Header { key: name, value: Some(value) }))
}
