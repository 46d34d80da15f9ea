//! The real handlers without stores: what a caller gets for bad input, and while the stores are away. Answers out of the
//! stores are held by the promises on the real servers (`tests/it`).

mod callers;
mod hostile;

use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use contract::ConsistencyToken;
use contract::code::Code;
use read_models::Version;
use serde_json::Value;
use toolkit::telemetry::Telemetry;

use super::*;
use crate::ask::{self, Stores};
use crate::config::Config;

pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    pub(super) body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks all that every problem has; returns the pointers of its errors.
    pub(super) fn problem(&self, code: Code) -> Vec<&str> {
        assert_eq!(self.body["code"], code.name(), "{}", self.body);
        assert_eq!(self.status.as_u16(), code.http());
        assert_eq!(self.header("content-type"), "application/problem+json");
        assert_eq!(self.header("cache-control"), "no-store");
        assert_eq!(self.body["status"], code.http());
        assert_eq!(self.body["type"], format!("https://folio.dev/errors/{}", code.name()));
        assert_eq!(self.body["request_id"], self.header("x-request-id"));
        assert_eq!(self.body["trace_id"].as_str().map(str::len), Some(32));
        assert!(!self.body["detail"].as_str().unwrap().is_empty());
        let errors = self.body["errors"].as_array();
        errors.into_iter().flatten().map(|error| error["pointer"].as_str().unwrap()).collect()
    }
}

pub(super) async fn ask(request: TestRequest) -> Answer {
    ask_all([request]).await.remove(0)
}

/// Asks one gateway all questions.
async fn ask_all(requests: impl IntoIterator<Item = TestRequest>) -> Vec<Answer> {
    ask_all_of(&Auth::off(), requests).await
}

/// The same of a gateway whose callers are checked so.
async fn ask_all_of(auth: &Auth, requests: impl IntoIterator<Item = TestRequest>) -> Vec<Answer> {
    let telemetry = Telemetry::detached("tester").unwrap();
    let config = Config::default();
    let metrics = ask::Metrics::new(&telemetry.meter());
    let questions = Queries::new(Stores::new(&config), config.queries, metrics);
    let service = init_service(app(
        questions,
        auth,
        &Requests::new(&telemetry, Spans::Logs),
        &Paths::of(&[PATHS]).otherwise(refuse),
    ))
    .await;
    let mut answers = Vec::new();
    for request in requests {
        let answer = call_service(&service, request.to_request()).await;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = serde_json::from_slice(&read_body(answer).await).unwrap_or_default();
        answers.push(Answer { status, headers, body });
    }
    answers
}

pub(super) async fn get(uri: &str) -> Answer {
    ask(TestRequest::get().uri(uri)).await
}

fn token_of(product: &str) -> String {
    ConsistencyToken {
        partition: 3,
        offset: 41,
        product: product.try_into().unwrap(),
        version: Version(7),
        log: None,
    }
    .encode()
}

pub(super) const EVERY_QUESTION: [&str; 6] = [
    "/v1/products/p-1",
    "/v1/products:batchGet?ids=p-1,p-2",
    "/v1/products?category=a/b",
    "/v1/products/p-1/history",
    "/v1/search?q=diamond",
    "/v1/suggest?q=dia",
];

#[actix_web::test]
async fn an_unknown_route_and_method_are_problems_too() {
    get("/v2/products").await.problem(Code::NotFound);
    get("/").await.problem(Code::NotFound);
    for question in EVERY_QUESTION {
        for request in [TestRequest::post(), TestRequest::put(), TestRequest::delete(), TestRequest::patch()]
        {
            let answer = ask(request.uri(question)).await;
            answer.problem(Code::MethodNotAllowed);
            assert_eq!(answer.header("allow"), "GET, HEAD");
        }
    }
}

#[actix_web::test]
async fn an_unknown_parameter_is_named_by_every_question() {
    for question in EVERY_QUESTION {
        let joint = if question.contains('?') { '&' } else { '?' };
        let answer = get(&format!("{question}{joint}colour=E")).await;
        assert_eq!(answer.problem(Code::MalformedRequest), ["/colour"], "{question}");
    }
}

#[actix_web::test]
async fn a_build_that_cannot_be_is_named_by_every_question() {
    let long = "n".repeat(41);
    for question in EVERY_QUESTION {
        let joint = if question.contains('?') { '&' } else { '?' };
        for build in
            ["0", "g0", "-1", "G2", "4294967296", "a_b", "%00", "%C3%BC", "..%2F..", "2&generation=2", &long]
        {
            let answer = get(&format!("{question}{joint}generation={build}")).await;
            assert_eq!(answer.problem(Code::MalformedRequest), ["/generation"], "{question} {build}");
        }
        for build in ["1", "g7", "black-friday", "", "+"] {
            let answer = get(&format!("{question}{joint}generation={build}")).await;
            answer.problem(Code::StoreUnavailable);
        }
    }
}

#[actix_web::test]
async fn a_blank_value_is_an_absent_one_whatever_the_parameter() {
    let blank = "q=&category=&brand=&brand=%20&status=&currency=+&price_min=&price_max=&attr.color=&tag=&sort=&facets=\
                 &price_bounds=&page_size=&page_token=&consistency_token=&generation=";
    get(&format!("/v1/search?{blank}")).await.problem(Code::StoreUnavailable);
    for (question, missing) in [
        ("/v1/products?category=", "/category"),
        ("/v1/suggest?q=+", "/q"),
        ("/v1/products:batchGet?ids=", "/ids"),
    ] {
        assert_eq!(get(question).await.problem(Code::MalformedRequest), [missing], "{question}");
    }
    // A blank name is a name nobody knows.
    assert_eq!(get("/v1/search?attr.=x").await.problem(Code::MalformedRequest), ["/attr."]);
}

#[actix_web::test]
async fn a_token_in_the_header_is_one_or_none() {
    let with = |values: &[&str]| {
        values.iter().fold(TestRequest::get().uri("/v1/products/p-1"), |request, value| {
            request.append_header(("Consistency-Token", *value))
        })
    };
    ask(with(&[" "])).await.problem(Code::StoreUnavailable);
    ask(with(&["a", "a"])).await.problem(Code::InvalidHeader);
    ask(with(&["a"])).await.problem(Code::BadConsistencyToken);
}

#[actix_web::test]
async fn wrong_percent_encoding_is_named_by_every_question() {
    for question in EVERY_QUESTION {
        let joint = if question.contains('?') { '&' } else { '?' };
        for wrong in ["consistency_token=%zz", "consistency_token=%ff"] {
            let answer = get(&format!("{question}{joint}{wrong}")).await;
            assert_eq!(answer.problem(Code::MalformedRequest), ["/consistency_token"], "{question}");
        }
    }
}

#[actix_web::test]
async fn a_condition_that_means_nothing_to_a_question_is_refused() {
    for question in &EVERY_QUESTION[1..] {
        for name in ["If-Match", "If-None-Match"] {
            let answer = ask(TestRequest::get().uri(question).insert_header((name, "\"3\""))).await;
            answer.problem(Code::InvalidHeader);
        }
    }
    let answer = ask(TestRequest::get().uri(EVERY_QUESTION[0]).insert_header(("If-Match", "3"))).await;
    answer.problem(Code::InvalidHeader);
}

#[actix_web::test]
async fn all_that_is_wrong_is_told_at_once() {
    let answer =
        get("/v1/search?page_size=-1&sort=best&status=sold&price_min=cheap&facets=colour&currency=XXQ").await;
    let mut pointers = answer.problem(Code::MalformedRequest);
    pointers.sort_unstable();
    assert_eq!(pointers, ["/currency", "/facets", "/page_size", "/price_min", "/sort", "/status"]);
}

#[actix_web::test]
async fn what_a_question_needs_is_asked_for() {
    assert_eq!(get("/v1/products").await.problem(Code::MalformedRequest), ["/category"]);
    assert_eq!(get("/v1/products?category=A//b").await.problem(Code::MalformedRequest), ["/category"]);
    assert_eq!(get("/v1/products:batchGet").await.problem(Code::MalformedRequest), ["/ids"]);
    assert_eq!(get("/v1/suggest").await.problem(Code::MalformedRequest), ["/q"]);
    assert_eq!(get("/v1/products/not%20an%20id").await.problem(Code::MalformedRequest), ["/product_id"]);
    assert_eq!(
        get("/v1/products/p?version=1&as_of=2026-11-24T00:00:00Z").await.problem(Code::MalformedRequest),
        ["/as_of"]
    );
    let many: Vec<_> = (0..101).map(|n| format!("p-{n}")).collect();
    let answer = get(&format!("/v1/products:batchGet?ids={}", many.join(","))).await;
    assert_eq!(answer.problem(Code::MalformedRequest), ["/ids"]);
}

#[actix_web::test]
async fn a_consistency_token_that_is_damaged_or_of_another_product_is_refused() {
    for question in EVERY_QUESTION {
        let answer =
            ask(TestRequest::get().uri(question).insert_header(("Consistency-Token", "damaged"))).await;
        answer.problem(Code::BadConsistencyToken);
    }
    for question in ["/v1/products/p-1", "/v1/products/p-1/history"] {
        let other =
            ask(TestRequest::get().uri(question).insert_header(("Consistency-Token", token_of("p-2")))).await;
        other.problem(Code::BadConsistencyToken);
        let twice = TestRequest::get().uri("/v1/products/p-1?consistency_token=other");
        let twice = ask(twice.insert_header(("Consistency-Token", token_of("p-1")))).await;
        assert_eq!(twice.problem(Code::MalformedRequest), ["/consistency_token"]);
    }
}

#[actix_web::test]
async fn a_preference_that_cannot_be_read_is_refused() {
    let answer = ask(TestRequest::get().uri("/v1/products/p-1").insert_header(("Prefer", "wait=soon"))).await;
    assert_eq!(answer.problem(Code::InvalidHeader), ["/Prefer"]);
}

#[actix_web::test]
async fn while_a_store_is_away_its_questions_are_answered_at_once_with_its_name() {
    for question in EVERY_QUESTION {
        let asked =
            ask(TestRequest::get().uri(question).insert_header(("Consistency-Token", token_of("p-1"))));
        let answer = tokio::time::timeout(Duration::from_secs(1), asked).await.unwrap();
        answer.problem(Code::StoreUnavailable);
        let store = if question.contains("/s") { "search" } else { "cql" };
        assert_eq!(answer.body["store"], store, "{question}");
        assert_eq!(answer.body["retryable"], true);
        assert_eq!(answer.header("retry-after"), "2");
    }
}
