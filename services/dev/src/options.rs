//! What can be chosen. Promises that the defaults suit a test: free ports of this machine alone, and nothing left behind.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use crate::Settings;

/// How Folio runs in this process.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the data is kept, durably; made if it is missing. None: a temporary directory, which is not synced to disk and is
    /// removed at the end.
    pub data_dir: Option<PathBuf>,
    /// Where commands and queries are taken over HTTP. Port 0 takes a free one, here and below.
    pub http: SocketAddr,
    /// The same over gRPC.
    pub grpc: SocketAddr,
    /// Health, metrics and the documents of the API: not for clients.
    pub ops: SocketAddr,
    /// Partitions of a log that is made now, at least one. A directory that has a log keeps its number.
    pub partitions: i32,
    /// What the services are told. If the process has begun its logs already, they stay as they are.
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            data_dir: None,
            http: free,
            grpc: free,
            ops: free,
            partitions: 6,
            settings: Settings::default(),
        }
    }
}
