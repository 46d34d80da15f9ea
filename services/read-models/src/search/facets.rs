//! Facets as aggregations.

use serde_json::{Value, json};

use super::body;
use super::document::UNIT;
use super::plan::{FacetPlan, PriceRange, Values};

/// The name of an aggregation inside the filter of its facet.
const INNER: &str = "values";

/// The name of the aggregation of a facet's values that are filtered by, which it has however few products they have.
pub(super) fn name_of_chosen(at: usize) -> String {
    format!("{at}-chosen")
}

/// One aggregation for each facet, by its place, and one for its values that are filtered by.
pub(super) fn aggregations(facets: &[FacetPlan], values: usize) -> serde_json::Map<String, Value> {
    let mut all = serde_json::Map::new();
    for (at, facet) in facets.iter().enumerate() {
        let filter = body::queries(&facet.within);
        let mut add = |name: String, counted: Value| {
            let counted = if filter.is_empty() {
                counted
            } else {
                json!({ "filter": { "bool": { "filter": filter } }, "aggs": { INNER: counted } })
            };
            all.insert(name, counted);
        };
        add(at.to_string(), aggregation(&facet.values, values));
        if let Values::Of(field) | Values::Beginning(field, _) = &facet.values
            && !facet.chosen.is_empty()
        {
            let (chosen, size) = (&facet.chosen, facet.chosen.len());
            let terms = json!({ "field": field.name(), "include": chosen, "size": size });
            add(name_of_chosen(at), json!({ "terms": terms }));
        }
    }
    all
}

fn aggregation(values: &Values, size: usize) -> Value {
    match values {
        Values::Of(field) => json!({ "terms": { "field": field.name(), "size": size } }),
        Values::Beginning(field, prefix) => {
            let include = format!("{}.*", literal(prefix));
            json!({ "terms": { "field": field.name(), "size": size, "include": include } })
        }
        Values::Prices(ranges) => {
            let ranges: Vec<Value> = ranges.iter().copied().map(range).collect();
            json!({ "range": { "field": "price_minor", "ranges": ranges } })
        }
    }
}

fn range(PriceRange { from, to }: PriceRange) -> Value {
    let bounds = [("from", from), ("to", to)].into_iter();
    let bounds = bounds.filter_map(|(name, bound)| Some((name.to_owned(), json!(bound?))));
    Value::Object(bounds.collect())
}

/// A regular expression of the server that means just this text.
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() && c != UNIT {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_as_it_is_written() {
        assert_eq!(literal("color"), "color");
        assert_eq!(literal("a.b*[c]~größe 1\u{1f}"), "a\\.b\\*\\[c\\]\\~größe\\ 1\u{1f}");
    }
}
