//! Turns a question into the body of the search API, and nothing else.

use serde_json::{Value, json};

use super::condition::{Better, Condition, Nearly};
use super::cursor::Cursor;
use super::facets::aggregations;
use super::plan::Plan;
use super::request::{SearchRequest, Sort, SuggestRequest};
use super::texts::{Similar, Text};

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
    let Plan { all, products, better, facets } = Plan::of(request, text, similar);
    let mut body = json!({
        "size": size.hits,
        "track_total_hits": true,
        "_source": { "excludes": NOT_READ },
        "query": { "bool": { "filter": queries(&all), "should": shoulds(&better) } },
        "sort": sort(request.sort),
    });
    if !products.is_empty() {
        body["post_filter"] = json!({ "bool": { "filter": queries(&products) } });
    }
    if request.sort == Sort::Relevance {
        body["track_scores"] = json!(true);
    }
    if !facets.is_empty() {
        body["aggs"] = aggregations(&facets, size.facet_values).into();
    }
    if let Some(cursor) = behind {
        body["search_after"] = cursor.search_after();
    }
    body
}

/// Counts, for each word that may have a typo, the products that have it; none if there is no such word.
pub(super) fn words(request: &SearchRequest, text: &Text<'_>) -> Option<Value> {
    let (among, words) = request.doubtful_words(text);
    let counts: serde_json::Map<String, Value> =
        words.iter().map(|(at, word)| (at.to_string(), json!({ "filter": query(word) }))).collect();
    (!counts.is_empty()).then(|| {
        json!({
            "size": 0,
            "track_total_hits": false,
            "query": { "bool": { "filter": [query(&among)] } },
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
    let (needed, better) = request.plan(text);
    json!({
        "size": request.effective_size(),
        "track_total_hits": false,
        "_source": ["product_id", "sku", "name", "category", "status"],
        "query": { "bool": { "filter": queries(&needed), "should": shoulds(&better) } },
        "sort": [{ "_score": "desc" }, { "product_id": "asc" }],
    })
}

/// Conditions as queries.
pub(super) fn queries(conditions: &[Condition]) -> Vec<Value> {
    conditions.iter().map(query).collect()
}

fn query(condition: &Condition) -> Value {
    match condition {
        Condition::OneOf { field, values } => json!({ "terms": { field.name(): values } }),
        Condition::BeginsWith { field, prefix } => json!({ "prefix": { field.name(): { "value": prefix } } }),
        Condition::Price { min, max } => {
            let bounds = [("gte", min), ("lte", max)].into_iter();
            let bounds = bounds.filter_map(|(name, bound)| Some((name.to_owned(), json!((*bound)?))));
            json!({ "range": { "price_minor": bounds.collect::<serde_json::Map<_, _>>() } })
        }
        Condition::Nearly(term) => nearly(term),
        Condition::All(all) => json!({ "bool": { "filter": queries(all) } }),
        Condition::Any(ways) => match ways.as_slice() {
            [] => json!({ "match_none": {} }),
            [way] => query(way),
            ways => json!({ "bool": { "should": queries(ways), "minimum_should_match": 1 } }),
        },
    }
}

fn nearly(Nearly { field, term, typos, variants }: &Nearly) -> Value {
    let how = json!({ "value": term, "fuzziness": typos, "prefix_length": 1, "max_expansions": variants });
    json!({ "fuzzy": { field.name(): how } })
}

fn shoulds(better: &[Better]) -> Vec<Value> {
    let should = |better: &Better| match better {
        Better::By { score, condition } => {
            json!({ "constant_score": { "filter": query(condition), "boost": score } })
        }
        Better::Terms { field, terms, boost } => {
            json!({ "match": { field.name(): { "query": terms.join(" "), "boost": boost } } })
        }
        Better::Nearly(term) => nearly(term),
    };
    better.iter().map(should).collect()
}
