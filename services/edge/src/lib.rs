//! The edge: what every door of Folio shares, over HTTP and over gRPC.
//!
//! Promises: connections, bodies and calls in flight are bounded, and a client that stalls is turned away in bounded time;
//! one shape of error for both protocols; the ops port serves health and metrics while the doors are full.
//!
//! Start at [`problem`], what a client is told when something goes wrong, and [`connections`], how a door is served.

pub mod bodies;
pub mod calls;
pub mod connections;
pub mod entity_tags;
pub mod openapi;
pub mod ops;
pub mod problem;
pub mod statuses;
