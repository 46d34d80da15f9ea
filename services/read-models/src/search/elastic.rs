//! `search` in Elasticsearch or `OpenSearch`: its store, and the index that its questions ask.

use std::collections::BTreeMap;

use adapter_search::{DOCUMENTS, Document, Search, SearchError};
use domain::{CategoryPath, ProductId, Status, ValueError};
use futures::FutureExt;
use toolkit::lanes::Lane;
use toolkit::retry::{GaveUp, Retry};

use super::answer::{NameDocument, ServerAnswer, WordCounts};
use super::body::{self, Size};
use super::document::{ProductDocument, WrittenDocument};
use super::found::Found;
use super::query::{Find, Index};
use super::request::{MAX_FACET_SIZE, SearchRequest, SuggestRequest, Suggestion};
use super::texts::{Similar, Text};
use super::{INDEX, PARKED, POSITIONS, SearchModel};
use crate::marks::{Marks, SearchMarks};
use crate::model::{Opens, Position, Positions, Store, Wanted, Writes};
use crate::page::Budget;
use crate::positions::{SearchPositions, reached};
use crate::{Answer, Error, Generation, QueryError, Servers, StoredProduct};

/// A document may be many times as large as its product (`docs/search.md`): about this many bytes of products become documents
/// at once.
const GROUP_BYTES: usize = 2 * 1024 * 1024;

/// Values counted per facet, however many are shown: what is left out is counted too, and one more tells that there are more.
const FACET_VALUES: usize = MAX_FACET_SIZE + 1;
/// An answer of the server is not read further than this: whoever wrote large products must not fill our memory.
const MAX_READ_BYTES: usize = 8 * 1024 * 1024;

/// The index of `search`.
#[derive(Debug, Clone)]
pub struct SearchStore {
    search: Search,
    index: String,
    write_alias: String,
    positions: SearchPositions,
    marks: SearchMarks,
}

impl SearchStore {
    /// Checks that the indices are there as declared (`folio stores apply`): a server would make them up otherwise.
    pub async fn open(search: &Search, generation: Generation) -> Result<Self, Error> {
        let positions = SearchPositions::open(search, [INDEX, PARKED], POSITIONS, generation);
        positions.is_there().await?;
        Ok(Self {
            search: search.clone(),
            index: INDEX.index(search.prefix(), generation.get()),
            write_alias: INDEX.write_alias(search.prefix(), generation.get()),
            positions,
            marks: SearchMarks::new(search, PARKED, generation),
        })
    }
}

/// The product as a document of the index.
pub(super) fn document(stored: &StoredProduct) -> Result<Document, serde_json::Error> {
    let source = serde_json::to_vec(&WrittenDocument::from(stored))?;
    Ok(Document {
        id: stored.product.id.to_string(),
        version: stored.product.version.get(),
        source: source.into(),
    })
}

/// How many of these products, from the first on, are made documents of at once: memory does not follow how many there are. It is
/// about 2 MB of them, and at least one if there is one.
pub fn first_group(states: &[StoredProduct]) -> usize {
    let mut budget = Budget::new(GROUP_BYTES);
    states.iter().take_while(|state| budget.takes(state.size())).count()
}

impl Store<SearchModel> for SearchStore {
    type Positions = SearchPositions;

    /// As they are: an index holds no earlier states.
    async fn load(&self, wanted: &[Wanted]) -> Result<Vec<Option<StoredProduct>>, Error> {
        let ids: Vec<&str> = wanted.iter().map(|wanted| wanted.product.as_str()).collect();
        let documents: Vec<Option<ProductDocument<'static>>> = self.search.mget(&self.index, &ids).await?;
        documents.into_iter().map(|document| document.map(ProductDocument::parse).transpose()).collect()
    }

    async fn write(&self, writes: Writes<SearchModel>, retry: &Retry) -> Result<(), GaveUp<Error>> {
        let (mut states, mut refused) = (writes.states.as_slice(), BTreeMap::new());
        while !states.is_empty() {
            // No more than one request takes: others wait for room, and what waits takes memory.
            let (some, others) = states.split_at(first_group(states).min(DOCUMENTS));
            let mut documents = Vec::with_capacity(some.len());
            for state in some {
                match document(state) {
                    Ok(document) => documents.push(document),
                    Err(error) => {
                        let problem = format!("it cannot be written as JSON: {error}");
                        refused.insert(state.product.id.to_string(), problem);
                    }
                }
            }
            let written = self.search.write_all(&self.write_alias, documents, retry).await;
            let written = written.map_err(|e| e.map(Error::from))?;
            refused.extend(written.into_iter().map(|it| {
                (
                    it.id,
                    format!("{} refuses its document with status {}: {}", self.index, it.status, it.problem),
                )
            }));
            states = others;
        }
        writes.outcome(refused).map_err(GaveUp::Final)
    }

    fn positions(&self) -> &SearchPositions {
        &self.positions
    }

    fn marks(&self) -> &dyn Marks {
        &self.marks
    }
}

impl Opens<SearchModel> for Servers {
    type Store = SearchStore;

    async fn open(&self, generation: Generation) -> Result<SearchStore, Error> {
        SearchStore::open(&self.search_of_rows().await?, generation).await
    }

    fn in_lane(&self, lane: &Lane) -> Self {
        self.with_rows_in(lane)
    }

    async fn positions(&self, generation: Generation) -> Result<SearchPositions, Error> {
        Ok(SearchPositions::open(self.search().await?, [INDEX, PARKED], POSITIONS, generation))
    }
}

/// The index on a server.
#[derive(Debug, Clone)]
pub struct ServedIndex {
    search: Search,
    index: String,
    positions: SearchPositions,
    marks: SearchMarks,
}

impl ServedIndex {
    pub fn new(search: &Search, generation: Generation) -> Self {
        Self {
            search: search.clone(),
            index: INDEX.index(search.prefix(), generation.get()),
            positions: SearchPositions::open(search, [INDEX, PARKED], POSITIONS, generation),
            marks: SearchMarks::new(search, PARKED, generation),
        }
    }
}

impl Index for ServedIndex {
    fn find<'a>(&'a self, find: Find<'a>) -> Answer<'a, Found> {
        async move {
            let request = find.request;
            let preference = body::preference(&body::question(request));
            let mut size = Size { hits: request.page.effective_size() + 1, facet_values: FACET_VALUES };
            loop {
                let body = body::search(request, find.text, find.similar, size, find.behind);
                let answer = self.search.search_bounded(&self.index, &preference, body, MAX_READ_BYTES).await;
                let answer: Option<ServerAnswer<ProductDocument<'static>>> = answer.map_err(refused)?;
                if let Some(answer) = answer {
                    return answer.found(request, size);
                }
                size = smaller(size).ok_or_else(|| {
                    let what = format!("one product of {} is larger than {MAX_READ_BYTES} bytes", self.index);
                    QueryError::Internal(what)
                })?;
            }
        }
        .boxed()
    }

    fn unknown<'a>(&'a self, request: &'a SearchRequest, text: &'a Text<'a>) -> Answer<'a, Similar> {
        async move {
            let Some(body) = body::words(request, text) else { return Ok(Similar::default()) };
            let counts: WordCounts = self.search.search(&self.index, body).await.map_err(refused)?;
            Ok(counts.unknown())
        }
        .boxed()
    }

    fn suggest<'a>(&'a self, request: &'a SuggestRequest, text: &'a Text<'a>) -> Answer<'a, Vec<Suggestion>> {
        async move {
            let body = body::suggest(request, text);
            let answer: ServerAnswer<NameDocument> =
                self.search.search(&self.index, body).await.map_err(refused)?;
            let suggestions = answer.hits.hits.into_iter().map(|hit| {
                let document = hit.source;
                Ok(Suggestion {
                    product_id: ProductId::parse(&document.product_id)?,
                    sku: document.sku,
                    name: document.name,
                    category: CategoryPath::stored(&document.category)?,
                    status: Status::parse(&document.status)?,
                })
            });
            suggestions
                .collect::<Result<_, ValueError>>()
                .map_err(|e| QueryError::Internal(format!("reading a document of {}: {e}", self.index)))
        }
        .boxed()
    }

    fn product<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<StoredProduct>> {
        async move {
            let found: Vec<Option<ProductDocument<'static>>> =
                self.search.mget(&self.index, &[id.as_str()]).await?;
            Ok(found.into_iter().flatten().next().map(ProductDocument::parse).transpose()?)
        }
        .boxed()
    }

    fn position<'a>(&'a self, group: &'a str, partition: i32) -> Answer<'a, Position> {
        reached(&self.positions, group, partition).boxed()
    }

    fn marks(&self) -> &dyn Marks {
        &self.marks
    }

    fn refresh(&self) -> Answer<'_, ()> {
        async move { Ok(self.search.refresh(&self.index).await?) }.boxed()
    }
}

/// Less than a question that was too much, if it can be: a quarter of the hits, since there is a next page for the others; and
/// only then of the values of facets. A hit more than a page tells whether there is a next one.
fn smaller(size: Size) -> Option<Size> {
    let hits = ((size.hits - 1) / 4).max(1) + 1;
    let facet_values = if hits < size.hits { size.facet_values } else { (size.facet_values / 4).max(1) };
    let less = Size { hits, facet_values };
    (less != size).then_some(less)
}

/// A question that the server cannot answer is the caller's, not ours, however little we know why: it is told to the caller
/// and logged as a warning. What only an operator can mend stays an error.
fn refused(error: SearchError) -> QueryError {
    const OF_QUESTIONS: [&str; 5] = [
        "too_many_clauses",
        "too_many_nested_clauses",
        "parsing_exception",
        "parse_exception",
        "number_format",
    ];
    const OF_THE_INDEX: [&str; 3] =
        ["No mapping found", "index_closed_exception", "index_not_found_exception"];
    let SearchError::Status { status, problem, .. } = &error else { return error.into() };
    if error.is_transient() && *status != 500 {
        return error.into();
    }
    let names = |kinds: &[&str]| kinds.iter().any(|kind| problem.contains(kind));
    let is_refusal = *status == 400 || (*status == 500 && names(&OF_QUESTIONS));
    if !is_refusal || names(&OF_THE_INDEX) {
        return error.into();
    }
    tracing::warn!(%error, "the search server refused a question");
    QueryError::BadQuestion(
        "the search server does not take this question: use fewer words, simpler ones, or fewer filters"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(status: u16, problem: &str) -> SearchError {
        let (request, kind) = ("POST /s/_search".to_owned(), String::new());
        SearchError::Status { request, status, kind, problem: problem.to_owned() }
    }

    #[test]
    fn what_a_server_refuses_to_answer_is_the_callers_fault() {
        for (code, problem) in [
            (400, "parsing_exception: unknown field"),
            (400, "illegal_argument_exception: something new"),
            (500, "too_many_nested_clauses: Query contains too many nested clauses"),
            (500, "number_format_exception: For input string"),
        ] {
            let told = refused(status(code, problem));
            assert!(matches!(&told, QueryError::BadQuestion(why) if !why.contains("exception")), "{told:?}");
        }
    }

    #[test]
    fn what_an_operator_must_mend_and_what_passes_is_not() {
        let broken = refused(status(400, "query_shard_exception: No mapping found for [price_minor]"));
        assert!(matches!(broken, QueryError::Internal(_)), "{broken:?}");
        for away in [status(500, "null_pointer_exception: oops"), status(503, "no_shard_available: x")] {
            let told = refused(away);
            assert!(matches!(told, QueryError::Unavailable(_)), "{told:?}");
        }
    }

    #[test]
    fn a_question_that_is_too_much_becomes_smaller_until_it_is_one_product() {
        let first = Size { hits: 201, facet_values: 1_001 };
        let sizes = std::iter::successors(Some(first), |size| smaller(*size));
        let sizes: Vec<_> = sizes.map(|size| (size.hits, size.facet_values)).collect();
        assert_eq!(
            sizes,
            [
                (201, 1_001),
                (51, 1_001),
                (13, 1_001),
                (4, 1_001),
                (2, 1_001),
                (2, 250),
                (2, 62),
                (2, 15),
                (2, 3),
                (2, 1)
            ]
        );
    }
}
