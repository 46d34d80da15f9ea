//! Protobuf: what `schemas/proto` declares, and the way between it and the domain.

mod parse;
mod views;

#[cfg(test)]
mod tests;

/// The package `catalog`.
pub mod catalog {
    /// The package `catalog.v1`: generated; the files in `schemas/proto` are its documentation.
    #[allow(
        missing_docs,
        clippy::all,
        clippy::pedantic,
        clippy::allow_attributes_without_reason,
        unreachable_pub,
        reason = "generated"
    )]
    pub mod v1 {
        tonic::include_proto!("catalog.v1");
    }
}

pub use parse::parse_request;
pub use views::{status, status_from};

/// The compiled descriptors, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("catalog");
