use domain::Status;
use serde_json::{Value, json};

use super::document::ProductDocument;
use super::store::document;
use super::*;
use crate::model::ReadModel;
use crate::page::PageRequest;
use crate::testing::{category, created, deleted, recorded};
use crate::{QueryError, StoredProduct};

fn stored() -> StoredProduct {
    SearchModel::fold(None, &recorded(1, 5, created("a/b"))).unwrap().state
}

#[test]
fn a_document_is_the_whole_product_and_what_finds_it() {
    let state = SearchModel::fold(Some(stored()), &recorded(2, 6, deleted())).unwrap().state;
    let written = document(&state).unwrap();
    assert_eq!((written.id.as_str(), written.version), ("p", 2));
    let json: Value = serde_json::from_slice(&written.source).unwrap();
    assert_eq!(json["categories"], json!(["a", "a/b"]));
    assert_eq!(json["attribute_pairs"], json!(["cut=ideal", "note=a=b"]));
    assert_eq!(json["status"], "deleted");
    let read: ProductDocument<'static> = serde_json::from_slice(&written.source).unwrap();
    assert_eq!(read.parse().unwrap(), state);
}

#[test]
fn every_field_of_a_document_is_in_the_mapping() {
    let mapping: Value = serde_json::from_str(INDEX.text).unwrap();
    let source: Value = serde_json::from_slice(&document(&stored()).unwrap().source).unwrap();
    for field in source.as_object().unwrap().keys() {
        assert!(
            mapping["mappings"]["properties"][field].is_object(),
            "{field} is not in deploy/search/search.json"
        );
    }
}

#[test]
fn deleted_products_are_found_only_if_asked_for() {
    let filter = |filters: Filters| {
        let body = body::search(&SearchRequest { filters, ..SearchRequest::default() }, 10, None).unwrap();
        body["query"]["bool"]["filter"][0]["terms"]["status"].clone()
    };
    assert_eq!(filter(Filters::default()), json!(["draft", "listed", "discontinued"]));
    assert_eq!(filter(Filters { statuses: vec![Status::Deleted], ..Filters::default() }), json!(["deleted"]));
}

#[test]
fn values_of_one_attribute_are_alternatives_and_attributes_are_all_needed() {
    let attributes = [("cut", "ideal"), ("color", "E"), ("cut", "fair")];
    let attributes = attributes.map(|(n, v)| (n.to_owned(), v.to_owned())).to_vec();
    let request =
        SearchRequest { filters: Filters { attributes, ..Filters::default() }, ..SearchRequest::default() };
    let body = body::search(&request, 10, None).unwrap();
    let filters = body["query"]["bool"]["filter"].as_array().unwrap();
    assert_eq!(filters[1], json!({ "terms": { "attribute_pairs": ["cut=ideal", "cut=fair"] } }));
    assert_eq!(filters[2], json!({ "terms": { "attribute_pairs": ["color=E"] } }));
}

#[test]
fn a_price_range_must_not_be_upside_down() {
    let filters = Filters { price_min: Some(5), price_max: Some(4), ..Filters::default() };
    let refused = body::search(&SearchRequest { filters, ..SearchRequest::default() }, 10, None);
    assert!(matches!(refused, Err(QueryError::BadQuestion(_))));
}

#[test]
fn price_bounds_in_any_order_make_adjoining_ranges() {
    let facets = vec![Facet::Price { bounds: vec![200, 100, 200] }];
    let body = body::search(&SearchRequest { facets, ..SearchRequest::default() }, 10, None).unwrap();
    assert_eq!(
        body["aggs"]["0"]["range"]["ranges"],
        json!([{ "to": 100 }, { "from": 100, "to": 200 }, { "from": 200 }])
    );
}

#[test]
fn the_page_does_not_belong_to_the_question() {
    let first = SearchRequest { text: Some("ring".to_owned()), ..SearchRequest::default() };
    let second = SearchRequest { page: PageRequest::new(7, Some("x".to_owned())), ..first.clone() };
    let other = SearchRequest {
        filters: Filters { category: Some(category("a")), ..Filters::default() },
        ..first.clone()
    };
    assert_eq!(body::question(&first), body::question(&second));
    assert_ne!(body::question(&first), body::question(&other));
}
