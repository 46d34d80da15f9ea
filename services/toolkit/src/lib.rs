//! Tools without a domain: what every service of an event-sourced system needs, and nothing about products.
//!
//! Promises: nothing here blocks an async worker, no queue is unbounded, and every error says what was tried on what.

#[cfg(feature = "grpc")]
pub mod bodies;
#[cfg(feature = "grpc")]
pub mod calls;
pub mod config;
#[cfg(any(feature = "http", feature = "grpc"))]
pub mod connections;
#[cfg(feature = "cql")]
pub mod cql;
#[cfg(feature = "embedded")]
pub mod embedded;
pub mod entity_tags;
#[cfg(any(feature = "kafka-producer", feature = "kafka-consumer", feature = "kafka-admin"))]
pub mod kafka;
pub mod lifecycle;
pub mod memory;
#[cfg(feature = "http")]
pub mod ops;
pub mod problem;
#[cfg(feature = "registry")]
pub mod registry;
pub mod retry;
#[cfg(feature = "search")]
pub mod search;
#[cfg(feature = "grpc")]
pub mod statuses;
pub mod telemetry;
