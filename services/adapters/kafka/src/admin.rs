//! What a topic is, and whether it is what it has to be. Reads only.
//!
//! Promises: a missing topic is an error and is never created by asking for it; every difference is listed, with what
//! was declared and what is there.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, ResourceSpecifier};
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

use super::Error;
use super::client::{Connection, refused, settings};
use crate::config::KafkaConfig;
use crate::security::Mechanism;

/// How long it is waited for the reason of a failure.
const TOLD_WITHIN: Duration = Duration::from_millis(300);
/// After so long every broker knows a topic that was made.
const MADE_WITHIN: Duration = Duration::from_secs(2);

/// A topic as the brokers describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    pub name: String,
    /// The cluster's own id.
    pub cluster: String,
    pub partitions: i32,
    /// Replicas of the partition that has fewest.
    pub replication: i32,
    /// Every setting with its value in force, defaults included; `None`: they cannot be asked for.
    pub configs: Option<BTreeMap<String, String>>,
}

/// What a topic has to be; what is not named may be anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expectation {
    pub partitions: Option<i32>,
    pub replication: Option<i32>,
    pub configs: BTreeMap<String, String>,
}

/// One way in which a topic is not what it has to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// `partitions`, `replication`, or a topic setting.
    pub key: String,
    pub declared: String,
    pub actual: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is {} and has to be {}", self.key, self.actual, self.declared)
    }
}

impl Expectation {
    /// What the design relies on of any topic that is an event store, whatever its size: nothing is deleted or
    /// compacted away, the broker's clock stamps records, and no replica that fell behind becomes leader.
    pub fn event_log() -> Self {
        let configs = [
            ("cleanup.policy", "compact"),
            ("min.compaction.lag.ms", "9223372036854775807"),
            ("message.timestamp.type", "LogAppendTime"),
            ("unclean.leader.election.enable", "false"),
        ];
        Self::of(None, &configs)
    }

    /// What a journal relies on: one order, and nothing is ever deleted or replaced.
    pub fn journal() -> Self {
        let configs = [
            ("cleanup.policy", "delete"),
            ("retention.ms", "-1"),
            ("retention.bytes", "-1"),
            ("unclean.leader.election.enable", "false"),
        ];
        Self::of(Some(1), &configs)
    }

    fn of(partitions: Option<i32>, configs: &[(&str, &str)]) -> Self {
        let configs = configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { partitions, replication: None, configs }
    }

    /// Every difference, in a stable order.
    pub fn differences(&self, facts: &TopicFacts) -> Vec<Difference> {
        let mut differences = Vec::new();
        let mut compare = |key: &str, declared: Option<String>, actual: String| {
            if let Some(declared) = declared.filter(|declared| *declared != actual) {
                differences.push(Difference { key: key.to_owned(), declared, actual });
            }
        };
        compare("partitions", self.partitions.map(|n| n.to_string()), facts.partitions.to_string());
        compare("replication", self.replication.map(|n| n.to_string()), facts.replication.to_string());
        for (key, declared) in self.configs.iter().filter(|_| facts.configs.is_some()) {
            let known = facts.configs.as_ref();
            let actual = known
                .and_then(|it| it.get(key))
                .cloned()
                .unwrap_or_else(|| "unknown to the broker".to_owned());
            compare(key, Some(declared.clone()), actual);
        }
        differences
    }
}

/// Asks the brokers what `topic` is.
pub async fn describe_topic(config: &KafkaConfig, topic: &str) -> Result<TopicFacts, Error> {
    let (config, topic) = (config.clone(), topic.to_owned());
    let tried = format!("describe topic {topic}");
    tokio::task::spawn_blocking(move || Admin::open(&config)?.describe(&topic))
        .await
        .unwrap_or(Err(Error::Closed(tried)))
}

/// How many partitions `topic` has. Asks for nothing else of it, so that the right to describe it is enough.
pub async fn topic_partitions(config: &KafkaConfig, topic: &str) -> Result<i32, Error> {
    let (config, topic) = (config.clone(), topic.to_owned());
    let tried = format!("describe topic {topic}");
    tokio::task::spawn_blocking(move || Admin::open(&config)?.partitions(&topic))
        .await
        .unwrap_or(Err(Error::Closed(tried)))
}

/// Refuses a topic that is not what `expected` says; its facts (how many partitions) otherwise. For start-up.
pub async fn verify_topic(
    config: &KafkaConfig,
    topic: &str,
    expected: &Expectation,
) -> Result<TopicFacts, Error> {
    let facts = describe_topic(config, topic).await?;
    let differences = expected.differences(&facts);
    if differences.is_empty() {
        return Ok(facts);
    }
    Err(Error::Differs {
        topic: topic.to_owned(),
        differences,
        advice: "restore its settings by hand after making sure that nothing was lost, or name another topic",
    })
}

/// A client for administration. Everything on it blocks: use it in `spawn_blocking` only.
pub(super) struct Admin {
    pub(super) client: AdminClient<Connection>,
    metadata: BaseConsumer<Connection>,
    connection: Connection,
    /// The library's client for administration cannot sign in with a token: nobody hears its wish for one.
    pub(super) may_ask: bool,
    pub(super) servers: String,
    timeout: Duration,
}

impl Admin {
    pub(super) fn open(config: &KafkaConfig) -> Result<Self, Error> {
        let connection = Connection::new(config, "admin", None);
        let client =
            AdminClient::from_config_and_context(&settings(config, "admin", &[], &[]), connection.clone())
                .map_err(|error| refused(config, &error))?;
        // A consumer asks for a topic without creating it; a producer (which an admin client is) creates it.
        let metadata = settings(config, "admin", &[], &[("allow.auto.create.topics", "false")])
            .create_with_context(connection.clone())
            .map_err(|error| refused(config, &error))?;
        Ok(Self {
            client,
            metadata,
            connection,
            may_ask: config.sasl.mechanism != Some(Mechanism::OauthBearer),
            servers: config.bootstrap_servers.clone(),
            timeout: config.request_timeout(),
        })
    }

    /// No answer, and why, as far as the connections tell.
    pub(super) fn unreachable(&self, tried: String, error: &KafkaError) -> Error {
        // What the log says of connections comes as an event, and may come a little later.
        let until = Instant::now() + TOLD_WITHIN;
        while !self.connection.knows_why() && Instant::now() < until {
            drop(self.metadata.poll(TOLD_WITHIN / 10));
        }
        let problem = self.connection.why(error);
        Error::Unreachable { tried, servers: self.servers.clone(), problem }
    }

    pub(super) fn options(&self) -> AdminOptions {
        AdminOptions::new().request_timeout(Some(self.timeout)).operation_timeout(Some(self.timeout))
    }

    pub(super) fn describe(&self, topic: &str) -> Result<TopicFacts, Error> {
        let replicas = self.replicas(topic)?;
        let cluster = self.metadata.client().fetch_cluster_id(self.timeout);
        let unknown = || self.failed(topic, "the brokers do not tell the cluster's id".to_owned());
        let cluster = cluster.ok_or_else(unknown)?;
        let configs = self.settings_of(topic)?;
        Ok(TopicFacts {
            name: topic.to_owned(),
            cluster,
            partitions: replicas.len() as i32,
            replication: replicas.into_iter().min().unwrap_or(0) as i32,
            configs,
        })
    }

    pub(super) fn partitions(&self, topic: &str) -> Result<i32, Error> {
        Ok(self.replicas(topic)?.len() as i32)
    }

    /// How many replicas each partition has.
    fn replicas(&self, topic: &str) -> Result<Vec<usize>, Error> {
        // Events: a wish for a token, and what the log says.
        while self.metadata.poll(Duration::ZERO).is_some() {}
        let metadata = self
            .metadata
            .fetch_metadata(Some(topic), self.timeout)
            .map_err(|error| self.unreachable(describing(topic), &error))?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Err(Error::NoTopic(topic.to_owned()));
        };
        match found.error().map(RDKafkaErrorCode::from) {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                Err(Error::NoTopic(topic.to_owned()))
            }
            Some(code) => Err(self.failed(topic, code.to_string())),
            None if found.partitions().is_empty() => Err(Error::NoTopic(topic.to_owned())),
            None => Ok(found.partitions().iter().map(|partition| partition.replicas().len()).collect()),
        }
    }

    fn failed(&self, topic: &str, problem: String) -> Error {
        Error::Unreachable { tried: describing(topic), servers: self.servers.clone(), problem }
    }

    /// `None`: they cannot be asked for.
    fn settings_of(&self, topic: &str) -> Result<Option<BTreeMap<String, String>>, Error> {
        if !self.may_ask {
            tracing::warn!(
                topic,
                "signed in with a token, Folio cannot ask for a topic's settings: see `folio topics check` of a user with a \
                 password or a certificate"
            );
            return Ok(None);
        }
        let until = Instant::now() + MADE_WITHIN;
        let mut configs = self.settings_now(topic)?;
        while configs.is_empty() && Instant::now() < until {
            std::thread::sleep(MADE_WITHIN / 10);
            configs = self.settings_now(topic)?;
        }
        if configs.is_empty() {
            let problem = "its settings are not told: the authorization for DescribeConfigs is missing";
            return Err(self.failed(topic, problem.to_owned()));
        }
        Ok(Some(configs))
    }

    /// None, if the broker that was asked refuses, or does not know the topic yet: the library passes neither error on.
    fn settings_now(&self, topic: &str) -> Result<BTreeMap<String, String>, Error> {
        let (resource, options) = ([ResourceSpecifier::Topic(topic)], self.options());
        let described = tokio::runtime::Handle::current()
            .block_on(self.client.describe_configs(&resource, &options))
            .map_err(|error| self.unreachable(describing(topic), &error))?;
        let mut configs = BTreeMap::new();
        for resource in described {
            for entry in resource.map_err(|code| self.failed(topic, code.to_string()))?.entries {
                configs.insert(entry.name, entry.value.unwrap_or_default());
            }
        }
        Ok(configs)
    }
}

fn describing(topic: &str) -> String {
    format!("describe topic {topic}")
}
