//! The questions `search` answers: full text, filters, facets, and completion of a prefix.
//!
//! A text is looked for as it is written. Only if that finds nothing, the words that no product has are looked for with typos;
//! the answer says so, and its pages go on that way.

use adapter_search::{Search, SearchError};
use domain::{CategoryPath, ProductId, Status, ValueError};

use super::answer::{Answer, NameDocument, WordCounts, response};
use super::body::{self, Size};
use super::cursor::Place;
use super::document::ProductDocument;
use super::request::{MAX_FACET_SIZE, SearchRequest, SearchResponse, SuggestRequest, Suggestion};
use super::store::INDEX;
use super::texts::{Similar, Text};
use crate::positions::SearchPositions;
use crate::{GENERATION, QueryError, StoredProduct};

/// Values counted per facet, however many are shown: what is left out is counted too, and one more tells that there are more.
const FACET_VALUES: usize = MAX_FACET_SIZE + 1;
/// An answer of the server is not read further than this: whoever wrote large products must not fill our memory.
const MAX_READ_BYTES: usize = 8 * 1024 * 1024;

/// Asks `search`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queries {
    search: Search,
    index: String,
    positions: SearchPositions,
}

impl Queries {
    pub fn new(search: &Search) -> Self {
        Self {
            search: search.clone(),
            index: INDEX.index(search.prefix(), GENERATION),
            positions: SearchPositions::open(search),
        }
    }

    /// Finds products. What was written is found after the next refresh, about a second later at most; see [`Self::refresh`].
    /// A page ends early, with a next one, where its products have come to [`crate::page::MAX_PAGE_BYTES`].
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchResponse, QueryError> {
        request.check()?;
        let question = body::question(request);
        let decoded = request.page.token.as_ref().map(|token| Place::decode(&question, request.sort, token));
        let place = decoded.transpose()?;
        let text = request.text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(Text::of);
        let (text, place) = (text.as_ref(), place.as_ref());
        let mut similar = place.map(|place| place.similar).unwrap_or_default();
        let (mut answer, mut size) = self.page(request, text, similar, place).await?;
        if answer.total() == 0
            && place.is_none()
            && let Some(text) = text
        {
            let unknown = self.unknown(request, text).await?;
            if unknown != Similar::default() {
                let (nearly, size_of) = self.page(request, Some(text), unknown, None).await?;
                if nearly.total() > 0 {
                    (answer, size, similar) = (nearly, size_of, unknown);
                }
            }
        }
        response(answer, request, &question, similar, size)
    }

    /// One page as the server gives it, and how much was asked for in the end.
    async fn page(
        &self,
        request: &SearchRequest,
        text: Option<&Text<'_>>,
        similar: Similar,
        place: Option<&Place>,
    ) -> Result<(Answer<ProductDocument<'static>>, Size), QueryError> {
        let preference = body::preference(&body::question(request));
        let mut size = Size { hits: request.page.effective_size() + 1, facet_values: FACET_VALUES };
        loop {
            let body = body::search(request, text, similar, size, place);
            let answer = self.search.search_bounded(&self.index, &preference, body, MAX_READ_BYTES).await;
            if let Some(answer) = answer.map_err(refused)? {
                return Ok((answer, size));
            }
            size = smaller(size).ok_or_else(|| {
                QueryError::Internal(format!(
                    "one product of {} is larger than {MAX_READ_BYTES} bytes",
                    self.index
                ))
            })?;
        }
    }

    /// The words of a text that no product has, of those that may have typos.
    async fn unknown(&self, request: &SearchRequest, text: &Text<'_>) -> Result<Similar, QueryError> {
        let Some(body) = body::words(request, text) else { return Ok(Similar::default()) };
        let counts: WordCounts = self.search.search(&self.index, body).await.map_err(refused)?;
        Ok(counts.unknown())
    }

    /// Products whose names or SKUs begin like this: the last word may be unfinished.
    pub async fn suggest(&self, request: &SuggestRequest) -> Result<Vec<Suggestion>, QueryError> {
        request.check()?;
        let Some(body) = body::suggest(request) else { return Ok(Vec::new()) };
        let answer: Answer<NameDocument> = self.search.search(&self.index, body).await.map_err(refused)?;
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

    /// The product as `search` holds it, in real time; also a deleted one.
    pub async fn product(&self, id: &ProductId) -> Result<Option<StoredProduct>, QueryError> {
        let found: Vec<Option<ProductDocument<'static>>> =
            self.search.mget(&self.index, &[id.as_str()]).await?;
        Ok(found.into_iter().flatten().next().map(ProductDocument::parse).transpose()?)
    }

    /// Everything of the partition below this offset is applied by the group; 0 if nothing is. It is searchable after the
    /// next refresh.
    pub async fn position(&self, group: &str, partition: i32) -> Result<i64, QueryError> {
        Ok(self.positions.read(group, partition).await?.unwrap_or_default().applied)
    }

    /// Makes everything applied so far searchable.
    pub async fn refresh(&self) -> Result<(), QueryError> {
        Ok(self.search.refresh(&self.index).await?)
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
