//! From the records of a log to effective, decoded events, for everyone who only reads: projectors, `folio verify`, audits.
//!
//! ```text
//! feed ──> PartitionReader: look back, judge ──> Decoder: learn schemas, decode ──> contract::effective::EffectiveEvent
//! ```
//!
//! - [`feed`]: how records come, whatever log is behind it: a member of a consumer group, stretches, ends.
//! - [`LogReader`]: a topic as a whole, from its beginning to where it ends now.
//! - [`LogLooks`]: which log a partition is of, and whether it is the one it was.
//! - [`PartitionReader`]: which records of one partition count, from any start.
//! - [`Decoder`], [`SchemaSource`]: their events, also those of writers newer than this build.
//!
//! Promises: the verdicts are `ledger`'s, whoever reads and from wherever; and no record is called unreadable before the
//! source of its schema has said so.

mod decoder;
pub mod feed;
mod log;
mod log_now;
mod partition;
mod schemas;
#[cfg(test)]
mod tests;

pub use decoder::{Decoder, Undecoded};
pub use log::{Audit, LogReader};
pub use log_now::{LogLooks, LogNow, OtherLog};
pub use partition::{Judged, PartitionReader, Tally};
pub use schemas::{SchemaSource, SourceError};
