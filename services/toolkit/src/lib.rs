//! Tools without a domain and without a driver: what every service of an event-sourced system needs.
//!
//! Promises: nothing here blocks an async worker, no queue is unbounded, and every error says what was tried on what.
//!
//! Start at [`config`] and [`lifecycle`]: what a `main` calls first and last.

mod causes;
pub mod config;
pub mod dead_letters;
pub mod journal;
pub mod lanes;
pub mod lifecycle;
pub mod memory;
pub mod pages;
pub mod retry;
pub mod telemetry;
pub mod tls;

pub use causes::causes;
