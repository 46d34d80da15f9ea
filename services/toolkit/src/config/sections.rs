//! The sections that services share. A service's own configuration is a struct of these and of its own keys.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Secret, optional_address};
use crate::tls::{ServerTlsConfig, TlsConfig};

/// What a service tells about itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TelemetryConfig {
    pub log: LogFormat,
    /// A `tracing` filter: `info`, or `info,command_service=debug`.
    pub level: String,
    /// Where traces go (OTLP over gRPC, `http://host:4317`); none: traces are not exported.
    #[serde(deserialize_with = "optional_address")]
    pub otlp_endpoint: Option<String>,
    /// Which part of the traces is sampled that begin here, from 0 (none) to 1 (all). What comes in a trace of its client's is sampled
    /// if that is.
    pub trace_ratio: f64,
    /// How the collector is known at an `https://` endpoint, and what it is shown.
    pub otlp_tls: TlsConfig,
    /// Headers of every export, by name: what a collector asks of those it takes traces from.
    pub otlp_headers: BTreeMap<String, Secret>,
    /// Files that hold the values of further headers, by name; they may be replaced at any time.
    pub otlp_header_files: BTreeMap<String, PathBuf>,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self {
            log: LogFormat::Text,
            level: "info".to_owned(),
            otlp_endpoint: None,
            trace_ratio: 1.0,
            otlp_tls: TlsConfig::default(),
            otlp_headers: BTreeMap::new(),
            otlp_header_files: BTreeMap::new(),
        }
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

/// Where a service listens: this machine alone, unless told otherwise. Port 0 takes a free port, which the log and the service's
/// handle tell.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ListenConfig {
    pub http: SocketAddr,
    pub grpc: SocketAddr,
    /// Health and metrics: not for clients.
    pub ops: SocketAddr,
    /// TLS of the operators' port; that of the others is `http.tls`.
    pub ops_tls: ServerTlsConfig,
}

impl Default for ListenConfig {
    fn default() -> Self {
        let here = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        Self { http: here(8080), grpc: here(9090), ops: here(9464), ops_tls: ServerTlsConfig::default() }
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
