use actix_web::ResponseError;
use contract::code::Code;
use domain::{ProductId, Rejection};
use edge::auth::Principal;
use edge::context::Context;
use edge::problem::Problem;
use ledger::{Answer, Expected, Partition};
use tonic_types::StatusExt;

use super::outcome;
use super::request::{Caller, idempotency_key};

#[test]
fn an_idempotency_key_is_read_quoted_or_not() {
    for (text, key) in
        [("abc", "abc"), (" \"abc\" ", "abc"), (r#""a\"b\\c""#, r#"a"b\c"#), ("a-\"b", "a-\"b")]
    {
        assert_eq!(idempotency_key(text).unwrap().as_str(), key, "{text}");
    }
    for text in ["", "\"\"", "\"abc", "\"a\"b\"", "\"a\\b\"", "a b", &"x".repeat(256)] {
        assert_eq!(idempotency_key(text).unwrap_err().code, Code::InvalidHeader.name(), "{text}");
    }
}

#[test]
fn an_actor_is_a_short_text_or_none() {
    let caller = |actor: &str| Caller::new(Principal::default(), Some(actor), Context::default());
    assert_eq!(caller(&"x".repeat(300)).unwrap_err().status, 400);
    assert_eq!(caller("  ").unwrap().actor, None);
}

#[test]
fn every_problem_that_may_be_retried_says_after_what_time_over_http_and_grpc() {
    for code in Code::ALL {
        let problem = Problem::new(*code, "for a test");
        assert_eq!(problem.retryable, code.retryable(), "{code}");
        let header = problem.error_response().headers().contains_key("retry-after");
        let member = serde_json::to_value(problem.body()).unwrap().get("retry_after").is_some();
        let info = tonic::Status::from(problem).get_details_retry_info().is_some();
        assert_eq!([header, member, info], [code.retryable(); 3], "{code}");
    }
}

#[test]
fn every_answer_that_tells_a_version_carries_a_token_of_it() {
    let event_id = uuid::Uuid::nil();
    let answers = [
        (Answer::Accepted { version: 3, event_id, offset: 9, replayed: false }, Some((9, 3))),
        (Answer::NoEffect { version: 3, at: 9 }, Some((8, 3))),
        (Answer::Rejected { rejection: Rejection::ProductDeleted, version: 3, at: 9 }, Some((8, 3))),
        (Answer::Conflict { expected: Expected::version(1), actual: 3, at: 9 }, Some((8, 3))),
        (Answer::KeyReused { version: 3, event_id, offset: 9 }, Some((9, 3))),
        (Answer::Contended { version: 3, at: 9 }, Some((8, 3))),
        (Answer::OutcomeUnknown, None),
        (Answer::Overloaded, None),
        (Answer::DeadlineExceeded, None),
        (Answer::Unreadable, None),
        (Answer::Quarantined, None),
        (Answer::Withheld, None),
        (Answer::TooLarge("for a test".to_owned()), None),
    ];
    for (answer, place) in answers {
        let what = format!("{answer:?}");
        let product = ProductId::parse("p").unwrap();
        let token = match outcome::of(answer, product, (Partition(1), None), false) {
            Ok(outcome) => Some(outcome.token),
            Err(problem) => {
                let header = problem.error_response().headers().get("consistency-token").cloned();
                let member = problem.extensions.get("consistency_token").and_then(|token| token.as_str());
                assert_eq!(header.as_ref().map(|token| token.to_str().unwrap()), member, "{what}");
                member.map(str::to_owned)
            }
        };
        let token = token.map(|token| contract::ConsistencyToken::decode(&token).unwrap());
        assert_eq!(token.map(|token| (token.offset, token.version.get())), place, "{what}");
    }
}
