use contract::code::Code;
use domain::Version;

use super::{Caller, idempotency_key, one_expectation, problem};

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
fn two_expectations_must_be_the_same() {
    let (one, two) = (Some(Version(1)), Some(Version(2)));
    assert_eq!(one_expectation(one, None).unwrap(), one);
    assert_eq!(one_expectation(None, two).unwrap(), two);
    assert_eq!(one_expectation(one, one).unwrap(), one);
    assert_eq!(one_expectation(one, two).unwrap_err().status, 400);
}

#[test]
fn a_caller_keeps_its_request_id_if_it_is_a_short_visible_text() {
    let id = |text: &str| Caller::new(None, None, Some(text)).unwrap().correlation_id;
    assert_eq!(id("req-1"), "req-1");
    for unusable in ["", "a b", &"x".repeat(129)] {
        assert_ne!(id(unusable), unusable);
    }
    assert_eq!(Caller::new(Some(&"x".repeat(300)), None, None).unwrap_err().status, 400);
    assert_eq!(Caller::new(Some("  "), None, None).unwrap().actor, None);
}

#[test]
fn every_problem_that_may_be_retried_says_after_what_time() {
    for code in Code::ALL {
        let problem = problem(*code, "for a test");
        assert_eq!(problem.retryable, code.retryable(), "{code}");
        assert_eq!(problem.retry_after.is_some(), code.retryable(), "{code}");
    }
}
