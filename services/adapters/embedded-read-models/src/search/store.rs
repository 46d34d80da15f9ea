//! The store of `search` and its positions, as a projector uses them.
//!
//! Promises: a state is read as it was written last, committed or not; nothing blocks the threads of the runtime.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::{ProductId, Version};
use read_models::marks::Marks;
use read_models::model::{Position, Positions, Starts, Store, Wanted, Writes};
use read_models::search::SearchModel;
use read_models::{Error, StoredProduct};
use tantivy::columnar::Column;
use tantivy::index::{InvertedIndexReader, SegmentReader};
use tantivy::schema::IndexRecordOption;
use tantivy::{DocAddress, DocId, DocSet, Searcher, TERMINATED, TantivyDocument};
use toolkit::retry::{GaveUp, Retry};

use super::schema::{Fields, VERSION};
use super::writing::Shared;
use super::{EmbeddedSearch, broken, opening};

impl EmbeddedSearch {
    /// Does something that blocks, on a thread where that is allowed.
    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = self.shared.clone();
        let dir = shared.dir().to_owned();
        let done = tokio::task::spawn_blocking(move || work(&shared)).await;
        // Afterwards: if it is gone, then so are its files, which is no damage.
        self.shared.is_there()?;
        match done {
            Ok(done) => done,
            Err(error) => Err(broken(&dir, format!("work on it did not end: {error}"), false)),
        }
    }
}

impl Store<SearchModel> for EmbeddedSearch {
    type Positions = Self;

    /// As they are: an index holds no earlier states.
    async fn load(&self, wanted: &[Wanted]) -> Result<Vec<Option<StoredProduct>>, Error> {
        let ids: Vec<ProductId> = wanted.iter().map(|wanted| wanted.product.clone()).collect();
        self.blocking(move |shared| shared.products(&ids)).await
    }

    async fn write(&self, writes: Writes<SearchModel>, retry: &Retry) -> Result<(), GaveUp<Error>> {
        let states: Arc<[StoredProduct]> = writes.states.into();
        let attempt = || {
            let states = states.clone();
            self.blocking(move |shared| shared.write(&states))
        };
        retry.run("write to the search index", attempt).await
    }

    fn positions(&self) -> &Self {
        self
    }

    fn marks(&self) -> &dyn Marks {
        &*self.marks
    }
}

impl Positions for EmbeddedSearch {
    /// Real time.
    async fn read(&self, group: &str, partition: i32) -> Result<Option<Position>, Error> {
        let position = self.shared.position(group, partition);
        self.shared.is_there()?;
        Ok(position)
    }

    async fn write(&self, group: &str, partition: i32, position: Position) -> Result<(), Error> {
        self.shared.is_there()?;
        self.shared.write_position(group, partition, position);
        Ok(())
    }

    async fn is_there(&self) -> Result<(), Error> {
        self.shared.is_there()
    }

    async fn starts(&self) -> Result<Option<Starts>, Error> {
        Ok(Some(BTreeMap::from([("search".to_owned(), self.owner.start.clone())])))
    }
}

impl Shared {
    /// Products as they were written last, in the order of their ids.
    pub(super) fn products(&self, ids: &[ProductId]) -> Result<Vec<Option<StoredProduct>>, Error> {
        // Before the index: what is committed meanwhile is in one of them.
        let uncommitted: Vec<_> = ids.iter().map(|id| self.uncommitted(id)).collect();
        let searcher = self.searcher()?;
        let lookup = Lookup::new(&searcher, &self.fields).map_err(|error| self.failed(&error))?;
        let found = ids.iter().zip(uncommitted).map(|(id, uncommitted)| {
            if let Some(stored) = uncommitted {
                return Ok(Some(StoredProduct::clone(&stored)));
            }
            let place = lookup.place(id).map_err(|error| self.failed(&error))?;
            place.map(|place| self.at(&searcher, place)).transpose()
        });
        found.collect()
    }

    /// The product of a document. If it has none, though its bytes are as they were written, all of the index is built again at
    /// the next start, or it would fail for ever.
    pub(super) fn at(&self, searcher: &Searcher, place: DocAddress) -> Result<StoredProduct, Error> {
        let document: TantivyDocument = searcher.doc(place).map_err(|error| self.failed(&error))?;
        self.fields.product(&document).map_err(|problem| self.unreadable(&problem))
    }

    /// The product of a document as it lies there.
    pub(super) fn source<'a>(&self, document: &'a TantivyDocument) -> Result<&'a str, Error> {
        self.fields.source(document).map_err(|problem| self.unreadable(&problem))
    }

    fn unreadable(&self, problem: &str) -> Error {
        let problem = format!("a product in it cannot be read: {problem}");
        opening::distrust(self.dir(), &problem);
        let hint = "start again: the index is built again from the log";
        broken(self.dir(), format!("{problem}; {hint}"), false)
    }
}

/// Finds documents of products by their ids.
pub(super) struct Lookup<'a> {
    fields: &'a Fields,
    segments: Vec<(&'a SegmentReader, Arc<InvertedIndexReader>, Column<u64>)>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(searcher: &'a Searcher, fields: &'a Fields) -> tantivy::Result<Self> {
        let segments = searcher.segment_readers().iter();
        let segments = segments.map(|segment| {
            let ids = segment.inverted_index(fields.product_id)?;
            Ok((segment, ids, segment.fast_fields().u64(VERSION)?))
        });
        Ok(Self { fields, segments: segments.collect::<tantivy::Result<_>>()? })
    }

    /// The version of a product's document; [`Version::NONE`] if it has none.
    pub(super) fn version(&self, product: &ProductId) -> tantivy::Result<Version> {
        let found = self.find(product)?;
        let version = found.and_then(|(segment, document)| self.segments[segment].2.first(document));
        Ok(version.map_or(Version::NONE, Version))
    }

    fn place(&self, product: &ProductId) -> tantivy::Result<Option<DocAddress>> {
        let found = self.find(product)?;
        Ok(found.map(|(segment, document)| DocAddress::new(segment as u32, document)))
    }

    fn find(&self, product: &ProductId) -> tantivy::Result<Option<(usize, DocId)>> {
        let term = self.fields.id(product.as_str());
        for (at, (segment, ids, _)) in self.segments.iter().enumerate() {
            let Some(mut documents) = ids.read_postings(&term, IndexRecordOption::Basic)? else { continue };
            let mut document = documents.doc();
            while document != TERMINATED {
                if !segment.is_deleted(document) {
                    return Ok(Some((at, document)));
                }
                document = documents.advance();
            }
        }
        Ok(None)
    }
}
