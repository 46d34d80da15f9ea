//! Settings every client shares, and what a client learns of its connections.

use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use super::Error;
use crate::config::KafkaConfig;
use crate::security::apply;
use crate::tokens::Tokens;
use toolkit::config::is_secret;
use toolkit::lifecycle::Dependency;
use toolkit::tls::explained;

/// The settings of a client: ours that may be tuned, then the operator's, then `fixed`, which the design relies on.
pub(super) fn settings(
    config: &KafkaConfig,
    role: &str,
    tunable: &[(&str, &str)],
    fixed: &[(&str, &str)],
) -> ClientConfig {
    let mut client = ClientConfig::new();
    // Whoever sets librdkafka's `debug` wants to see it.
    let debugging = config.properties.contains_key("debug");
    client.set_log_level(if debugging { RDKafkaLogLevel::Debug } else { RDKafkaLogLevel::Warning });
    // A broker that comes back must be found at once, not after librdkafka's ten seconds.
    client.set("reconnect.backoff.ms", "50").set("reconnect.backoff.max.ms", "1000");
    client.set("socket.keepalive.enable", "true").set("socket.nagle.disable", "true");
    // Folio exports its own metrics; brokers need not ask for librdkafka's.
    client.set("enable.metrics.push", "false");
    client.set("client.id", format!("folio-{role}"));
    for (name, value) in tunable {
        client.set(*name, *value);
    }
    apply(config, &mut client);
    for (name, value) in &config.properties {
        client.set(name, value);
    }
    client.set("bootstrap.servers", &config.bootstrap_servers);
    for (name, value) in fixed {
        client.set(*name, *value);
    }
    client
}

/// What every consumer of records relies on: it starts where it is told, resets nothing, commits nothing by itself, sees every
/// record at once, and hears of the end.
pub(super) const READS: [(&str, &str); 8] = [
    ("allow.auto.create.topics", "false"),
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_uncommitted"),
    ("enable.partition.eof", "true"),
    ("check.crcs", "true"),
    ("fetch.min.bytes", "1"),
];

pub(super) fn refused(config: &KafkaConfig, error: &KafkaError) -> Error {
    Error::Client { servers: config.bootstrap_servers.clone(), problem: told(error) }
}

/// What librdkafka says, without the value of a setting that may be a secret.
pub(super) fn told(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, _, key, _) if is_secret(key) => {
            format!("librdkafka refuses the setting {key}, or does not know it")
        }
        _ => error.to_string(),
    }
}

/// The context of every client of ours: logs of librdkafka, and readiness.
///
/// Readiness is told by those who ask and get an answer or none, never by librdkafka's error events: these come late, in
/// crowds, and also for connections that brokers close because they are idle.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    role: &'static str,
    tokens: Option<Tokens>,
    dependency: Option<Dependency>,
    /// Why the last connection failed: "timed out" alone would not say that a port is closed.
    failure: Arc<Mutex<Option<String>>>,
}

impl Connection {
    pub(super) fn new(config: &KafkaConfig, role: &'static str, dependency: Option<Dependency>) -> Self {
        Self { role, tokens: Tokens::of(config), dependency, failure: Arc::default() }
    }

    /// Whether a connection has failed, and the reason is known.
    pub(super) fn knows_why(&self) -> bool {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// What was asked failed with `error`: that, and what is known of the connection, if it is the connection's fault.
    pub(super) fn why(&self, error: &KafkaError) -> String {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match failure {
            Some(failure) => format!("{error} ({failure})"),
            None => error.to_string(),
        }
    }

    /// A broker answered.
    pub(super) fn up(&self) {
        if let Some(dependency) = &self.dependency {
            dependency.up();
            self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
    }

    /// No broker answered.
    pub(super) fn down(&self, reason: &str) {
        if let Some(dependency) = &self.dependency {
            let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone();
            dependency
                .down(failure.map_or_else(|| reason.to_owned(), |failure| format!("{reason} ({failure})")));
        }
    }
}

impl ClientContext for Connection {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        let Some(tokens) = &self.tokens else { return Err("kafka.sasl has no token".into()) };
        tokens.next().map_err(|problem| {
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(problem.clone());
            tracing::warn!(target: "adapter_kafka", role = self.role, problem, "no token to sign in to Kafka with");
            problem.into()
        })
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let role = self.role;
        if facility == "FAIL" {
            let failure = explained(message.to_owned());
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(failure);
        }
        match level {
            // While brokers are away every client repeats these, several times a second.
            _ if matches!(facility, "FAIL" | "REQTMOUT" | "METADATAUPDATE") => {
                tracing::debug!(target: "adapter_kafka", role, facility, "{message}");
            }
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error
            | RDKafkaLogLevel::Warning => {
                tracing::warn!(target: "adapter_kafka", role, facility, "{message}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "adapter_kafka", role, facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "adapter_kafka", role, facility, "{message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "adapter_kafka", role = self.role, %error, reason, "connection trouble");
    }
}

/// For consumers that are assigned by hand: no rebalance ever reaches them.
impl ConsumerContext for Connection {}
