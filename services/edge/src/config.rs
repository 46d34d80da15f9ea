//! The section of a service's configuration that says what its doors take of their clients.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use toolkit::memory::Memory;
use toolkit::tls::ServerTlsConfig;

use crate::connections::Limits;

/// How both doors behave: `http` in a service's configuration, because most of it is about HTTP.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DoorConfig {
    /// Threads that parse requests and write answers of HTTP.
    pub workers: usize,
    /// Connections that may be open at once, over HTTP and over gRPC each. The next one waits to be taken.
    pub max_connections: usize,
    /// Largest body of a request, and largest message over gRPC, in bytes.
    pub max_body_bytes: usize,
    /// Memory for bodies and messages that are arriving, all together, in MiB. More are answered `overloaded`.
    pub bodies_mib: usize,
    /// How long a body or message may take to arrive, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long a stream (an upload, over HTTP or gRPC) may stand still because its client sends nothing or, where no more
    /// answers can wait, takes none (five times as long once everything is sent), and how long any other client may leave
    /// what it was sent unacknowledged, in milliseconds.
    pub stall_ms: u64,
    /// TLS, of HTTP and of gRPC.
    pub tls: ServerTlsConfig,
}

impl Default for DoorConfig {
    fn default() -> Self {
        Self {
            workers: 2,
            max_connections: 10_000,
            max_body_bytes: 1024 * 1024,
            bodies_mib: 128,
            body_timeout_ms: 10_000,
            stall_ms: 60_000,
            tls: ServerTlsConfig::default(),
        }
    }
}

impl DoorConfig {
    /// What each key must be at least, for [`toolkit::config::at_least`].
    pub fn least(&self) -> [(&'static str, u64, u64); 6] {
        [
            ("http.workers", self.workers as u64, 1),
            ("http.max_connections", self.max_connections as u64, self.workers as u64),
            ("http.max_body_bytes", self.max_body_bytes as u64, 1),
            ("http.bodies_mib", self.bodies_mib as u64, 1),
            ("http.body_timeout_ms", self.body_timeout_ms, 1),
            ("http.stall_ms", self.stall_ms, 100),
        ]
    }

    pub fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    pub fn stall(&self) -> Duration {
        Duration::from_millis(self.stall_ms)
    }

    /// What bodies may take that are arriving: one for all doors of a service.
    pub fn bodies(&self) -> Memory {
        Memory::new(self.bodies_mib.saturating_mul(1024 * 1024))
    }

    pub(crate) fn connections(&self) -> Limits {
        Limits::of(self.max_connections, self.stall())
    }
}
