//! Loads and writes the documents of `search`.

use adapter_search::{Document, Index, Search};
use toolkit::retry::{GaveUp, Retry};

use super::SearchModel;
use super::document::ProductDocument;
use crate::model::{Position, Starts, Store, Wanted, Writes};
use crate::page::Budget;
use crate::positions::SearchPositions;
use crate::{Error, GENERATION, StoredProduct};

/// A document may be many times as large as its product (`docs/search.md`): about this many bytes of products become documents
/// at once.
const GROUP_BYTES: usize = 2 * 1024 * 1024;

/// The declared index.
pub const INDEX: Index =
    Index { name: "search", text: include_str!("../../../../deploy/search/search.json") };

/// The index of `search`.
#[derive(Debug, Clone)]
pub struct SearchStore {
    search: Search,
    index: String,
    write_alias: String,
    positions: SearchPositions,
}

impl SearchStore {
    /// Checks that the indices are there as declared (`folio stores apply`): a server would make them up otherwise.
    pub async fn open(search: &Search) -> Result<Self, Error> {
        require(search).await?;
        let index = INDEX.index(search.prefix(), GENERATION);
        let write_alias = INDEX.write_alias(search.prefix(), GENERATION);
        Ok(Self { search: search.clone(), index, write_alias, positions: SearchPositions::open(search) })
    }
}

/// An error if an index is not there as declared.
async fn require(search: &Search) -> Result<(), Error> {
    for declared in [&INDEX, &crate::positions::INDEX] {
        search.require(declared, GENERATION).await?;
    }
    Ok(())
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

/// How many of these products are made documents of at once: about [`GROUP_BYTES`] of them, and at least one.
fn first_group(states: &[StoredProduct]) -> usize {
    let mut budget = Budget::new(GROUP_BYTES);
    states.iter().take_while(|state| budget.takes(state.size())).count()
}

impl Store<SearchModel> for SearchStore {
    /// As they are: an index holds no earlier states.
    async fn load(&self, wanted: &[Wanted]) -> Result<Vec<Option<StoredProduct>>, Error> {
        let ids: Vec<&str> = wanted.iter().map(|wanted| wanted.product.as_str()).collect();
        let documents: Vec<Option<ProductDocument<'static>>> = self.search.mget(&self.index, &ids).await?;
        documents.into_iter().map(|document| document.map(ProductDocument::parse).transpose()).collect()
    }

    async fn write(&self, writes: Writes<SearchModel>, retry: &Retry) -> Result<(), GaveUp<Error>> {
        let mut states = writes.states.as_slice();
        while !states.is_empty() {
            let (some, others) = states.split_at(first_group(states));
            let documents: Result<Vec<Document>, Error> = some.iter().map(document).collect();
            let documents = documents.map_err(GaveUp::Final)?;
            let written = self.search.write_all(&self.write_alias, documents, retry).await;
            written.map_err(|e| e.map(Error::from))?;
            states = others;
        }
        Ok(())
    }

    async fn position(&self, group: &str, partition: i32) -> Result<Option<Position>, Error> {
        Ok(self.positions.read(group, partition).await?)
    }

    async fn write_position(&self, group: &str, partition: i32, position: Position) -> Result<(), Error> {
        self.positions.write(group, partition, position).await
    }

    async fn is_there(&self) -> Result<(), Error> {
        require(&self.search).await
    }

    async fn starts(&self) -> Result<Option<Starts>, Error> {
        Ok(self.search.starts().await?)
    }
}
