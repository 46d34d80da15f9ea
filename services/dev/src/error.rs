//! Why Folio does not start here.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One of the ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    Http,
    Grpc,
    Ops,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "HTTP",
            Self::Grpc => "gRPC",
            Self::Ops => "health and metrics",
        })
    }
}

/// What the caller can do something about. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address is another's, or none of this machine's.
    #[error("cannot listen for {port} on {address}: {problem}")]
    Port { port: Port, address: SocketAddr, problem: io::Error },
    #[error(
        "{} is in use by {by}: stop that one, or give this one another data directory (one serves one process at a time)",
        dir.display()
    )]
    InUse { dir: PathBuf, by: String },
    #[error(
        "{} holds {holds}, and is no data directory of Folio: give one that is empty, or that does not exist yet",
        dir.display()
    )]
    NotOurs { dir: PathBuf, holds: String },
    #[error("{} is no data directory of Folio: give the one that `folio dev --data-dir` was given", dir.display())]
    NoData { dir: PathBuf },
    #[error(
        "the data in {} has {found}, and this version of Folio reads {wanted}: give another data directory, or start it with \
         the version that made it",
        dir.display()
    )]
    OtherFormat { dir: PathBuf, found: String, wanted: String },
    #[error("cannot {tried} {}: {problem}", path.display())]
    Unusable { tried: &'static str, path: PathBuf, problem: io::Error },
}
