//! For tests only: a catalog of one's own, on real servers or in one process, and an independent judge of its log.
//!
//! Start at [`System::prepare`]: log, schemas and stores of this test alone, and services as processes. Promises that tests
//! do not meet on the servers they share, and that what a test started ends with it.

mod append;
pub mod authority;
pub mod client;
pub mod collector;
pub mod dead_letters_suite;
pub mod eventually;
pub mod expected;
pub mod feed_suite;
pub mod gate;
pub mod history;
mod in_one_process;
pub mod kafka_proxy;
pub mod later_release;
pub mod login;
pub mod memory;
mod on_servers;
pub mod oracle;
pub mod password_front;
pub mod person_keys_suite;
pub mod plain;
pub mod rows;
pub mod scenario;
pub mod servers;
pub mod system;
pub mod tls_front;
pub mod tools;

pub use client::{Client, Reply, product};
pub use eventually::eventually;
pub use gate::Gate;
pub use in_one_process::InOneProcess;
pub use on_servers::OnServers;
pub use oracle::Oracle;
pub use system::{PARTITIONS, PATIENCE, Started, System};
