//! Turns a [`SearchRequest`] into the body of the search API, and nothing else.

use domain::Status;
use serde_json::{Value, json};

use super::document::pair;
use super::request::{Facet, Filters, SearchRequest, Sort};
use crate::QueryError;

/// Values counted per facet.
const FACET_VALUES: u32 = 100;

/// The sort values of the last hit of a page.
pub(super) type Cursor = Vec<Value>;

/// What makes one question another: everything but the page.
pub(super) fn question(request: &SearchRequest) -> String {
    let SearchRequest { text, filters, sort, facets: _, page: _ } = request;
    format!("search {text:?} {filters:?} {sort:?}")
}

/// The body; `size` hits after `cursor`.
pub(super) fn search(
    request: &SearchRequest,
    size: usize,
    cursor: Option<Cursor>,
) -> Result<Value, QueryError> {
    let mut body = json!({
        "size": size,
        "track_total_hits": true,
        "query": { "bool": query(request)? },
        "sort": sort(request.sort),
    });
    if request.sort == Sort::Relevance {
        body["track_scores"] = json!(true);
    }
    if !request.facets.is_empty() {
        let facets = request.facets.iter().enumerate();
        body["aggs"] = facets
            .map(|(i, facet)| (i.to_string(), aggregation(facet)))
            .collect::<serde_json::Map<_, _>>()
            .into();
    }
    if let Some(cursor) = cursor {
        body["search_after"] = cursor.into();
    }
    Ok(body)
}

fn query(request: &SearchRequest) -> Result<Value, QueryError> {
    let mut clauses = json!({ "filter": filters(&request.filters)? });
    if let Some(text) = request.text.as_deref().map(str::trim).filter(|text| !text.is_empty()) {
        // Every word must be somewhere, with a typo or two; where it is, and without typo, makes a hit better.
        clauses["must"] = json!([{ "match": { "everything": {
            "query": text, "operator": "and", "fuzziness": "AUTO", "prefix_length": 1, "max_expansions": 50,
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
    Ok(clauses)
}

fn filters(filters: &Filters) -> Result<Vec<Value>, QueryError> {
    if let (Some(min), Some(max)) = (filters.price_min, filters.price_max)
        && min > max
    {
        return Err(QueryError::BadQuestion(format!("the lowest price, {min}, is above the highest, {max}")));
    }
    let mut all = Vec::new();
    if let Some(category) = &filters.category {
        all.push(json!({ "term": { "categories": category.as_str() } }));
    }
    if !filters.brands.is_empty() {
        all.push(json!({ "terms": { "brand": filters.brands } }));
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
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in &filters.attributes {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    for name in names {
        let of_name = filters.attributes.iter().filter(|(n, _)| n == name);
        let pairs: Vec<String> = of_name.map(|(n, v)| pair(n, v)).collect();
        all.push(json!({ "terms": { "attribute_pairs": pairs } }));
    }
    for tag in &filters.tags {
        all.push(json!({ "term": { "tags": tag } }));
    }
    Ok(all)
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

fn aggregation(facet: &Facet) -> Value {
    let terms = |field: &str| json!({ "terms": { "field": field, "size": FACET_VALUES } });
    match facet {
        Facet::Category => terms("categories"),
        Facet::Brand => terms("brand"),
        Facet::Status => terms("status"),
        Facet::Tags => terms("tags"),
        Facet::AttributeNames => terms("attribute_names"),
        Facet::Attribute { name } => {
            // Attribute names hold nothing that a regular expression would read otherwise.
            json!({ "terms": { "field": "attribute_pairs", "size": FACET_VALUES, "include": format!("{name}=.*") } })
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
