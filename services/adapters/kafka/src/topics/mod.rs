//! The declared topics (`deploy/topics.yaml`): created where missing, compared where there, never altered.
//!
//! Promises: a topic that exists is not touched; every difference is reported with its declaration; a declaration with
//! an unknown key is refused.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rdkafka::admin::{NewTopic, TopicReplication};
use rdkafka::types::RDKafkaErrorCode;
use serde::Deserialize;

use super::admin::{Admin, Difference, Expectation};
use super::{Error, TopicFacts};
use crate::config::KafkaConfig;

/// How long a topic that was created may take to be seen, and how often it is looked for.
const SEEN_WITHIN: Duration = Duration::from_secs(10);
const SEEN_EVERY: Duration = Duration::from_millis(50);

/// Which of the declared sizes apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Three brokers or more.
    #[default]
    Default,
    /// One broker on this machine.
    Local,
}

/// The declarations of all topics.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Topics {
    topics: Vec<Topic>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Topic {
    name: String,
    /// For the reader of the file.
    #[serde(rename = "purpose")]
    _purpose: String,
    partitions: PerProfile<i32>,
    replication: PerProfile<i32>,
    configs: BTreeMap<String, PerProfile<Scalar>>,
}

/// One value for all profiles, or one for each.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum PerProfile<T> {
    Each { default: T, local: T },
    All(T),
}

/// A setting as written: `compact`, `-1`, `false`.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum Scalar {
    Bool(bool),
    Number(i64),
    Text(String),
}

/// What became of one declared topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    Created(String),
    AsDeclared(String),
    /// Only when checking.
    Missing(String),
    Differs {
        topic: String,
        differences: Vec<Difference>,
    },
}

impl Applied {
    /// Whether the topic is now what its declaration says.
    pub fn is_as_declared(&self) -> bool {
        matches!(self, Self::Created(_) | Self::AsDeclared(_))
    }

    pub fn topic(&self) -> &str {
        match self {
            Self::Created(topic)
            | Self::AsDeclared(topic)
            | Self::Missing(topic)
            | Self::Differs { topic, .. } => topic,
        }
    }
}

impl Topics {
    pub fn load(path: &Path) -> Result<Self, Error> {
        let shown = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::Declaration { path: shown.clone(), problem: error.to_string() })?;
        Self::parse(&text, &shown)
    }

    /// `path` is what errors call the text.
    pub fn parse(text: &str, path: &str) -> Result<Self, Error> {
        serde_yaml_ng::from_str(text)
            .map_err(|error| Error::Declaration { path: path.to_owned(), problem: error.to_string() })
    }

    /// The same topics under other names, so that tests do not meet: `prefix` is put before each name.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        for topic in &mut self.topics {
            topic.name.insert_str(0, prefix);
        }
        self
    }

    /// The same topics with another number of partitions, for tests.
    #[must_use]
    pub fn with_partitions(mut self, partitions: i32) -> Self {
        for topic in &mut self.topics {
            if topic.partitions.of(Profile::Default) > &1 {
                topic.partitions = PerProfile::All(partitions);
            }
        }
        self
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.topics.iter().map(|topic| topic.name.as_str())
    }

    /// What each topic has to be.
    pub fn expectations(&self, profile: Profile) -> Vec<(String, Expectation)> {
        self.topics.iter().map(|topic| (topic.name.clone(), topic.expectation(profile))).collect()
    }

    /// Creates the topics that are missing and compares the others; alters none.
    pub async fn apply(&self, config: &KafkaConfig, profile: Profile) -> Result<Vec<Applied>, Error> {
        self.each(config, profile, true).await
    }

    /// Compares all topics; changes nothing.
    pub async fn check(&self, config: &KafkaConfig, profile: Profile) -> Result<Vec<Applied>, Error> {
        self.each(config, profile, false).await
    }

    async fn each(
        &self,
        config: &KafkaConfig,
        profile: Profile,
        create: bool,
    ) -> Result<Vec<Applied>, Error> {
        let (config, declared) = (config.clone(), self.expectations(profile));
        let work = move || {
            let admin = Admin::open(&config)?;
            declared.iter().map(|(topic, expected)| apply_one(&admin, topic, expected, create)).collect()
        };
        tokio::task::spawn_blocking(work)
            .await
            .unwrap_or_else(|_cancelled| Err(Error::Closed("apply topics".to_owned())))
    }
}

impl Topic {
    fn expectation(&self, profile: Profile) -> Expectation {
        let configs =
            self.configs.iter().map(|(key, value)| (key.clone(), value.of(profile).text())).collect();
        Expectation {
            partitions: Some(*self.partitions.of(profile)),
            replication: Some(*self.replication.of(profile)),
            configs,
        }
    }
}

impl<T> PerProfile<T> {
    fn of(&self, profile: Profile) -> &T {
        match (self, profile) {
            (Self::All(value) | Self::Each { default: value, .. }, Profile::Default)
            | (Self::All(value) | Self::Each { local: value, .. }, Profile::Local) => value,
        }
    }
}

impl Scalar {
    fn text(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Number(value) => value.to_string(),
            Self::Text(value) => value.clone(),
        }
    }
}

/// Creates a topic of its own, beside the declared ones; one that is there already has to be what is expected.
pub(super) async fn create_topic(
    config: &KafkaConfig,
    topic: &str,
    expected: Expectation,
) -> Result<(), Error> {
    let (config, name) = (config.clone(), topic.to_owned());
    let work = move || apply_one(&Admin::open(&config)?, &name, &expected, true);
    let applied = tokio::task::spawn_blocking(work).await;
    match applied.unwrap_or_else(|_cancelled| Err(Error::Closed(format!("create topic {topic}"))))? {
        Applied::Differs { topic, differences } => Err(Error::Differs {
            topic,
            differences,
            advice: "set it so, after making sure that nothing in it was lost",
        }),
        Applied::Created(_) | Applied::AsDeclared(_) | Applied::Missing(_) => Ok(()),
    }
}

/// Deletes a topic; whether it was there.
pub(super) async fn delete_topic(config: &KafkaConfig, topic: &str) -> Result<bool, Error> {
    let (config, topic) = (config.clone(), topic.to_owned());
    let tried = format!("delete topic {topic}");
    let failed = tried.clone();
    let work = move || {
        let admin = Admin::open(&config)?;
        match admin.partitions(&topic) {
            Ok(_) => {}
            Err(Error::NoTopic(_)) => return Ok(false),
            Err(error) => return Err(error),
        }
        let unreachable = |problem: String| Error::Unreachable {
            tried: tried.clone(),
            servers: admin.servers.clone(),
            problem,
        };
        if !admin.may_ask {
            return Err(unreachable("a client for administration cannot sign in with a token".to_owned()));
        }
        let deleted = tokio::runtime::Handle::current()
            .block_on(admin.client.delete_topics(&[&topic], &admin.options()))
            .map_err(|error| admin.unreachable(tried.clone(), &error))?;
        match deleted.into_iter().next() {
            None | Some(Ok(_)) => Ok(true),
            Some(Err((_, RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic))) => {
                Ok(false)
            }
            Some(Err((_, code))) => Err(unreachable(code.to_string())),
        }
    };
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Error::Closed(failed)))
}

fn apply_one(admin: &Admin, topic: &str, expected: &Expectation, create: bool) -> Result<Applied, Error> {
    match admin.describe(topic) {
        Ok(facts) => Ok(compared(&facts, expected)),
        Err(Error::NoTopic(_)) if create => create_one(admin, topic, expected),
        Err(Error::NoTopic(_)) => Ok(Applied::Missing(topic.to_owned())),
        Err(error) => Err(error),
    }
}

fn compared(facts: &TopicFacts, expected: &Expectation) -> Applied {
    let differences = expected.differences(facts);
    if differences.is_empty() {
        Applied::AsDeclared(facts.name.clone())
    } else {
        Applied::Differs { topic: facts.name.clone(), differences }
    }
}

fn create_one(admin: &Admin, topic: &str, expected: &Expectation) -> Result<Applied, Error> {
    let tried = || format!("create topic {topic}");
    if !admin.may_ask {
        let problem = "a client for administration cannot sign in with a token: create topics as a user with a password or a \
                       certificate"
            .to_owned();
        return Err(Error::Unreachable { tried: tried(), servers: admin.servers.clone(), problem });
    }
    let (partitions, replication) = (expected.partitions.unwrap_or(1), expected.replication.unwrap_or(1));
    let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(replication));
    for (key, value) in &expected.configs {
        new = new.set(key, value);
    }
    let (news, options) = ([new], admin.options());
    let created = tokio::runtime::Handle::current()
        .block_on(admin.client.create_topics(&news, &options))
        .map_err(|error| admin.unreachable(tried(), &error))?;
    for outcome in created {
        match outcome {
            Ok(_) => {}
            // Someone else was quicker: what they made is compared like any other.
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {
                return Ok(compared(&admin.describe(topic)?, expected));
            }
            Err((_, code)) => {
                let problem = match code {
                    RDKafkaErrorCode::InvalidReplicationFactor => format!(
                        "{code}: a topic with {replication} replicas needs as many brokers; where there are fewer take the \
                         profile `local`, with one replica (`--profile local`, `topics.profile=local` of the chart)"
                    ),
                    code => code.to_string(),
                };
                return Err(Error::Unreachable { tried: tried(), servers: admin.servers.clone(), problem });
            }
        }
    }
    seen(admin, topic, expected)
}

/// Waits until the topic is what was created: a broker may hear of it a little later than the controller.
fn seen(admin: &Admin, topic: &str, expected: &Expectation) -> Result<Applied, Error> {
    let until = Instant::now() + SEEN_WITHIN;
    loop {
        match admin.describe(topic).map(|facts| compared(&facts, expected)) {
            Ok(Applied::AsDeclared(topic)) => return Ok(Applied::Created(topic)),
            Ok(_) | Err(Error::NoTopic(_)) if Instant::now() < until => std::thread::sleep(SEEN_EVERY),
            outcome => return outcome,
        }
    }
}
