//! Protobuf: what `schemas/proto` declares, and the way between it and the domain.

mod parse;
mod views;

#[cfg(test)]
mod compatible;
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

use prost::Message as _;
use prost_types::{FileDescriptorProto, FileDescriptorSet};

pub use parse::parse_request;
pub use views::{status, status_from};

/// The compiled descriptors.
const FILE_DESCRIPTOR_SET: &[u8] = tonic::include_file_descriptor_set!("catalog");

/// What reflection tells of these services: the files they stand in and those they need, and no other service.
pub fn described(services: &[&str]) -> FileDescriptorSet {
    let all = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap_or_default();
    let declares = |file: &FileDescriptorProto| {
        file.service.iter().any(|it| services.contains(&&*format!("{}.{}", file.package(), it.name())))
    };
    let mut needed: Vec<FileDescriptorProto> =
        all.file.iter().filter(|file| declares(file)).cloned().collect();
    let mut looked_at = 0;
    while let Some(file) = needed.get(looked_at) {
        looked_at += 1;
        let missing: Vec<_> = all
            .file
            .iter()
            .filter(|it| file.dependency.iter().any(|name| name == it.name()))
            .filter(|it| needed.iter().all(|there| there.name() != it.name()))
            .cloned()
            .collect();
        needed.extend(missing);
    }
    FileDescriptorSet { file: needed }
}
