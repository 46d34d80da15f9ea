//! Settings every client shares, and what a client learns of its connections.

use rdkafka::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;

use super::Error;
use crate::config::KafkaConfig;
use crate::lifecycle::Dependency;

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
    for (name, value) in &config.properties {
        client.set(name, value);
    }
    client.set("bootstrap.servers", &config.bootstrap_servers);
    for (name, value) in fixed {
        client.set(*name, *value);
    }
    client
}

pub(super) fn refused(config: &KafkaConfig, error: &KafkaError) -> Error {
    Error::Client { servers: config.bootstrap_servers.clone(), problem: error.to_string() }
}

/// The context of every client of ours: logs of librdkafka, and connection trouble for readiness.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    role: &'static str,
    dependency: Option<Dependency>,
}

impl Connection {
    pub(super) fn new(role: &'static str, dependency: Option<Dependency>) -> Self {
        Self { role, dependency }
    }

    /// A broker answered.
    pub(super) fn up(&self) {
        if let Some(dependency) = &self.dependency {
            dependency.up();
        }
    }

    pub(super) fn down(&self, reason: impl Into<String>) {
        if let Some(dependency) = &self.dependency {
            dependency.down(reason);
        }
    }
}

impl ClientContext for Connection {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let role = self.role;
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => {
                tracing::warn!(target: "toolkit::kafka", role, facility, "{message}");
            }
            RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(target: "toolkit::kafka", role, facility, "{message}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(target: "toolkit::kafka", role, facility, "{message}"),
        }
    }

    /// One lost connection is no news (brokers close idle ones); only the loss of all is told to readiness here.
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "toolkit::kafka", role = self.role, %error, reason, "connection trouble");
        if error.rdkafka_error_code() == Some(rdkafka::types::RDKafkaErrorCode::AllBrokersDown) {
            self.down(reason);
        }
    }
}

/// For consumers that are assigned by hand: no rebalance ever reaches them.
impl ConsumerContext for Connection {}
