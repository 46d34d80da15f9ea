//! Turns a [`SearchRequest`] into the body of the search API, and nothing else.

use ahash::AHashMap;
use domain::{Brand, Status};
use serde_json::{Value, json};

use super::cursor::Cursor;
use super::document::pair;
use super::request::{Facet, Filters, SearchRequest, Sort, words};

/// How much is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    /// Products.
    pub(super) hits: usize,
    /// Values counted per facet.
    pub(super) facet_values: usize,
}

/// Variants that a word with a typo may stand for.
const EXPANSIONS: usize = 50;
/// The same of all words together. With the clauses that rank, it stays below the 1,024 that a server takes.
const ALL_EXPANSIONS: usize = 640;
/// What only helps to find a product is not sent back: it is half of a document.
const NOT_READ: [&str; 3] = ["categories", "attribute_names", "attribute_pairs"];

/// What makes one question another: everything but the page.
pub(super) fn question(request: &SearchRequest) -> String {
    let SearchRequest { text, filters, sort, facets: _, page: _ } = request;
    format!("search {text:?} {filters:?} {sort:?}")
}

/// The body; `size` hits after `cursor`.
pub(super) fn search(request: &SearchRequest, size: Size, cursor: Option<&Cursor>) -> Value {
    let mut body = json!({
        "size": size.hits,
        "track_total_hits": true,
        "_source": { "excludes": NOT_READ },
        "query": { "bool": query(request) },
        "sort": sort(request.sort),
    });
    if request.sort == Sort::Relevance {
        body["track_scores"] = json!(true);
    }
    if !request.facets.is_empty() {
        let facets = request.facets.iter().enumerate();
        body["aggs"] = facets
            .map(|(i, facet)| (i.to_string(), aggregation(facet, size.facet_values)))
            .collect::<serde_json::Map<_, _>>()
            .into();
    }
    if let Some(cursor) = cursor {
        body["search_after"] = cursor.search_after();
    }
    body
}

fn query(request: &SearchRequest) -> Value {
    let mut clauses = json!({ "filter": filters(&request.filters) });
    if let Some(text) = request.text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        let expansions = (ALL_EXPANSIONS / words(text).max(1)).clamp(1, EXPANSIONS);
        // Every word must be somewhere, with a typo or two; where it is, and without typo, makes a hit better.
        clauses["must"] = json!([{ "match": { "everything": {
            "query": text, "operator": "and", "fuzziness": "AUTO", "prefix_length": 1, "max_expansions": expansions,
        } } }]);
        clauses["should"] = json!([
            { "multi_match": {
                "query": text, "type": "most_fields",
                "fields": ["name^4", "brand.text^2", "tags.text^2", "description"],
            } },
            { "match_phrase": { "name": { "query": text, "boost": 6 } } },
            { "term": { "sku": { "value": text, "boost": 20 } } },
        ]);
    }
    clauses
}

fn filters(filters: &Filters) -> Vec<Value> {
    let mut all = Vec::new();
    if let Some(category) = &filters.category {
        all.push(json!({ "term": { "categories": category.as_str() } }));
    }
    if !filters.brands.is_empty() {
        let brands: Vec<&str> = filters.brands.iter().map(Brand::as_str).collect();
        all.push(json!({ "terms": { "brand": brands } }));
    }
    let statuses: Vec<&str> = if filters.statuses.is_empty() {
        Status::ALL.iter().filter(|s| **s != Status::Deleted).map(|s| s.as_str()).collect()
    } else {
        filters.statuses.iter().map(|s| s.as_str()).collect()
    };
    all.push(json!({ "terms": { "status": statuses } }));
    if let Some(currency) = filters.currency {
        all.push(json!({ "term": { "currency": currency.as_str() } }));
    }
    if filters.price_min.is_some() || filters.price_max.is_some() {
        let bounds = [("gte", filters.price_min), ("lte", filters.price_max)];
        let range: serde_json::Map<_, _> =
            bounds.into_iter().filter_map(|(name, bound)| Some((name.to_owned(), json!(bound?)))).collect();
        all.push(json!({ "range": { "price_minor": range } }));
    }
    let mut of_name: AHashMap<&str, usize> = AHashMap::new();
    let mut pairs: Vec<Vec<String>> = Vec::new();
    for (name, value) in &filters.attributes {
        let at = *of_name.entry(name.as_str()).or_insert(pairs.len());
        if at == pairs.len() {
            pairs.push(Vec::new());
        }
        pairs[at].push(pair(name.as_str(), value.as_str()));
    }
    all.extend(pairs.into_iter().map(|pairs| json!({ "terms": { "attribute_pairs": pairs } })));
    all.extend(filters.tags.iter().map(|tag| json!({ "term": { "tags": tag.as_str() } })));
    all
}

/// The product id makes every order total, so that pages neither repeat nor skip.
fn sort(sort: Sort) -> Value {
    let first = match sort {
        Sort::Relevance => json!({ "_score": "desc" }),
        Sort::PriceAscending => json!({ "price_minor": "asc" }),
        Sort::PriceDescending => json!({ "price_minor": "desc" }),
        Sort::NameAscending => json!({ "name.exact": "asc" }),
        Sort::Newest => json!({ "updated_at": "desc" }),
    };
    json!([first, { "product_id": "asc" }])
}

fn aggregation(facet: &Facet, values: usize) -> Value {
    let terms = |field: &str| json!({ "terms": { "field": field, "size": values } });
    match facet {
        Facet::Category => terms("categories"),
        Facet::Brand => terms("brand"),
        Facet::Status => terms("status"),
        Facet::Tags => terms("tags"),
        Facet::AttributeNames => terms("attribute_names"),
        Facet::Attribute { name } => {
            // Attribute names hold nothing that a regular expression would read otherwise.
            json!({ "terms": { "field": "attribute_pairs", "size": values, "include": format!("{name}=.*") } })
        }
        Facet::Price { bounds } => {
            json!({ "range": { "field": "price_minor", "ranges": ranges(bounds) } })
        }
    }
}

fn ranges(bounds: &[u64]) -> Vec<Value> {
    let mut bounds = bounds.to_vec();
    bounds.sort_unstable();
    bounds.dedup();
    let starts = std::iter::once(None).chain(bounds.iter().copied().map(Some));
    let ends = bounds.iter().copied().map(Some).chain(std::iter::once(None));
    starts
        .zip(ends)
        .map(|(from, to)| match (from, to) {
            (None, None) => json!({ "from": 0 }),
            (None, Some(to)) => json!({ "to": to }),
            (Some(from), None) => json!({ "from": from }),
            (Some(from), Some(to)) => json!({ "from": from, "to": to }),
        })
        .collect()
}

/// The body of a completion: the last word is a prefix, the others are words.
pub(super) fn suggest(prefix: &str, size: u32) -> Value {
    json!({
        "size": size,
        "track_total_hits": false,
        "_source": ["product_id", "name", "category"],
        "query": { "bool": {
            "must": [{ "multi_match": {
                "query": prefix,
                "type": "bool_prefix",
                "operator": "and",
                "fields": ["name.prefix", "name.prefix._2gram", "name.prefix._3gram"],
            } }],
            "must_not": [{ "term": { "status": Status::Deleted.as_str() } }],
        } },
        "sort": [{ "_score": "desc" }, { "product_id": "asc" }],
    })
}
