//! How records come, whatever log they come from: handles for those who read, and the ends of their channels for the threads
//! of the log's adapter, which offers `open_group` and the like.
//!
//! Promises: a handle never blocks, is cheap to clone, and its adapter's threads end with the last clone; channels are bounded.

mod ends;
mod group;
mod ranges;

use toolkit::retry::Transient;

pub use ends::{EndOffsets, EndQuestion};
pub use group::{
    Claim, Command, Commit, Group, GroupEvent, GroupHandle, GroupOptions, GroupServer, RevokeAck,
};
pub use ranges::{RangeBatch, RangeReader, RangeRequest};

/// A call that failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The log did not answer, or not in time: it may later.
    #[error("cannot {tried} on {servers}: {problem}")]
    Unreachable { tried: String, servers: String, problem: String },
    /// The thread that would do it has ended.
    #[error("cannot {0}: the client is closed")]
    Closed(String),
    /// The partition was revoked, or claimed anew, since the claim was given.
    #[error("partition {0} is no longer claimed by this consumer")]
    Revoked(i32),
}

impl Transient for Error {
    fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. })
    }
}

/// Who is to blame where only the partition's leader could have answered.
const LEADER: &str = "its leader";
