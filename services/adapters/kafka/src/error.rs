//! What can go wrong with Kafka before and beside the log itself.

use rdkafka::error::KafkaError;

use super::admin::Difference;

/// A call to Kafka that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// librdkafka refuses a setting: configuration is at fault, retrying does not help.
    #[error(
        "cannot make a Kafka client for {servers}: {problem}; check kafka.bootstrap_servers and kafka.properties"
    )]
    Client { servers: String, problem: String },
    /// The brokers did not answer, or not in time.
    #[error("cannot {tried} on {servers}: {problem}")]
    Unreachable { tried: String, servers: String, problem: String },
    #[error("there is no topic {0}; create it with `folio topics apply`")]
    NoTopic(String),
    /// The topic is not what its declaration says.
    #[error("topic {topic} differs from its declaration: {}; {advice}", list(differences))]
    Differs { topic: String, differences: Vec<Difference>, advice: &'static str },
    #[error("cannot use the declaration of topics {path}: {problem}")]
    Declaration { path: String, problem: String },
    /// The thread that would do it has ended.
    #[error("cannot {0}: the client is closed")]
    Closed(String),
    /// A thread could not be started.
    #[error("cannot start a thread for Kafka: {0}")]
    Thread(#[from] std::io::Error),
}

impl Error {
    /// Whether the same call may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }

    pub(super) fn unreachable(tried: impl Into<String>, servers: &str, problem: &KafkaError) -> Self {
        Self::Unreachable { tried: tried.into(), servers: servers.to_owned(), problem: problem.to_string() }
    }
}

fn list(differences: &[Difference]) -> String {
    differences.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl toolkit::retry::Transient for Error {
    fn is_transient(&self) -> bool {
        self.is_transient()
    }
}
