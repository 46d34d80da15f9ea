//! Kafka and a schema registry as what the service runs on.

use std::sync::Arc;

use adapter_kafka::KafkaConfig;
use adapter_kafka::{Error, Expectation, KafkaEventLog, WantedHeaders, open_looks, verify_topic};
use adapter_registry::{Registry, TopicSchemas};
use anyhow::Context;
use contract::envelope::COMMAND_HEADERS;
use event_reader::{LogLooks, SchemaSource};
use futures::FutureExt;
use futures::future::BoxFuture;
use ledger::Inbox;
use toolkit::lifecycle::Dependency;

use super::{Backend, BackendError, OpenLog};
use crate::config::Config;

/// A topic of Kafka.
#[derive(Debug, Clone)]
pub struct KafkaBackend {
    kafka: KafkaConfig,
    topic: String,
    expected: Expectation,
    schemas: TopicSchemas,
}

impl KafkaBackend {
    /// Connects to nothing yet. Fails if the configuration cannot be used.
    pub fn new(config: &Config) -> anyhow::Result<Self> {
        let expected = Expectation {
            partitions: config.expected_topic.partitions,
            replication: config.expected_topic.replication,
            ..Expectation::event_log()
        };
        Ok(Self {
            kafka: config.kafka.clone(),
            topic: config.topic.clone(),
            expected,
            schemas: Registry::new(&config.registry)
                .context("cannot use the schema registry")?
                .of_topic(&config.topic),
        })
    }
}

impl Backend for KafkaBackend {
    fn name(&self) -> &'static str {
        "kafka"
    }

    fn schemas(&self) -> Arc<dyn SchemaSource> {
        Arc::new(self.schemas.clone())
    }

    fn open(
        &self,
        inbox: Arc<dyn Inbox>,
        dependency: Dependency,
    ) -> BoxFuture<'_, Result<OpenLog, BackendError>> {
        async move {
            // A topic that is not there yet may be made while we wait; one that differs is another's business.
            let failed = |error: Error| BackendError {
                transient: error.is_transient() || matches!(error, Error::NoTopic(_)),
                problem: error.to_string(),
            };
            let facts = verify_topic(&self.kafka, &self.topic, &self.expected).await.map_err(failed)?;
            let wanted = WantedHeaders::Last(COMMAND_HEADERS);
            let log = KafkaEventLog::open_with(
                &self.kafka,
                &self.topic,
                facts.partitions,
                wanted,
                inbox,
                Some(dependency),
            );
            tracing::info!(topic = self.topic, partitions = facts.partitions, "the log is open");
            let identity = format!(
                "topic {} with {} partitions in cluster {}",
                self.topic, facts.partitions, facts.cluster
            );
            let log = log.map_err(failed)?;
            let first = open_looks(&self.kafka, &self.topic, self.kafka.request_timeout()).map_err(failed)?;
            let looks = LogLooks::new(first, log.end_offsets());
            let name = format!("topic {}", self.topic);
            Ok(OpenLog { log: Arc::new(log), identity, name, topic: self.topic.clone(), looks })
        }
        .boxed()
    }
}
