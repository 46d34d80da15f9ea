//! The real service without stores: what a caller gets for bad input, and while the stores are away.

mod hostile;

use contract::code::Code;
use contract::proto::catalog::v1;
use contract::proto::catalog::v1::query_service_server::QueryService;
use edge::auth::Principal;
use tonic::{Request, Status};
use tonic_types::StatusExt;
use toolkit::telemetry::Telemetry;

use super::service::Service;
use crate::ask::{self, Queries, Stores};
use crate::config::Config;

fn service() -> Service {
    let telemetry = Telemetry::detached("tester").unwrap();
    let config = Config::default();
    let metrics = ask::Metrics::new(&telemetry.meter());
    let questions = Queries::new(Stores::new(&config), config.queries, metrics);
    Service::new(questions)
}

/// A call as the server hands it over where callers are not checked.
fn asked<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.extensions_mut().insert(Principal::default());
    request
}

/// Checks what every error has; returns the fields it names.
fn error<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code) -> Vec<String> {
    let status = answer.unwrap_err();
    assert_eq!(status.code() as i32, code.grpc(), "{status:?}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, code.name().replace('-', "_").to_uppercase());
    assert_eq!(info.metadata["retryable"], code.retryable().to_string());
    assert_eq!(status.get_details_retry_info().is_some(), code.retryable());
    let violations =
        status.get_details_bad_request().map(|details| details.field_violations).unwrap_or_default();
    violations.into_iter().map(|violation| violation.field).collect()
}

fn token(text: &str) -> v1::Freshness {
    v1::Freshness { consistency_token: text.to_owned(), wait: None }
}

#[tokio::test]
async fn all_that_is_wrong_is_told_at_once() {
    let filters = v1::Filters { statuses: vec![77], category: "a//b".to_owned(), ..Default::default() };
    let facets = vec![v1::Facet { field: "colour".to_owned(), price_bounds: Vec::new() }];
    let request = v1::SearchRequest { filters: Some(filters), facets, sort: 99, ..Default::default() };
    let mut fields = error(service().search(asked(request)).await, Code::MalformedRequest);
    fields.sort_unstable();
    assert_eq!(fields, ["/facets[0]", "/filters.category", "/filters.statuses[0]", "/sort"]);
    let request =
        v1::BatchGetProductsRequest { product_ids: vec!["p-1".into(), "p 2".into()], ..Default::default() };
    let fields = error(service().batch_get_products(asked(request)).await, Code::MalformedRequest);
    assert_eq!(fields, ["/product_ids[1]"]);
}

#[tokio::test]
async fn a_damaged_consistency_token_and_a_negative_wait_are_refused() {
    let request = v1::GetProductRequest {
        product_id: "p-1".into(),
        freshness: Some(token("damaged")),
        ..Default::default()
    };
    error(service().get_product(asked(request)).await, Code::BadConsistencyToken);
    let wait = Some(prost_types::Duration { seconds: -1, nanos: 0 });
    let freshness = Some(v1::Freshness { consistency_token: String::new(), wait });
    let request = v1::SuggestRequest { prefix: "dia".into(), freshness, ..Default::default() };
    let fields = error(service().suggest(asked(request)).await, Code::MalformedRequest);
    assert_eq!(fields, ["/freshness.wait"]);
}

#[tokio::test]
async fn blank_texts_are_absent_ones_as_over_http() {
    let blank = || " ".to_owned();
    let filters = v1::Filters {
        category: blank(),
        brands: vec![String::new(), blank()],
        currency: blank(),
        tags: vec![String::new()],
        attributes: vec![
            v1::AttributeFilter { name: "color".to_owned(), value: String::new() },
            v1::AttributeFilter::default(),
        ],
        ..Default::default()
    };
    let request = v1::SearchRequest {
        text: blank(),
        filters: Some(filters),
        page_token: blank(),
        ..Default::default()
    };
    error(service().search(asked(request)).await, Code::StoreUnavailable);
    let fields = error(service().suggest(asked(v1::SuggestRequest::default())).await, Code::MalformedRequest);
    assert_eq!(fields, ["/prefix"]);
}

#[tokio::test]
async fn what_metadata_asks_is_done_or_refused() {
    let with = |name: &'static str, value: &str, token_field: &str| {
        let freshness = Some(token(token_field));
        let mut request =
            asked(v1::GetProductRequest { product_id: "p-1".into(), freshness, ..Default::default() });
        request.metadata_mut().insert(name, value.parse().unwrap());
        request
    };
    // The token is read as the field is: a damaged one is damaged, and one that differs from the field is a fault.
    let refused = async |name: &'static str, value: &str, field: &str, code| {
        let refused = service().get_product(with(name, value, field)).await;
        let info = refused.as_ref().unwrap_err().get_details_error_info().unwrap();
        assert_eq!(info.metadata["metadata_key"], name);
        error(refused, code);
    };
    refused("consistency-token", "damaged", "", Code::BadConsistencyToken).await;
    refused("consistency-token", "a", "b", Code::InvalidHeader).await;
    for name in [
        "prefer",
        "x-prefer",
        "if-match",
        "if_none_match",
        "if-modified-since",
        "x-if-unmodified-since",
        "expected-version",
        "generation",
        "folio-generation",
        "x-consistency-token",
        "consistency_token",
        "actor",
    ] {
        refused(name, "1", "", Code::InvalidHeader).await;
    }
    error(service().get_product(with("consistency-token", "", "")).await, Code::StoreUnavailable);
    for name in ["x-other", "x-folio-actor", "idempotency-key"] {
        error(service().get_product(with(name, "1", "")).await, Code::StoreUnavailable);
    }
    let mut foreign = with("x-other", "1", "");
    let value = tonic::metadata::AsciiMetadataValue::try_from(&b"\xfc"[..]).unwrap();
    foreign.metadata_mut().insert("consistency-token", value);
    error(service().get_product(foreign).await, Code::InvalidHeader);
}

#[tokio::test]
async fn every_time_that_a_timestamp_can_say_can_be_asked_for() {
    let at = |seconds, nanos| {
        let past = Some(v1::get_product_request::Past::AsOf(prost_types::Timestamp { seconds, nanos }));
        asked(v1::GetProductRequest { product_id: "p-1".into(), past, ..Default::default() })
    };
    for (seconds, nanos) in [(253_402_300_799, 999_999_999), (-62_135_596_800, 0)] {
        error(service().get_product(at(seconds, nanos)).await, Code::StoreUnavailable);
    }
    for (seconds, nanos) in [(253_402_300_800, 0), (-62_135_596_801, 0), (0, -1), (0, 1_000_000_000)] {
        let fields = error(service().get_product(at(seconds, nanos)).await, Code::MalformedRequest);
        assert_eq!(fields, ["/as_of"]);
    }
}

#[tokio::test]
async fn while_a_store_is_away_its_questions_are_answered_with_retry_info() {
    let request = v1::GetProductRequest { product_id: "p-1".into(), ..Default::default() };
    error(service().get_product(asked(request)).await, Code::StoreUnavailable);
    let request = v1::GetHistoryRequest { product_id: "p-1".into(), ..Default::default() };
    error(service().get_history(asked(request)).await, Code::StoreUnavailable);
    error(service().search(asked(v1::SearchRequest::default())).await, Code::StoreUnavailable);
}
