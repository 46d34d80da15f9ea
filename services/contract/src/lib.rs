//! The wire: how the domain's commands, events and products look outside of the process.
//!
//! Avro for the log ([`avro`], [`envelope`], [`effective`]), protobuf ([`proto`]) and JSON ([`json`]) for clients, the error codes
//! ([`code`]), the consistency token and the identities made of an idempotency key. It promises that both ways agree:
//! what one function writes its counterpart reads back unchanged, and input from outside gives a value or an error that
//! names every fault, never a panic.
//!
//! Start at [`AddressedCommand`], what every door reads, and at [`avro`], what is kept for ever.
#![deny(clippy::wildcard_enum_match_arm)]

pub mod avro;
pub mod code;
pub mod effective;
pub mod envelope;
mod fields;
mod identity;
pub mod json;
mod named;
pub mod proto;
#[cfg(test)]
mod samples;
mod token;
pub mod topics;

pub use fields::{AddressedCommand, Fault, FieldError, FieldErrors, MAX_TAGS_SENT};
/// Which log a partition is of, as positions and tokens name it.
pub use ledger::{LogId, NoLogId};

pub use identity::{IdempotencyKey, command_hash, command_id, product_id_for_key};
pub use named::Named;
pub use token::{ConsistencyToken, TokenError};
