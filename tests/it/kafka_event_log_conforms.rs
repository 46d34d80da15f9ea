//! The Kafka adapter is a log as the sequencer needs it: the port's own suite, on the real broker.

use std::sync::Arc;

use adapter_kafka::KafkaConfig;
use adapter_kafka::{KafkaEventLog, Profile, Topics, WantedHeaders};
use ledger::{EventLog, Inbox};
use ledger_sim::conformance::{self, Harness};
use testkit::servers::{servers, test_prefix};

const DECLARED: &str = include_str!("../../deploy/topics.yaml");
const PARTITIONS: i32 = 2;

struct OnKafka {
    config: KafkaConfig,
    topic: String,
}

impl Harness for OnKafka {
    fn open(&self, inbox: Arc<dyn Inbox>) -> Box<dyn EventLog> {
        Box::new(
            KafkaEventLog::open_with(&self.config, &self.topic, PARTITIONS, WantedHeaders::All, inbox, None)
                .expect("a log opens"),
        )
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_adapter_passes_the_suite_of_its_port() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        let bootstrap_servers = servers().addresses.kafka_bootstrap.clone();
        let config = KafkaConfig { bootstrap_servers, ..KafkaConfig::default() };
        conformance::run_all(|case| {
            // The outcome of a case is read in order: its name is the last line before a panic.
            eprintln!("case {case}");
            let prefix = format!("{}.", test_prefix());
            let topics = Topics::parse(DECLARED, "deploy/topics.yaml").expect("the declaration parses");
            let topics = topics.with_partitions(PARTITIONS).with_prefix(&prefix);
            runtime.block_on(topics.apply(&config, Profile::Local)).expect("topics are made");
            OnKafka { config: config.clone(), topic: format!("{prefix}catalog.product.events.v1") }
        });
    })
    .await?;
    Ok(())
}
