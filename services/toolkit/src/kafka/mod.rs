//! Kafka: the log's adapter for writers, the group consumer for projectors, and the topics' administration.
//!
//! Promises: whatever of librdkafka blocks, blocks a thread of its own here, never a caller and never a tokio worker;
//! progress is the consumer's position, never "last offset plus one"; and no offset is ever chosen silently.

mod admin;
#[cfg(feature = "kafka-bare")]
pub mod bare;
mod client;
#[cfg(feature = "kafka-consumer")]
mod confirm;
#[cfg(feature = "kafka-consumer")]
mod end_offset;
mod error;
#[cfg(feature = "kafka-consumer")]
mod follow;
#[cfg(feature = "kafka-consumer")]
mod group;
#[cfg(all(feature = "kafka-producer", feature = "kafka-consumer"))]
mod log;
#[cfg(feature = "kafka-producer")]
mod producer;
#[cfg(feature = "kafka-consumer")]
mod range;
#[cfg(feature = "kafka-consumer")]
mod record;
#[cfg(feature = "kafka-admin")]
mod replicas;
#[cfg(feature = "kafka-consumer")]
mod tail;
#[cfg(feature = "kafka-admin")]
mod topics;

pub use admin::{Difference, Expectation, TopicFacts, describe_topic, verify_topic};
#[cfg(feature = "kafka-consumer")]
pub use end_offset::EndOffsets;
pub use error::Error;
#[cfg(feature = "kafka-consumer")]
pub use follow::{Followed, follow};
#[cfg(feature = "kafka-consumer")]
pub use group::{Claim, Group, GroupEvent, GroupHandle, GroupOptions, RevokeAck};
#[cfg(all(feature = "kafka-producer", feature = "kafka-consumer"))]
pub use log::KafkaEventLog;
#[cfg(feature = "kafka-producer")]
pub use producer::{NewMessage, RecordProducer};
#[cfg(feature = "kafka-consumer")]
pub use range::RangeReader;
#[cfg(feature = "kafka-consumer")]
pub use record::WantedHeaders;
#[cfg(feature = "kafka-admin")]
pub use replicas::{ReplicaWatch, Replicas};
#[cfg(feature = "kafka-consumer")]
pub use tail::Tail;
#[cfg(feature = "kafka-admin")]
pub use topics::{Applied, Profile, Topics};
