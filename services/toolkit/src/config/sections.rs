//! The sections that services share. A service's own configuration is a struct of these and of its own keys.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Secret;
use super::source::{list, optional, properties};

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
    /// Any further setting of librdkafka, such as `security.protocol` or `sasl.username`; applied to every client
    /// before Folio's own settings, which win. Printed redacted.
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
            properties: BTreeMap::new(),
        }
    }
}

impl KafkaConfig {
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
    let secret =
        |name: &str| ["password", "secret", "pem", "key", "config"].iter().any(|part| name.contains(part));
    serializer.collect_map(
        properties
            .iter()
            .map(|(name, value)| (name, if secret(name) { "<redacted>" } else { value.as_str() })),
    )
}

/// How to reach the schema registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// Where the Confluent API begins: `http://host:8081`, for Apicurio `http://host:8080/apis/ccompat/v7`.
    pub url: String,
    #[serde(deserialize_with = "optional")]
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// How long one call may take, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self { url: "http://localhost:8081".to_owned(), username: None, password: None, timeout_ms: 5_000 }
    }
}

/// How to reach ScyllaDB or Cassandra.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CqlConfig {
    /// `host:port` of some nodes; the driver finds the others.
    #[serde(deserialize_with = "list")]
    pub contact_points: Vec<String>,
    /// The data centre whose nodes are preferred; none: any.
    #[serde(deserialize_with = "optional")]
    pub local_datacenter: Option<String>,
    pub keyspace: String,
    #[serde(deserialize_with = "optional")]
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// CQL map of the keyspace's replication, used when the keyspace is created.
    pub replication: String,
    /// How long one statement may take, in milliseconds.
    pub timeout_ms: u64,
    /// How many writes may be under way at once.
    pub concurrency: usize,
}

impl Default for CqlConfig {
    fn default() -> Self {
        Self {
            contact_points: vec!["localhost:9042".to_owned()],
            local_datacenter: None,
            keyspace: "folio".to_owned(),
            username: None,
            password: None,
            replication: "{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}".to_owned(),
            timeout_ms: 5_000,
            concurrency: 256,
        }
    }
}

/// How to reach Elasticsearch or `OpenSearch`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    pub url: String,
    /// What the name of every index begins with.
    pub index_prefix: String,
    #[serde(deserialize_with = "optional")]
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub api_key: Option<Secret>,
    /// How long one request may take, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:9200".to_owned(),
            index_prefix: "folio".to_owned(),
            username: None,
            password: None,
            api_key: None,
            timeout_ms: 10_000,
        }
    }
}

/// What a service tells about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    pub log: LogFormat,
    /// A `tracing` filter: `info`, or `info,command_service=debug`.
    pub level: String,
    /// Where traces go (OTLP over gRPC, `http://host:4317`); none: traces are not exported.
    #[serde(deserialize_with = "optional")]
    pub otlp_endpoint: Option<String>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log: LogFormat::Text, level: "info".to_owned(), otlp_endpoint: None }
    }
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Where a service listens. Port 0 takes a free port, which the log and the service's handle tell.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    /// Health and metrics: not for clients.
    pub ops: SocketAddr,
}

impl Default for ListenConfig {
    fn default() -> Self {
        let all = |port| SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
        Self { http: all(8080), grpc: all(9090), ops: all(9464) }
    }
}

/// How a service ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShutdownConfig {
    /// How long a service still takes requests after it said it is not ready, in milliseconds, so that load balancers
    /// learn of it before connections close.
    pub drain_delay_ms: u64,
    /// How long its tasks may then take to finish, in milliseconds.
    pub grace_ms: u64,
}

impl Default for ShutdownConfig {
    fn default() -> Self {
        Self { drain_delay_ms: 0, grace_ms: 25_000 }
    }
}
