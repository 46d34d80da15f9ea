//! Kafka: the log's adapter for writers, the threads behind `event_reader::feed` for readers, and the topics' administration.
//!
//! Promises: whatever of librdkafka blocks, blocks a thread of its own here, never a caller and never a tokio worker;
//! progress is the consumer's position, never "last offset plus one"; and no offset is ever chosen silently.
//!
//! Start at [`KafkaEventLog`] for a writer, [`open_group`] for a projector, [`Topics`] for `deploy/topics.yaml`.

mod admin;
#[cfg(feature = "bare")]
pub mod bare;
mod client;
mod config;
mod confirm;
mod dead_letters;
mod end_offset;
mod error;
mod group;
mod journal;
mod log;
mod producer;
mod range;
mod record;
mod replicas;
mod security;
mod tail;
mod tokens;
mod topics;

pub use admin::{Difference, Expectation, TopicFacts, describe_topic, topic_partitions, verify_topic};
pub use config::KafkaConfig;
pub use dead_letters::{KafkaDeadLetters, dead_letter_topic};
pub use error::Error;
pub use group::open_group;
pub use journal::KafkaJournal;
pub use log::{KafkaEventLog, open_reader, read_topic};
pub use producer::{NewMessage, RecordProducer};
pub use range::{open_looks, open_ranges};
pub use record::WantedHeaders;
pub use replicas::{ReplicaWatch, Replicas};
pub use security::{Mechanism, SaslConfig, SecurityProtocol};
pub use topics::{Applied, Profile, Topics};
