//! The Kafka adapter feeds readers as they need it: the feed's own suite, on the real broker.

use adapter_kafka::{KafkaConfig, NewMessage, Profile, RecordProducer, Topics, open_group, open_reader};
use event_reader::LogReader;
use event_reader::feed::{Group, GroupOptions};
use ledger::{Headers, Offset, Partition};
use testkit::feed_suite::{self, FeedLog, PARTITIONS};
use testkit::servers::{servers, test_prefix};

const DECLARED: &str = include_str!("../../deploy/topics.yaml");

struct OnKafka {
    config: KafkaConfig,
    producer: RecordProducer,
    topic: String,
}

impl FeedLog for OnKafka {
    async fn append(&self, partition: Partition, key: &str) -> anyhow::Result<Offset> {
        let message = NewMessage {
            topic: self.topic.clone(),
            partition: Some(partition.0),
            key: key.to_owned().into(),
            value: None,
            headers: Headers::new(),
        };
        Ok(self.producer.send(message).await?.1)
    }

    fn join(&self, max_batch_records: usize) -> anyhow::Result<Group> {
        let options =
            GroupOptions { max_batch_records, ..GroupOptions::new(format!("{}.group", self.topic)) };
        Ok(open_group(&self.config, &self.topic, PARTITIONS, options, None)?)
    }

    fn reader(&self) -> anyhow::Result<LogReader> {
        Ok(open_reader(&self.config, &self.topic, PARTITIONS, None)?)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_adapter_passes_the_suite_of_the_feed() -> anyhow::Result<()> {
    let bootstrap_servers =
        tokio::task::spawn_blocking(|| servers().addresses.kafka_bootstrap.clone()).await?;
    let config = KafkaConfig { bootstrap_servers, ..KafkaConfig::default() };
    feed_suite::run(async || {
        let prefix = format!("{}.", test_prefix());
        let topics = Topics::parse(DECLARED, "deploy/topics.yaml").expect("the declaration parses");
        let topics = topics.with_partitions(PARTITIONS).with_prefix(&prefix);
        topics.apply(&config, Profile::Local).await.expect("topics are made");
        let producer = RecordProducer::open(&config).expect("a producer opens");
        OnKafka { config: config.clone(), producer, topic: format!("{prefix}{}", contract::topics::EVENTS) }
    })
    .await
}
