//! The sections that services share. A service's own configuration is a struct of these and of its own keys.

use std::net::{Ipv4Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::optional;

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
