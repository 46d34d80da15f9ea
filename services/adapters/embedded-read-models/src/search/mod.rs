//! `search` in a directory of this process, by tantivy: its store, its positions, and the index that its questions ask.
//!
//! Promises: the same products, totals, filters, facets, orders by field and pages as on a search server; of hits by score only
//! the order of equally good ones may differ. A product is never replaced by an older one. What is written can be read by id at
//! once, is searchable after a refresh or about a second, and is on disk then, together with the positions that were written
//! before. An index that is damaged, or of another version of Folio, is discarded with its positions and built again.

mod asking;
mod counting;
mod documents;
mod opening;
mod ordering;
mod queries;
mod schema;
mod store;
#[cfg(test)]
mod tests;
mod typos;
mod writing;

use std::fmt;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use read_models::Error;
use read_models::marks::Marks;
use tantivy::TantivyError;
use tantivy::directory::error::OpenReadError;
use uuid::Uuid;

use crate::build::Presence;
use writing::{Committer, Shared};

pub(crate) use opening::distrust;

/// The search index in a directory. Cheap to clone; the directory is free again when the last one is dropped, and everything
/// written is on disk then.
#[derive(Clone)]
pub struct EmbeddedSearch {
    shared: Arc<Shared>,
    owner: Arc<Owner>,
    /// Beside the index, in the tables.
    marks: Arc<dyn Marks>,
}

struct Owner {
    /// Dropped with the last handle, which ends the commits.
    _committer: Committer,
    #[cfg(test)]
    discarded: Option<String>,
    /// Another after each opening.
    start: String,
}

impl EmbeddedSearch {
    /// Opens the index of `log` in `dir`, or begins one there. One that cannot be used, or is of another log, is discarded, with
    /// a warning, and has no positions then, so that it is built again from the beginning of the log.
    ///
    /// An error if the directory cannot be written, or another process has it open. It reads all of the index once: call it where
    /// blocking is allowed.
    pub(crate) fn open(
        dir: &Path,
        log: &str,
        presence: Arc<Presence>,
        marks: Arc<dyn Marks>,
    ) -> Result<Self, Error> {
        let opened = opening::open(dir, log)?;
        if let Some(reason) = &opened.discarded {
            tracing::warn!(dir = %dir.display(), "the search index is built again from the beginning: {reason}");
        }
        #[cfg(test)]
        let discarded = opened.discarded.clone();
        let shared = Arc::new(Shared::new(opened, presence)?);
        let owner = Owner {
            _committer: Committer::start(&shared)?,
            #[cfg(test)]
            discarded,
            start: Uuid::new_v4().to_string(),
        };
        Ok(Self { shared, owner: Arc::new(owner), marks })
    }

    /// Everything written so far is found, and on the disk, when it returns. Blocks on it.
    pub(crate) fn make_visible(&self) -> Result<(), Error> {
        self.shared.refresh()
    }

    /// Whether any group has come anywhere with it.
    pub(crate) fn has_positions(&self) -> bool {
        self.shared.has_positions()
    }

    /// What is in the directory is not wanted any more, for whoever has it open: nothing is written there from now on. Blocks until
    /// then.
    pub(crate) fn abandon(&self) {
        self.shared.abandon();
    }

    /// Why what was in the directory had to be discarded, if it had to be.
    #[cfg(test)]
    fn discarded(&self) -> Option<&str> {
        self.owner.discarded.as_deref()
    }
}

impl fmt::Debug for EmbeddedSearch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedSearch").field("dir", &self.shared.dir()).finish_non_exhaustive()
    }
}

/// Whether files are not as they were written: the same work fails for ever. Everything else may be whole.
fn is_damage(error: &TantivyError) -> bool {
    match error {
        TantivyError::DataCorruption(_)
        | TantivyError::IncompatibleIndex(_)
        | TantivyError::SchemaError(_)
        | TantivyError::FieldNotFound(_)
        | TantivyError::InvalidArgument(_)
        | TantivyError::InternalError(_)
        | TantivyError::DeserializeError(_)
        | TantivyError::MissingPlugin(_)
        | TantivyError::UnexpectedPlugin(_)
        | TantivyError::OpenReadError(
            OpenReadError::FileDoesNotExist(_) | OpenReadError::IncompatibleIndex(_),
        ) => true,
        TantivyError::IoError(error)
        | TantivyError::OpenReadError(OpenReadError::IoError { io_error: error, .. }) => {
            matches!(error.kind(), ErrorKind::InvalidData | ErrorKind::NotFound | ErrorKind::UnexpectedEof)
        }
        _ => false,
    }
}

/// What went wrong in the index of `dir`.
fn failed(dir: &Path, error: &TantivyError) -> Error {
    let is_damage = is_damage(error);
    let hint =
        if is_damage { "; restart Folio: it checks the index and builds it again if it must" } else { "" };
    broken(dir, format!("{error}{hint}"), !is_damage)
}

fn broken(dir: &Path, problem: impl Into<String>, is_transient: bool) -> Error {
    let problem = format!("search index in {}: {}", dir.display(), problem.into());
    if is_transient { Error::Unavailable(problem) } else { Error::Embedded(problem) }
}
