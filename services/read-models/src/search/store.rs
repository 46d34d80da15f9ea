//! Loads and writes the documents of `search`.

use domain::ProductId;
use toolkit::retry::{GaveUp, Retry};
use toolkit::search::{Document, Index, Search};

use super::SearchModel;
use super::document::ProductDocument;
use crate::model::{Store, Writes};
use crate::positions::SearchPositions;
use crate::{Error, GENERATION, StoredProduct};

/// The declared index.
pub const INDEX: Index =
    Index { name: "search", text: include_str!("../../../../deploy/search/search.json") };

/// The index of `search`.
#[derive(Debug, Clone)]
pub struct SearchStore {
    search: Search,
    index: String,
    positions: SearchPositions,
}

impl SearchStore {
    /// Checks that the indices are there as declared (`folio stores apply`): a server would make them up otherwise.
    pub async fn open(search: &Search) -> Result<Self, Error> {
        for declared in [&INDEX, &crate::positions::INDEX] {
            let missing = search.missing(declared, GENERATION).await?;
            if !missing.is_empty() {
                let problem = format!("missing: {}; run `folio stores apply`", missing.join(", "));
                return Err(toolkit::search::SearchError::Schema(problem).into());
            }
        }
        let index = INDEX.index(search.prefix(), GENERATION);
        Ok(Self { search: search.clone(), index, positions: SearchPositions::open(search) })
    }
}

/// The product as a document of the index.
pub(super) fn document(stored: &StoredProduct) -> Result<Document, Error> {
    let source = serde_json::to_vec(&ProductDocument::from(stored)).map_err(|e| Error::Corrupt {
        table: "search".to_owned(),
        row: stored.product.id.to_string(),
        problem: format!("cannot be written as JSON: {e}"),
    })?;
    Ok(Document {
        id: stored.product.id.to_string(),
        version: stored.product.version.get(),
        source: source.into(),
    })
}

impl Store<SearchModel> for SearchStore {
    async fn load(&self, ids: &[ProductId]) -> Result<Vec<Option<StoredProduct>>, Error> {
        let ids: Vec<&str> = ids.iter().map(ProductId::as_str).collect();
        let documents: Vec<Option<ProductDocument<'static>>> = self.search.mget(&self.index, &ids).await?;
        documents.into_iter().map(|document| document.map(ProductDocument::parse).transpose()).collect()
    }

    async fn write(&self, writes: Writes<SearchModel>, retry: &Retry) -> Result<(), GaveUp<Error>> {
        let documents: Result<Vec<Document>, Error> = writes.states.iter().map(document).collect();
        let documents = documents.map_err(GaveUp::Final)?;
        self.search.write_all(&self.index, documents, retry).await.map_err(|e| e.map(Error::from))
    }

    async fn position(&self, group: &str, partition: i32) -> Result<Option<i64>, Error> {
        Ok(self.positions.read(group, partition).await?)
    }

    async fn write_position(&self, group: &str, partition: i32, position: i64) -> Result<(), Error> {
        self.positions.write(group, partition, position).await
    }
}
