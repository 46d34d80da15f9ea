//! Whatever is sent is refused by its field's name, at little cost, or passes the door and meets the stores, which are away.

use std::time::{Duration, Instant};

use contract::ConsistencyToken;
use prost_types::{Duration as ProtoDuration, Timestamp};
use read_models::Version;

use super::*;

async fn search(request: v1::SearchRequest, code: Code) -> Vec<String> {
    error(service().search(asked(request)).await, code)
}

fn filtered(filters: v1::Filters) -> v1::SearchRequest {
    v1::SearchRequest { filters: Some(filters), ..Default::default() }
}

#[tokio::test]
async fn a_list_that_is_too_long_is_refused_without_a_look_at_its_items() {
    let attribute = v1::AttributeFilter { name: "NOT A NAME".to_owned(), value: String::new() };
    let facet = |bounds| v1::Facet { field: "price".to_owned(), price_bounds: bounds };
    let cases = [
        (filtered(v1::Filters { statuses: vec![77; 400_000], ..Default::default() }), "/filters.statuses"),
        (
            filtered(v1::Filters { attributes: vec![attribute; 40_000], ..Default::default() }),
            "/filters.attributes",
        ),
        (
            filtered(v1::Filters { brands: vec![String::new(); 400_000], ..Default::default() }),
            "/filters.brands",
        ),
        (
            filtered(v1::Filters { tags: vec!["B".to_owned(); 400_000], ..Default::default() }),
            "/filters.tags",
        ),
        (v1::SearchRequest { facets: vec![facet(vec![]); 40_000], ..Default::default() }, "/facets"),
        (
            v1::SearchRequest { facets: vec![facet((0..400_000).collect())], ..Default::default() },
            "/facets[0]",
        ),
    ];
    for (request, field) in cases {
        let started = Instant::now();
        assert_eq!(search(request, Code::MalformedRequest).await, [field]);
        assert!(started.elapsed() < Duration::from_secs(2), "{field}: {:?}", started.elapsed());
    }
    let request =
        v1::BatchGetProductsRequest { product_ids: vec!["?".to_owned(); 400_000], ..Default::default() };
    let fields = error(service().batch_get_products(asked(request)).await, Code::MalformedRequest);
    assert_eq!(fields, ["/product_ids"]);
}

#[tokio::test]
async fn of_many_faults_the_first_are_told() {
    let filters =
        v1::Filters { statuses: vec![77; 64], tags: vec!["B".to_owned(); 64], ..Default::default() };
    let fields = search(filtered(filters), Code::MalformedRequest).await;
    assert_eq!(fields.len(), 21);
}

#[tokio::test]
async fn a_hostile_field_is_refused_by_name() {
    let text = |text: String| v1::SearchRequest { text, ..Default::default() };
    let filters = |filters| filtered(filters);
    let attribute = |name: &str| v1::AttributeFilter { name: name.to_owned(), value: "v".to_owned() };
    let long = "x".repeat(100_000);
    let cases = [
        (text("a ".repeat(6_000)), "/text"),
        (text("a-".repeat(33)), "/text"),
        (text("a\0".to_owned()), "/text"),
        (filters(v1::Filters { price_min: Some(1 << 63), ..Default::default() }), "/filters.price_min"),
        (filters(v1::Filters { price_max: Some(u64::MAX), ..Default::default() }), "/filters.price_max"),
        (
            filters(v1::Filters {
                price_min: Some(2),
                price_max: Some(1),
                currency: "USD".to_owned(),
                ..Default::default()
            }),
            "/filters.price_min",
        ),
        (filters(v1::Filters { price_min: Some(1), ..Default::default() }), "/filters.currency"),
        (filters(v1::Filters { price_max: Some(1), ..Default::default() }), "/filters.currency"),
        (
            v1::SearchRequest { sort: v1::Sort::PriceAscending.into(), ..Default::default() },
            "/filters.currency",
        ),
        (
            v1::SearchRequest { sort: v1::Sort::PriceDescending.into(), ..Default::default() },
            "/filters.currency",
        ),
        (
            v1::SearchRequest {
                facets: vec![v1::Facet { field: "price".to_owned(), price_bounds: vec![] }],
                ..Default::default()
            },
            "/filters.currency",
        ),
        (v1::SearchRequest { facet_size: 1_001, ..Default::default() }, "/facet_size"),
        (filters(v1::Filters { category: long.clone(), ..Default::default() }), "/filters.category"),
        (filters(v1::Filters { currency: long.clone(), ..Default::default() }), "/filters.currency"),
        (filters(v1::Filters { brands: vec![long.clone()], ..Default::default() }), "/filters.brands[0]"),
        (
            filters(v1::Filters { attributes: vec![attribute("a\u{1f}b")], ..Default::default() }),
            "/filters.attributes[0]",
        ),
        (filters(v1::Filters { statuses: vec![-1], ..Default::default() }), "/filters.statuses[0]"),
        (v1::SearchRequest { sort: i32::MIN, ..Default::default() }, "/sort"),
    ];
    for (request, field) in cases {
        assert_eq!(search(request, Code::MalformedRequest).await, [field]);
    }
    for build in ["0", "g0", "-1", "4294967296", "G2", "a\0", "\u{fc}", &long] {
        let generation = Some(build.to_owned());
        let request = v1::SearchRequest { generation: generation.clone(), sort: 99, ..Default::default() };
        assert_eq!(search(request, Code::MalformedRequest).await, ["/generation", "/sort"], "{build:.60}");
        let request = v1::GetProductRequest { product_id: "p-1".into(), generation, ..Default::default() };
        let fields = error(service().get_product(asked(request)).await, Code::MalformedRequest);
        assert_eq!(fields, ["/generation"], "{build:.60}");
    }
    let request = v1::SearchRequest { page_token: long.clone(), ..Default::default() };
    search(request, Code::BadPageToken).await;
    for prefix in ["a ".repeat(6_000), "  ".to_owned(), long] {
        let request = v1::SuggestRequest { prefix, ..Default::default() };
        let fields = error(service().suggest(asked(request)).await, Code::MalformedRequest);
        assert_eq!(fields, ["/prefix"]);
    }
    let request = v1::SuggestRequest { prefix: "a".to_owned(), statuses: vec![77], ..Default::default() };
    let fields = error(service().suggest(asked(request)).await, Code::MalformedRequest);
    assert_eq!(fields, ["/statuses[0]"]);
    let statuses = vec![v1::Status::Listed.into(), v1::Status::Deleted.into()];
    let request = v1::ListProductsRequest { category: "a".to_owned(), statuses, ..Default::default() };
    let fields = error(service().list_products(asked(request)).await, Code::MalformedRequest);
    assert_eq!(fields, ["/statuses[1]"]);
}

#[tokio::test]
async fn a_version_or_a_time_that_cannot_be_is_refused() {
    use v1::get_product_request::Past;
    let time = |seconds, nanos| Past::AsOf(Timestamp { seconds, nanos });
    for (past, field) in [
        (Past::Version(0), "/version"),
        (Past::Version(1 << 63), "/version"),
        (time(i64::MAX, 0), "/as_of"),
        (time(i64::MIN, 0), "/as_of"),
        (time(0, -1), "/as_of"),
        (time(0, i32::MAX), "/as_of"),
    ] {
        let request =
            v1::GetProductRequest { product_id: "p-1".into(), past: Some(past), ..Default::default() };
        let fields = error(service().get_product(asked(request)).await, Code::MalformedRequest);
        assert_eq!(fields, [field], "{past:?}");
    }
    for (seconds, nanos) in [(-1, 0), (i64::MIN, 0), (0, -1), (0, 1_000_000_000), (i64::MAX, i32::MAX)] {
        let wait = Some(ProtoDuration { seconds, nanos });
        let freshness = Some(v1::Freshness { consistency_token: String::new(), wait });
        let request = v1::GetProductRequest { product_id: "p-1".into(), freshness, ..Default::default() };
        let fields = error(service().get_product(asked(request)).await, Code::MalformedRequest);
        assert_eq!(fields, ["/freshness.wait"], "{seconds} {nanos}");
    }
    let wait = Some(ProtoDuration { seconds: i64::MAX, nanos: 999_999_999 });
    let freshness = Some(v1::Freshness { consistency_token: String::new(), wait });
    let request = v1::GetProductRequest { product_id: "p-1".into(), freshness, ..Default::default() };
    error(service().get_product(asked(request)).await, Code::StoreUnavailable);
}

#[tokio::test]
async fn a_consistency_token_of_no_possible_place_is_refused() {
    let product = || "p-1".try_into().unwrap();
    for (partition, offset, version) in [(-1, 0, 1), (0, i64::MAX, 1), (0, i64::MIN, 1), (0, 0, u64::MAX)] {
        let forged =
            ConsistencyToken { partition, offset, product: product(), version: Version(version), log: None };
        let request = v1::SearchRequest { freshness: Some(token(&forged.encode())), ..Default::default() };
        search(request, Code::BadConsistencyToken).await;
    }
    let request = v1::SearchRequest { freshness: Some(token(&"A".repeat(100_000))), ..Default::default() };
    search(request, Code::BadConsistencyToken).await;
}
