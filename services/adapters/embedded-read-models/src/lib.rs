//! The read models on local disk, in this process: tables by fjall, search by tantivy.
//!
//! Promises: the same answers as those of the servers, held by one suite that runs on both (`services/read-models/tests/stores`).
//! Whatever lies here is built from the log alone: if it is damaged, or of another log or layout, it is discarded by itself, and
//! the projectors build it again. There may be several builds of each read model, side by side; which there are, and which is read,
//! lies beside their rows, and so does what is decided about them.
//!
//! Start at [`Embedded::open`].

mod build;
mod builds;
mod bytes;
mod catalog;
mod disk;
mod history;
mod letters;
mod marks;
mod port;
mod positions;
mod products;
mod row_pages;
mod search;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapter_embedded::journal::EmbeddedJournal;
use adapter_embedded::tables::Tables;
use read_models::history::HistoryModel;
use read_models::model::Opens;
use read_models::products::Products;
use read_models::search::SearchModel;
use read_models::{Error, Generation, ReadModel};
use toolkit::dead_letters::DeadLetters;

pub use history::HistoryTables;
pub use positions::TablePositions;
pub use products::ProductTables;
pub use search::EmbeddedSearch;

use builds::Places;
use catalog::Catalog;
use disk::blocking;

/// How rows are laid out as bytes. Those of another number are not read but built again.
const ROWS_FORMAT: u32 = 1;
/// Below the directory that is given, beside those of `search`.
const TABLES: &str = "tables";

/// The read models of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Embedded(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    log: String,
    tables: Tables,
    catalog: Catalog,
    journal: Arc<EmbeddedJournal>,
    places: Places,
}

/// What there is to say about the read models of this process.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which log they are built from: those of another are discarded.
    pub log: String,
    /// Memory for what was read from the tables, in bytes.
    pub memory_bytes: u64,
}

impl Options {
    /// Of this log, with memory for a catalog of some ten thousand products.
    pub fn of_log(log: impl Into<String>) -> Self {
        Self { log: log.into(), memory_bytes: 32 << 20 }
    }
}

impl Embedded {
    /// Opens the read models in `dir`, made if it is missing: all tables, and of `search` the build that is read. What cannot be
    /// used is discarded, with a warning in the log: the projectors find no position then, and begin at zero. Blocks on the disk.
    ///
    /// # Errors
    /// If another process has the directory, it holds files of something else, or it cannot be worked with.
    pub fn open(dir: &Path, options: &Options) -> Result<Self, Error> {
        let tables_dir = dir.join(TABLES);
        let identity = format!("rows {ROWS_FORMAT}, {}", options.log);
        let (tables, discarded) = Tables::open(&tables_dir, &identity, options.memory_bytes)
            .map_err(|error| Error::Embedded(error.to_string()))?;
        if let Some(reason) = discarded {
            tracing::warn!(
                dir = %tables_dir.display(), reason,
                "the tables of the read models were discarded, and what was decided about builds: all is built again from the log"
            );
            // An index knows how far it is, and what was parked on the way there is gone.
            search::distrust(&builds::first_index(dir), "the tables beside it were discarded");
        }
        let inner = Inner {
            dir: dir.to_owned(),
            log: options.log.clone(),
            catalog: Catalog::new(&tables),
            journal: Arc::new(EmbeddedJournal::new(&tables)),
            places: Places::default(),
            tables,
        };
        // The others when somebody asks for them: each reads all of itself.
        let read = inner.catalog.published(ReadModel::Search)?.generation;
        if inner.catalog.is_there(ReadModel::Search, read)? {
            inner.index(read)?;
        }
        Ok(Self(Arc::new(inner)))
    }

    /// The rows of a build of `products`.
    ///
    /// # Errors
    /// [`Error::NoBuild`] if it is not there.
    pub async fn product_rows(&self, generation: Generation) -> Result<ProductTables, Error> {
        let inner = Arc::clone(&self.0);
        blocking(move || Ok(ProductTables::new(inner.build(ReadModel::Products, generation)?))).await
    }

    /// The rows of a build of `history`.
    ///
    /// # Errors
    /// [`Error::NoBuild`] if it is not there.
    pub async fn history_rows(&self, generation: Generation) -> Result<HistoryTables, Error> {
        let inner = Arc::clone(&self.0);
        blocking(move || Ok(HistoryTables::new(inner.build(ReadModel::History, generation)?))).await
    }

    /// The index of a build of `search`. One that nobody has asked for is read to its end first.
    ///
    /// # Errors
    /// [`Error::NoBuild`] if it is not there; as [`Embedded::open`].
    pub async fn search_index(&self, generation: Generation) -> Result<EmbeddedSearch, Error> {
        let inner = Arc::clone(&self.0);
        blocking(move || inner.index(generation)).await
    }

    /// What a group that makes a build could not apply.
    ///
    /// # Errors
    /// [`Error::NoBuild`] if the build is not there.
    pub fn dead_letters(
        &self,
        read_model: ReadModel,
        generation: Generation,
        group: &str,
    ) -> Result<Arc<dyn DeadLetters>, Error> {
        let build = self.0.build(read_model, generation)?;
        Ok(Arc::new(letters::TableLetters::new(&build, read_model, group)))
    }

    /// Where it is decided about builds: one for all clones.
    pub fn journal(&self) -> Arc<EmbeddedJournal> {
        Arc::clone(&self.0.journal)
    }
}

impl Opens<Products> for Embedded {
    type Store = ProductTables;

    async fn open(&self, generation: Generation) -> Result<ProductTables, Error> {
        self.product_rows(generation).await
    }
}

impl Opens<HistoryModel> for Embedded {
    type Store = HistoryTables;

    async fn open(&self, generation: Generation) -> Result<HistoryTables, Error> {
        self.history_rows(generation).await
    }
}

impl Opens<SearchModel> for Embedded {
    type Store = EmbeddedSearch;

    async fn open(&self, generation: Generation) -> Result<EmbeddedSearch, Error> {
        self.search_index(generation).await
    }
}
