//! The read models on local disk, in this process: tables by fjall, search by tantivy.
//!
//! Promises: the same answers as those of the servers, held by one suite that runs on both (`services/read-models/tests/stores`).
//! Whatever lies here is built from the log alone: if it is damaged, or of another log or layout, it is discarded by itself, and
//! the projectors build it again.
//!
//! Start at [`Embedded::open`].

mod bytes;
mod disk;
mod history;
mod positions;
mod products;
mod search;

use std::path::Path;

use adapter_embedded::tables::Tables;
use read_models::history::HistoryModel;
use read_models::model::Opens;
use read_models::products::Products;
use read_models::search::SearchModel;
use read_models::{Error, Generation};

pub use history::HistoryTables;
pub use positions::TablePositions;
pub use products::ProductTables;
pub use search::EmbeddedSearch;

/// How rows are laid out as bytes. Those of another number are not read but built again.
const ROWS_FORMAT: u32 = 1;
/// Below the directory that is given.
const TABLES: &str = "tables";
const SEARCH: &str = "search";

/// The read models of this process. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Embedded {
    tables: Tables,
    search: EmbeddedSearch,
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
    /// Opens the read models in `dir`, made if it is missing. What cannot be used is discarded, with a warning in the log: the
    /// projectors find no position then, and begin at zero. Blocks on the disk.
    ///
    /// # Errors
    /// If another process has the directory, it holds files of something else, or it cannot be worked with.
    pub fn open(dir: &Path, options: &Options) -> Result<Self, Error> {
        let search = EmbeddedSearch::open(&dir.join(SEARCH), &options.log)?;
        let dir = dir.join(TABLES);
        let identity = format!("rows {ROWS_FORMAT}, {}", options.log);
        let (tables, discarded) = Tables::open(&dir, &identity, options.memory_bytes)
            .map_err(|error| Error::Embedded(error.to_string()))?;
        if let Some(reason) = discarded {
            tracing::warn!(
                dir = %dir.display(), reason,
                "the tables of the read models were discarded: they are built again from the log"
            );
        }
        Ok(Self { tables, search })
    }

    /// The rows of `products`.
    pub fn product_rows(&self, generation: Generation) -> ProductTables {
        ProductTables::new(&self.tables, generation)
    }

    /// The rows of `history`.
    pub fn history_rows(&self, generation: Generation) -> HistoryTables {
        HistoryTables::new(&self.tables, generation)
    }

    /// The index of `search`. There is one generation of it.
    pub fn search_index(&self, _generation: Generation) -> EmbeddedSearch {
        self.search.clone()
    }
}

impl Opens<Products> for Embedded {
    type Store = ProductTables;

    async fn open(&self, generation: Generation) -> Result<ProductTables, Error> {
        Ok(self.product_rows(generation))
    }
}

impl Opens<HistoryModel> for Embedded {
    type Store = HistoryTables;

    async fn open(&self, generation: Generation) -> Result<HistoryTables, Error> {
        Ok(self.history_rows(generation))
    }
}

impl Opens<SearchModel> for Embedded {
    type Store = EmbeddedSearch;

    async fn open(&self, generation: Generation) -> Result<EmbeddedSearch, Error> {
        Ok(self.search_index(generation))
    }
}
