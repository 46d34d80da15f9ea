//! `folio`, the tool: topics, schemas, stores, imports, the local system. A library, so that tests use the same pieces.
//!
//! Promises: a command changes what its help says and nothing else; repeating it is harmless; a failure says what was tried and what
//! to do. Start at [`args::Args`], the command line; [`commands`] has a file for each verb, [`import`] reads what shops export, and
//! [`system`] runs the services on this machine.

pub mod args;
pub mod commands;
pub mod config;
mod doors;
pub mod import;
mod say;
pub mod system;

pub use doors::DoorTls;
