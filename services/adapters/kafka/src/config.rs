//! The section of a service's configuration that says how to reach Kafka.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toolkit::config::{REDACTED, Unusable, is_secret, properties};
use toolkit::tls::TlsConfig;

use crate::security::{SaslConfig, SecurityProtocol, check};

/// How to reach Kafka.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KafkaConfig {
    /// `host:port`, several with commas.
    pub bootstrap_servers: String,
    /// How long a producer tries to deliver one record before its outcome is called unknown, in milliseconds.
    pub message_timeout_ms: u64,
    /// How long a producer waits for company before it sends a batch, in milliseconds. 0: batches form by themselves
    /// while an earlier batch is on its way.
    pub linger_ms: u64,
    /// How long a broker may hold back an empty answer to a fetch, in milliseconds (data is answered at once).
    pub fetch_wait_ms: u64,
    /// Memory for records fetched and not yet taken, per consumer, in KiB.
    pub fetch_buffer_kib: u64,
    /// How long a question to the brokers may take (end offsets, commits, metadata), in milliseconds.
    pub request_timeout_ms: u64,
    /// What the brokers' listener speaks.
    pub security_protocol: SecurityProtocol,
    /// Who a client is, with `sasl_plaintext` and `sasl_ssl`.
    pub sasl: SaslConfig,
    /// How brokers are known, with `ssl` and `sasl_ssl`, and what they are shown.
    pub tls: TlsConfig,
    /// Any further setting of librdkafka; applied to every client before Folio's own settings, which win. Printed redacted.
    #[serde(deserialize_with = "properties", serialize_with = "redacted")]
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaConfig {
    fn default() -> Self {
        Self {
            bootstrap_servers: "localhost:9092".to_owned(),
            message_timeout_ms: 5_000,
            linger_ms: 0,
            fetch_wait_ms: 20,
            fetch_buffer_kib: 8 * 1024,
            request_timeout_ms: 5_000,
            security_protocol: SecurityProtocol::default(),
            sasl: SaslConfig::default(),
            tls: TlsConfig::default(),
            properties: BTreeMap::new(),
        }
    }
}

impl KafkaConfig {
    /// Finds what parses and yet cannot serve, or contradicts itself.
    pub fn check(&self) -> Result<(), Unusable> {
        check(self)
    }

    /// How long a question to the brokers may take.
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

/// Shows a property's value only where it cannot be a secret.
fn redacted<S: serde::Serializer>(
    properties: &BTreeMap<String, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let secret = |name: &str| is_secret(name) || ["key", "config"].iter().any(|part| name.contains(part));
    serializer.collect_map(
        properties.iter().map(|(name, value)| (name, if secret(name) { REDACTED } else { value.as_str() })),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_shows_no_property_that_may_be_a_secret() {
        let properties =
            [("sasl.passwort", "hunter2"), ("ssl.key.pem", "hunter2"), ("sasl.username", "folio")];
        let properties = properties.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let printed = toolkit::config::print(&KafkaConfig { properties, ..KafkaConfig::default() });
        let printed = printed.expect("it can be printed");
        assert!(!printed.contains("hunter2") && printed.contains("sasl.username: folio"), "{printed}");
    }
}
