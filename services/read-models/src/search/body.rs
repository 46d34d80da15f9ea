//! Turns a question into the body of the search API, and nothing else.

use serde_json::{Value, json};

use super::cursor::Cursor;
use super::facets::aggregations;
use super::filters::{Clauses, statuses};
use super::request::{SearchRequest, Sort, SuggestRequest};
use super::texts::{Similar, Text, has};

/// How much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Products.
    pub(super) hits: usize,
    /// Values counted per facet.
    pub(super) facet_values: usize,
}

/// What only helps to find a product is not sent back.
const NOT_READ: [&str; 3] = ["categories", "attribute_names", "attribute_pairs"];

/// What makes one question another: everything but the page.
pub(super) fn question(request: &SearchRequest) -> String {
    let SearchRequest { text, filters, sort, facets: _, facet_size: _, page: _ } = request;
    format!("search {text:?} {filters:?} {sort:?}")
}

/// Names the copy of the index that answers a question, so that its pages go on where they ended: copies may order what
/// scores alike in other ways. The same on every gateway (FNV-1a).
pub(super) fn preference(question: &str) -> String {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", question.bytes().fold(0xcbf2_9ce4_8422_2325, mix))
}

/// The body; `size` hits behind a place.
pub(super) fn search(
    request: &SearchRequest,
    text: Option<&Text<'_>>,
    similar: Similar,
    size: Size,
    behind: Option<&Cursor>,
) -> Value {
    let clauses = Clauses::of(&request.filters);
    let mut filter = clauses.of_all(&request.facets);
    let (needed, better) = text.map(|text| text.clauses(similar)).unzip();
    filter.extend(needed);
    let mut body = json!({
        "size": size.hits,
        "track_total_hits": true,
        "_source": { "excludes": NOT_READ },
        "query": { "bool": { "filter": filter, "should": better.unwrap_or_default() } },
        "sort": sort(request.sort),
    });
    let products = clauses.of_products(&request.facets);
    if !products.is_empty() {
        body["post_filter"] = json!({ "bool": { "filter": products } });
    }
    if request.sort == Sort::Relevance {
        body["track_scores"] = json!(true);
    }
    if !request.facets.is_empty() {
        body["aggs"] = aggregations(&request.facets, &request.filters, &clauses, size.facet_values).into();
    }
    if let Some(cursor) = behind {
        body["search_after"] = cursor.search_after();
    }
    body
}

/// Counts, for each word that may have a typo, the products that have it; none if there is no such word.
pub(super) fn words(request: &SearchRequest, text: &Text<'_>) -> Option<Value> {
    let words = text.question.words.iter().enumerate().filter(|(_, word)| word.fuzzy.is_some());
    let counts: serde_json::Map<String, Value> =
        words.map(|(at, word)| (at.to_string(), json!({ "filter": has("terms", word) }))).collect();
    (!counts.is_empty()).then(|| {
        json!({
            "size": 0,
            "track_total_hits": false,
            "query": { "bool": { "filter": [statuses(&request.filters.statuses)] } },
            "aggs": counts,
        })
    })
}

/// The product id makes every order total, so that pages neither repeat nor skip.
fn sort(sort: Sort) -> Value {
    let first = match sort {
        Sort::Relevance => json!({ "_score": "desc" }),
        Sort::PriceAscending => json!({ "price_minor": "asc" }),
        Sort::PriceDescending => json!({ "price_minor": "desc" }),
        Sort::NameAscending => json!({ "name_key": "asc" }),
        Sort::Newest => json!({ "updated_at": "desc" }),
    };
    json!([first, { "product_id": "asc" }])
}

/// The body of a completion.
pub(super) fn suggest(request: &SuggestRequest, text: &Text<'_>) -> Value {
    let (needed, better) = text.beginning();
    json!({
        "size": request.effective_size(),
        "track_total_hits": false,
        "_source": ["product_id", "sku", "name", "category", "status"],
        "query": { "bool": {
            "filter": [statuses(request.statuses()), needed],
            "should": better,
        } },
        "sort": [{ "_score": "desc" }, { "product_id": "asc" }],
    })
}
