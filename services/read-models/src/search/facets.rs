//! Facets as aggregations.

use serde_json::{Value, json};

use super::document::UNIT;
use super::filters::Clauses;
use super::request::Facet;

/// The name of an aggregation inside the filter of its facet.
pub(super) const INNER: &str = "values";

/// One aggregation for each facet, by its place.
pub(super) fn aggregations(
    facets: &[Facet],
    clauses: &Clauses<'_>,
    values: usize,
) -> serde_json::Map<String, Value> {
    let one = |(at, facet): (usize, &Facet)| {
        let counted = aggregation(facet, values);
        let filter = clauses.of_facet(facet, facets);
        let counted = if filter.is_empty() {
            counted
        } else {
            json!({ "filter": { "bool": { "filter": filter } }, "aggs": { INNER: counted } })
        };
        (at.to_string(), counted)
    };
    facets.iter().enumerate().map(one).collect()
}

fn aggregation(facet: &Facet, values: usize) -> Value {
    let terms = |field: &str| json!({ "terms": { "field": field, "size": values } });
    match facet {
        Facet::Category => terms("categories"),
        Facet::Brand => terms("brand"),
        Facet::Status => terms("status"),
        Facet::Tags => terms("tags"),
        Facet::Currency => terms("currency"),
        Facet::AttributeNames => terms("attribute_names"),
        Facet::Attribute { name } => {
            let include = format!("{}{UNIT}.*", literal(name.as_str()));
            json!({ "terms": { "field": "attribute_pairs", "size": values, "include": include } })
        }
        Facet::Price { bounds } => json!({ "range": { "field": "price_minor", "ranges": ranges(bounds) } }),
    }
}

/// A regular expression of the server that means just this text.
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            literal.push('\\');
        }
        literal.push(c);
    }
    literal
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_matched_as_it_is_written() {
        assert_eq!(literal("color"), "color");
        assert_eq!(literal("a.b*[c]~größe 1"), r"a\.b\*\[c\]\~größe\ 1");
    }
}
