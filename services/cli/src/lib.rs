//! `folio`: topics, schemas, stores, the local system, the sample catalog. A library, so that tests use the same pieces.

pub mod args;
pub mod commands;
pub mod config;
pub mod import;
pub mod local;
mod processes;
mod say;
pub mod system;
