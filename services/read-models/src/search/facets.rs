//! Facets as aggregations.

use serde_json::{Value, json};

use super::document::{UNIT, pair};
use super::filters::Clauses;
use super::request::{Facet, Filters};

/// The name of an aggregation inside the filter of its facet.
pub(super) const INNER: &str = "values";

/// The name of the aggregation of a facet's values that are filtered by, which it has however few products they have.
pub(super) fn name_of_chosen(at: usize) -> String {
    format!("{at}-chosen")
}

/// One aggregation for each facet, by its place, and one for its values that are filtered by.
pub(super) fn aggregations(
    facets: &[Facet],
    filters: &Filters,
    clauses: &Clauses<'_>,
    values: usize,
) -> serde_json::Map<String, Value> {
    let mut all = serde_json::Map::new();
    for (at, facet) in facets.iter().enumerate() {
        let filter = clauses.of_facet(facet, facets);
        let mut add = |name: String, counted: Value| {
            let counted = if filter.is_empty() {
                counted
            } else {
                json!({ "filter": { "bool": { "filter": filter } }, "aggs": { INNER: counted } })
            };
            all.insert(name, counted);
        };
        add(at.to_string(), aggregation(facet, values));
        let chosen = chosen(facet, filters);
        if let Some(field) = field(facet).filter(|_| !chosen.is_empty()) {
            let size = chosen.len();
            add(name_of_chosen(at), json!({ "terms": { "field": field, "include": chosen, "size": size } }));
        }
    }
    all
}

/// The values of a facet that are filtered by, as its field has them.
fn chosen(facet: &Facet, filters: &Filters) -> Vec<String> {
    match facet {
        Facet::Category => filters.category.iter().map(ToString::to_string).collect(),
        Facet::Brand => filters.brands.iter().map(|brand| brand.as_str().to_owned()).collect(),
        Facet::Status => filters.statuses.iter().map(|status| status.as_str().to_owned()).collect(),
        Facet::Tags => filters.tags.iter().map(|tag| tag.as_str().to_owned()).collect(),
        Facet::Currency => filters.currency.iter().map(|it| it.as_str().to_owned()).collect(),
        Facet::Attribute { name } => {
            let of_name = filters.attributes.iter().filter(|(other, _)| other == name);
            of_name.map(|(name, value)| pair(name.as_str(), value.as_str())).collect()
        }
        Facet::AttributeNames | Facet::Price { .. } => Vec::new(),
    }
}

/// What a facet counts the values of.
fn field(facet: &Facet) -> Option<&'static str> {
    match facet {
        Facet::Category => Some("categories"),
        Facet::Brand => Some("brand"),
        Facet::Status => Some("status"),
        Facet::Tags => Some("tags"),
        Facet::Currency => Some("currency"),
        Facet::AttributeNames => Some("attribute_names"),
        Facet::Attribute { .. } => Some("attribute_pairs"),
        Facet::Price { .. } => None,
    }
}

fn aggregation(facet: &Facet, values: usize) -> Value {
    let mut terms = json!({ "field": field(facet), "size": values });
    match facet {
        Facet::Price { bounds } => {
            return json!({ "range": { "field": "price_minor", "ranges": ranges(bounds) } });
        }
        Facet::Attribute { name } => {
            terms["include"] = format!("{}{UNIT}.*", literal(name.as_str())).into();
        }
        _ => {}
    }
    json!({ "terms": terms })
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
