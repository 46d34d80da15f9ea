use domain::Status;
use serde_json::{Value, json};

use super::document::ProductDocument;
use super::store::document;
use super::*;
use crate::model::ReadModel;
use crate::page::PageRequest;
use crate::testing::{category, created, deleted, recorded};
use crate::{QueryError, StoredProduct, page};

const SIZE: body::Size = body::Size { hits: 10, facet_values: 100 };

fn attribute(name: &str, value: &str) -> (AttributeName, AttributeValue) {
    (AttributeName::parse(name).unwrap(), AttributeValue::parse(value).unwrap())
}

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
        let body = body::search(&SearchRequest { filters, ..SearchRequest::default() }, SIZE, None);
        body["query"]["bool"]["filter"][0]["terms"]["status"].clone()
    };
    assert_eq!(filter(Filters::default()), json!(["draft", "listed", "discontinued"]));
    assert_eq!(filter(Filters { statuses: vec![Status::Deleted], ..Filters::default() }), json!(["deleted"]));
}

#[test]
fn values_of_one_attribute_are_alternatives_and_attributes_are_all_needed() {
    let attributes = [("cut", "ideal"), ("color", "E"), ("cut", "fair")];
    let attributes = attributes.map(|(n, v)| attribute(n, v)).to_vec();
    let request =
        SearchRequest { filters: Filters { attributes, ..Filters::default() }, ..SearchRequest::default() };
    let body = body::search(&request, SIZE, None);
    let filters = body["query"]["bool"]["filter"].as_array().unwrap();
    assert_eq!(filters[1], json!({ "terms": { "attribute_pairs": ["cut=ideal", "cut=fair"] } }));
    assert_eq!(filters[2], json!({ "terms": { "attribute_pairs": ["color=E"] } }));
}

#[test]
fn a_price_range_must_not_be_upside_down() {
    let filters = Filters { price_min: Some(5), price_max: Some(4), ..Filters::default() };
    let refused = SearchRequest { filters, ..SearchRequest::default() }.check();
    assert!(matches!(refused, Err(QueryError::BadQuestion(_))));
}

#[test]
fn price_bounds_in_any_order_make_adjoining_ranges() {
    let facets = vec![Facet::Price { bounds: vec![200, 100, 200] }];
    let body = body::search(&SearchRequest { facets, ..SearchRequest::default() }, SIZE, None);
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

#[test]
fn a_question_of_many_attributes_is_made_in_a_moment() {
    let attributes = (0..40_000).map(|n| attribute(&format!("a{n}"), "v")).collect();
    let request =
        SearchRequest { filters: Filters { attributes, ..Filters::default() }, ..SearchRequest::default() };
    let started = std::time::Instant::now();
    let body = body::search(&request, SIZE, None);
    assert!(started.elapsed() < std::time::Duration::from_secs(1), "{:?}", started.elapsed());
    assert_eq!(body["query"]["bool"]["filter"].as_array().unwrap().len(), 40_001);
    assert!(matches!(request.check(), Err(QueryError::BadQuestion(_))), "and it is refused before that");
}

#[test]
fn the_words_of_a_text_are_counted_as_a_server_counts_them_or_higher() {
    for (text, words) in [
        ("", 0),
        ("0.23 ct Ideal-cut", 5),
        ("ダイヤモンド 지르코니아", 2),
        ("钻石戒指", 4),
        ("💍💎", 2),
        ("naïve café", 2),
    ] {
        assert_eq!(request::words(text), words, "{text}");
    }
    assert_eq!(request::words(&"x".repeat(1_000)), 4, "a long word is several");
}

#[test]
fn a_text_has_at_most_so_many_words_and_bytes_and_no_control_characters() {
    check_text(&"word ".repeat(MAX_WORDS)).unwrap();
    assert!(check_text(&"word ".repeat(MAX_WORDS + 1)).unwrap_err().contains("32 words"));
    assert!(check_text(&"钻".repeat(MAX_WORDS + 1)).is_err());
    assert!(check_text(&" ".repeat(MAX_TEXT_BYTES + 1)).unwrap_err().contains("1000 bytes"));
    assert!(check_text("a\0b").unwrap_err().contains("control"));
    check_text("tab\tand\nline").unwrap();
}

#[test]
fn all_words_together_make_fewer_clauses_than_a_server_takes() {
    let expansions = |words: usize| {
        let request = SearchRequest { text: Some("word ".repeat(words)), ..SearchRequest::default() };
        let body = body::search(&request, SIZE, None);
        body["query"]["bool"]["must"][0]["match"]["everything"]["max_expansions"].as_u64().unwrap() as usize
    };
    assert_eq!(expansions(1), 50);
    // Each word stands in four fields, in a phrase and as itself too.
    assert!((1..=MAX_WORDS).all(|words| words * (expansions(words) + 6) < 1_024));
}

#[test]
fn a_forged_cursor_never_reaches_the_server() {
    let forge = |sort, values: Value| {
        let request = SearchRequest { sort, ..SearchRequest::default() };
        let token = page::encode(&body::question(&request), values).unwrap();
        SearchRequest { page: PageRequest::new(0, Some(token)), ..request }
    };
    for (sort, values) in [
        (Sort::Relevance, json!([1.5, "p-1"])),
        (Sort::Relevance, json!([1, "p-1"])),
        (Sort::PriceAscending, json!([1_999, "p-1"])),
        (Sort::PriceDescending, json!([-1, "p-1"])),
        (Sort::NameAscending, json!(["ring", "p-1"])),
        (Sort::Newest, json!([1_700_000_000_000_i64, "p-1"])),
    ] {
        forge(sort, values).check().unwrap();
    }
    for (sort, values) in [
        (Sort::Relevance, json!(["ring", "p-1"])),
        (Sort::Relevance, json!([null, "p-1"])),
        (Sort::PriceAscending, json!(["ring", "p-1"])),
        (Sort::PriceAscending, json!([1.5, "p-1"])),
        (Sort::PriceAscending, json!([u64::MAX, "p-1"])),
        (Sort::NameAscending, json!([7, "p-1"])),
        (Sort::Newest, json!([["p-1"], "p-1"])),
        (Sort::Newest, json!([1, "not an id"])),
        (Sort::Newest, json!([1])),
        (Sort::Newest, json!([1, "p-1", 2])),
        (Sort::Newest, json!([])),
        (Sort::Newest, json!({ "a": 1 })),
        (Sort::Newest, json!(null)),
    ] {
        let refused = forge(sort, values.clone()).check();
        assert!(matches!(refused, Err(QueryError::BadPageToken(_))), "{sort:?} {values}: {refused:?}");
    }
}

/// The server's answer with `count` products whose descriptions have `bytes` bytes each.
fn answer_of(count: usize, bytes: usize) -> answer::Answer<ProductDocument<'static>> {
    let hits = (0..count).map(|n| {
        let mut source: Value = serde_json::from_slice(&document(&stored()).unwrap().source).unwrap();
        source["product_id"] = format!("p-{n}").into();
        source["attributes"] =
            (0..bytes / 1_000).map(|a| (format!("a{a}"), Value::from("x".repeat(1_000)))).collect();
        json!({ "_source": source, "sort": [n, format!("p-{n}")] })
    });
    let buckets: Vec<Value> = (0..100)
        .map(|n| json!({ "key": format!("size={n}{}", "y".repeat(4_000)), "doc_count": 1 }))
        .collect();
    let answer = json!({
        "hits": { "total": { "value": 1_000 }, "hits": hits.collect::<Vec<_>>() },
        "aggregations": (0..20).map(|n| (n.to_string(), json!({ "buckets": buckets }))).collect::<serde_json::Map<_, _>>(),
    });
    serde_json::from_str(&answer.to_string()).unwrap()
}

#[test]
fn a_page_of_large_products_ends_early_and_goes_on_where_it_ended() {
    let request = SearchRequest { sort: Sort::PriceAscending, ..SearchRequest::default() };
    let question = body::question(&request);
    let page = answer::response(answer_of(201, 60_000), &request, &question, 200).unwrap();
    let bytes: usize = page.hits.iter().map(|hit| hit.found.size()).sum();
    assert!((2_000_000..=page::MAX_PAGE_BYTES).contains(&bytes), "{bytes}");
    let last = page.hits.len() - 1;
    let cursor = cursor::Cursor::decode(&question, request.sort, &page.next.unwrap()).unwrap();
    assert_eq!(cursor, cursor::Cursor::Number(last as i64, format!("p-{last}")));
    let small = answer::response(answer_of(3, 0), &request, &question, 3).unwrap();
    assert_eq!((small.hits.len(), small.next), (3, None));
}

#[test]
fn facets_of_long_values_leave_room_for_products() {
    let facets = (0..20).map(|_| Facet::Attribute { name: attribute("size", "v").0 }).collect();
    let request = SearchRequest { facets, sort: Sort::PriceAscending, ..SearchRequest::default() };
    let page = answer::response(answer_of(1, 0), &request, "q", 1).unwrap();
    let bytes: usize = page.facets.iter().flat_map(|f| &f.buckets).map(|b| b.value.len()).sum();
    assert!((100_000..600_000).contains(&bytes), "{bytes}");
    assert!(page.facets.iter().all(|facet| !facet.buckets.is_empty()));
}
