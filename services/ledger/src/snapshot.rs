//! Saved states: a cache of what the log says, so that memory is for the products in use and a start need not replay.
//!
//! Promises: a snapshot is never believed by itself. It carries a [`Mark`], the record it ends with; a sequencer that
//! resumes from it works only after the log has shown that very record again, and otherwise throws it away.

mod codec;

pub use codec::SAVED_FORMAT;

use std::fmt;

use bytes::Bytes;

use crate::sequencer::Product;
use crate::{Offset, Subject};

/// Where a snapshot stands in the log, and the last record before that, which tells this log from any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The first offset not applied.
    pub next: Offset,
    /// The offset of the last record below `next`: tail from here to resume.
    pub last: Offset,
    /// That record's key. No other record has it.
    pub key: Bytes,
}

/// A product as its effective records left it, to be written down: see `encode` and `decode`.
pub struct Saved<S>(pub(crate) Product<S>);

/// What has changed since the snapshot before it. Belongs into the store as a whole or not at all.
#[derive(Debug)]
pub struct Snapshot<S> {
    /// To be given back to [`Sequencer::saved`](crate::Sequencer::saved).
    pub number: u64,
    pub mark: Mark,
    pub products: Vec<Saved<S>>,
}

/// The products of one partition that were saved: what all snapshots together say.
pub trait ColdProducts<S>: Send {
    /// The product as it was saved last; `None` if it never was.
    fn load(&self, subject: &Subject) -> Result<Option<Saved<S>>, ColdError>;

    /// Forgets every product and the mark, and snapshots taken so far that are not written yet. Takes effect at once
    /// and cannot fail: `load` finds nothing any more.
    fn clear(&mut self);
}

/// Saved products that cannot be read. The state is then built again from the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ColdError(pub String);

impl<S> Saved<S> {
    pub fn subject(&self) -> &Subject {
        &self.0.subject
    }

    pub fn version(&self) -> u64 {
        self.0.version
    }

    /// A record of it could not be read by whoever saved it.
    pub fn is_unreadable(&self) -> bool {
        self.0.unreadable
    }
}

/// Names the product and leaves out its state.
impl<S> fmt::Debug for Saved<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Saved")
            .field("subject", &self.0.subject)
            .field("version", &self.0.version)
            .finish_non_exhaustive()
    }
}
