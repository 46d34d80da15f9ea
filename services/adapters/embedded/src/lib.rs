//! Storage on local disk, in this process, by fjall.
//!
//! - [`cache`]: key-value pairs that may be discarded at any time.
//! - [`tables`]: rows that have versions, which may be discarded and built again.
//! - [`journal`]: decisions about what is in tables, kept as long as those are.
//! - [`log`]: an event log that keeps what it has acknowledged, and feeds those who read it.
//! - [`person_keys`]: the keys of persons, which are kept.
//! - [`crc`]: the checksum of what has none from its library.
//!
//! Promises: a directory serves one process at a time; nothing here panics on damaged files; what is not a cache is never
//! discarded.

pub mod cache;
pub mod crc;
mod fjall_files;
pub mod journal;
pub mod lock;
pub mod log;
pub mod person_keys;
pub mod tables;

pub use cache::{Error, Store};
