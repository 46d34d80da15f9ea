//! The write side: takes commands over HTTP and gRPC, decides them on the log's own order, and answers.
//!
//! ```text
//! http, grpc ──> door ──> engine (threads) ──> ledger::PartitionDriver ──> EventLog (Kafka)
//!                  ^                                                     |
//!                  └──────────── answers <── signals ────────────────────┘
//! ```
//!
//! Promises: every command gets one answer, true of the log, within its deadline; memory is bounded, and who comes too
//! often is told so at once; a dependency that is missing is named by readiness and costs nothing but waiting.
//!
//! Start at [`Application`], which builds all of it from a [`Config`] ([`Core`] is all of it but its ports), and follow a command from `http/products.rs` on.
#![allow(
    clippy::result_large_err,
    reason = "a problem ends a request: its size is paid once, on the way out"
)]

mod application;
mod catalog;
mod config;
pub mod door;
pub mod engine;
mod grpc;
mod http;
mod spool;
#[cfg(test)]
mod testing;

pub use application::{Application, Backend, BackendError, Core, KafkaBackend, OpenLog};
pub use catalog::Catalog;
pub use config::{CacheConfig, Config, EngineConfig, OverloadConfig, SERVICE, TopicConfig, UploadsConfig};
