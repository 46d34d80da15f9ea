//! All of Folio in one process, on local disk: `folio dev`, and a library for tests.
//!
//! ```text
//! one HTTP port ──┬─> command-service ──> EmbeddedLog ──> three projectors ──> Embedded (tables, search)
//! one gRPC port ──┤                                                             |
//!                 └─> query-gateway <───────────────────────────────────────────┘
//! ```
//!
//! The services are the ones that run on servers, with the same doors, limits and promises.
//!
//! Promises: with a directory of its own, whatever was acknowledged is there after `kill -9` and after a loss of power; without
//! one nothing is left behind; a directory serves one process at a time, and nothing of anybody else's is touched. It ends in
//! order: the doors close, what was accepted is answered, the projectors finish, and the directory is released.
//!
//! Not promised, because it is one process on one disk: replication, failover, several processes for one catalog.
//!
//! Start at [`Dev::start`].

mod dev;
mod directory;
mod doors;
mod error;
mod options;
mod settings;
mod storage;

pub use dev::{Dev, SERVICE};
pub use error::{Error, Port};
pub use options::Options;
pub use settings::Settings;
pub use storage::{open_log, open_person_keys};
