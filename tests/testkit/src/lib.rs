//! For tests only: real servers, a catalog of one's own on them, an independent judge of its topic.
//!
//! Start at [`System::prepare`]: topic, schemas and stores of this test alone, and services as processes. Promises that tests
//! do not meet on the servers they share, and that what a test started ends with it.

pub mod client;
pub mod eventually;
pub mod expected;
pub mod feed_suite;
pub mod gate;
pub mod history;
pub mod kafka_proxy;
pub mod memory;
pub mod oracle;
pub mod rows;
pub mod scenario;
pub mod servers;
pub mod system;
pub mod tools;

pub use client::{Client, Reply, product};
pub use eventually::eventually;
pub use gate::Gate;
pub use oracle::Oracle;
pub use system::{PATIENCE, Started, System};
