//! The edge: what every door of Folio shares, over HTTP and over gRPC.
//!
//! Promises: connections, bodies and calls in flight are bounded, and a client that stalls is turned away in bounded time;
//! every request is known by an id and a trace, is counted, and is answered even if its handler panics; no caller keeps others from being
//! answered, and no page of another site writes; one shape of error
//! for both protocols; the ops port serves health and metrics while the doors are full.
//!
//! Connections are made in [`http::serve`] and [`grpc::serve`], with TLS if it is configured, and requests pass [`http::app`] and
//! `grpc`'s observer before any handler sees them. Then they pass [`auth`], at their route or their call,
//! where their caller's [`limits`] are too.

#![allow(
    clippy::result_large_err,
    reason = "a problem ends a request: its size is paid once, on the way out"
)]

pub mod auth;
pub mod config;
pub mod connections;
pub mod context;
mod cross_site;
pub mod entity_tags;
pub mod fields;
pub mod grpc;
pub mod http;
pub mod limits;
pub mod openapi;
mod ops;
pub use ops::{OpsPort, PATHS as OPS_PATHS};
pub mod problem;
pub mod process;
mod secure;
