//! Bare clients with the settings of the log's own: what librdkafka and the brokers can do, to measure Folio against.
//!
//! Promises: the same settings, keys, headers and values as the log's adapter, and nothing beside librdkafka's own
//! work but counting; what is in flight is bounded; every delivery is awaited, and an error ends the measurement.

mod consumer;
mod ends;
mod producer;

use std::time::Duration;

pub use consumer::consume;
pub use ends::BareEnds;
pub use producer::BareProducer;

/// How long nothing may come before a measurement fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a bare client could not do.
#[derive(Debug, thiserror::Error)]
#[error("a bare client failed: {0}")]
pub struct BareError(String);

impl From<rdkafka::error::KafkaError> for BareError {
    fn from(error: rdkafka::error::KafkaError) -> Self {
        Self(error.to_string())
    }
}

impl From<super::Error> for BareError {
    fn from(error: super::Error) -> Self {
        Self(error.to_string())
    }
}
