//! Every row of a build as text, page by page, so that two builds can be compared row for row.
//!
//! Promises: the same row is the same text in every build, and begins with the JSON that names its product, as on servers; rows
//! come in the order of their keys; a page is of bounded size.

use std::sync::Arc;

use futures::FutureExt;
use read_models::declared::{Declared, Table};
use read_models::rows::{Pages, RowSource};
use read_models::{Answered, Error, Generation, ReadModel};

use crate::disk::blocking;
use crate::history::HistoryTables;
use crate::products::{self, ProductTables};
use crate::{Embedded, Inner};

/// How many rows a page has at most,
pub(crate) const MAX_ROWS: usize = 1_000;
/// and about how many bytes.
pub(crate) const PAGE_BYTES: usize = 8 << 20;

/// Some rows as text, each behind its key.
pub(crate) type Page = Vec<(Vec<u8>, String)>;

/// Reads the page behind a key.
type Read = dyn Fn(Option<&[u8]>) -> Result<Page, Error> + Send + Sync;

struct RowPages {
    read: Arc<Read>,
    /// The key of the last row.
    after: Option<Vec<u8>>,
}

impl RowSource for Embedded {
    /// What was written to an index is made visible first.
    fn row_pages(
        &self,
        declared: &'static Declared,
        table: &'static Table,
        generation: Generation,
    ) -> Answered<'_, Box<dyn Pages>> {
        let inner = Arc::clone(&self.0);
        let open = move || {
            let read = inner.reads(declared, table, generation)?;
            Ok(Box::new(RowPages { read, after: None }) as Box<dyn Pages>)
        };
        blocking(open).boxed()
    }
}

impl Inner {
    fn reads(&self, declared: &Declared, table: &Table, generation: Generation) -> Result<Arc<Read>, Error> {
        let none = || Error::Embedded(format!("{}: there is no table {} here", declared.name, table.name));
        let read_model: ReadModel = declared.name.parse().map_err(|_| none())?;
        Ok(match (read_model, table.name) {
            (ReadModel::Products, products::PRODUCTS) => {
                let rows = ProductTables::new(self.build(read_model, generation)?);
                Arc::new(move |after| rows.product_texts(after))
            }
            (ReadModel::Products, products::BY_CATEGORY) => {
                let rows = ProductTables::new(self.build(read_model, generation)?);
                Arc::new(move |after| rows.item_texts(after))
            }
            (ReadModel::Products, _) => return Err(none()),
            (ReadModel::History, _) => {
                let rows = HistoryTables::new(self.build(read_model, generation)?);
                Arc::new(move |after| rows.entry_texts(after))
            }
            (ReadModel::Search, _) => {
                let documents = self.index(generation)?.documents()?;
                Arc::new(move |after| documents.texts(after))
            }
        })
    }
}

impl Pages for RowPages {
    fn next(&mut self) -> Answered<'_, Option<Vec<String>>> {
        async {
            let (read, after) = (Arc::clone(&self.read), self.after.clone());
            let page: Result<Page, Error> = blocking(move || read(after.as_deref())).await;
            let page = page?;
            let Some((last, _)) = page.last() else { return Ok(None) };
            self.after = Some(last.clone());
            Ok(Some(page.into_iter().map(|(_, row)| row).collect()))
        }
        .boxed()
    }
}
