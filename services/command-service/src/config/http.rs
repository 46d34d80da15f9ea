//! What both doors take of their clients: connections, bodies, uploads.

use std::path::PathBuf;
use std::time::Duration;

use edge::connections::Limits;
use serde::{Deserialize, Serialize};
use toolkit::memory::Memory;

use super::mib;

/// How the HTTP door behaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Threads that parse requests and write answers.
    pub workers: usize,
    /// Largest body of a single command, in bytes.
    pub max_body_bytes: usize,
    /// Memory for the bodies of single commands that are arriving, all together, in MiB. More are answered `overloaded`.
    pub bodies_mib: usize,
    /// Longest line of a bulk upload, in bytes. An upload as a whole has no limit if its answers are read meanwhile.
    pub max_line_bytes: usize,
    /// How long a single command's body may take to arrive, in milliseconds.
    pub body_timeout_ms: u64,
    /// How long an upload (HTTP or gRPC) may stand still because its client sends nothing or, where no more answers can wait,
    /// takes none (five times as long once everything is sent), and how long any other client may leave what it was sent
    /// unacknowledged, in milliseconds.
    pub stall_ms: u64,
    /// A directory on local disk for answers of uploads whose clients read them later; none: the system's for temporary files.
    pub spool_dir: Option<PathBuf>,
    /// How many answers of one upload may wait there for their client, in MiB. Reading pauses beyond that.
    pub spool_mib: usize,
    /// How many of all uploads may wait on disk together, in MiB. One that finds no room goes on as fast as its answers are read.
    pub spools_mib: usize,
    /// Connections that may be open at once, over HTTP and over gRPC each. The next one waits to be taken.
    pub max_connections: usize,
    /// Commands of one bulk upload (HTTP or gRPC) that may be under way at once.
    pub bulk_window: usize,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            workers: 2,
            max_body_bytes: 1024 * 1024,
            bodies_mib: 128,
            max_line_bytes: 512 * 1024,
            body_timeout_ms: 10_000,
            stall_ms: 60_000,
            spool_dir: None,
            spool_mib: 256,
            spools_mib: 2_048,
            max_connections: 10_000,
            bulk_window: 1_024,
        }
    }
}

impl HttpConfig {
    pub(crate) fn body_timeout(&self) -> Duration {
        Duration::from_millis(self.body_timeout_ms)
    }

    pub(crate) fn stall(&self) -> Duration {
        Duration::from_millis(self.stall_ms)
    }

    /// What connections may do.
    pub(crate) fn connections(&self) -> Limits {
        Limits { unacknowledged: self.stall(), ..Limits::of(self.max_connections) }
    }

    /// What all files of waiting answers may take.
    pub(crate) fn spools(&self) -> Memory {
        Memory::new(mib(self.spools_mib))
    }

    /// What may wait of the answers of one upload.
    pub(crate) fn spool(&self, disk: &Memory) -> crate::spool::Limits {
        crate::spool::Limits {
            dir: self.spool_dir.clone(),
            max_bytes: mib(self.spool_mib),
            disk: disk.clone(),
            stall: self.stall(),
        }
    }
}
