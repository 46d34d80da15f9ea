//! The request headers commands have. Promises that a header which cannot be understood is never passed over.

use actix_web::http::header;
use actix_web::{HttpMessage, HttpRequest};
use contract::IdempotencyKey;
use contract::code::Code;
use domain::Version;
use toolkit::problem::Problem;

use super::observe::RequestId;
use crate::door::{Caller, idempotency_key, problem};

pub(super) const X_REQUEST_ID: &str = "x-request-id";
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";
pub(super) const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
pub(super) const CONSISTENCY_TOKEN: &str = "consistency-token";
const ACTOR: &str = "x-folio-actor";
const TRACEPARENT: &str = "traceparent";

fn invalid(detail: impl Into<String>) -> Problem {
    problem(Code::InvalidHeader, detail)
}

/// The one value of a header.
fn one<'a>(request: &'a HttpRequest, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = request.headers().get_all(name);
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid(format!("the header {name} is given twice: give it once")));
    }
    value.to_str().map(Some).map_err(|_| invalid(format!("the header {name} holds more than visible ASCII")))
}

/// Who calls.
pub(super) fn caller(request: &HttpRequest) -> Result<Caller, Problem> {
    let id = request.extensions().get::<RequestId>().map(|id| id.0.clone());
    // A malformed traceparent starts a new trace, as its standard wants.
    let trace = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    Caller::new(one(request, ACTOR)?, trace, id.as_deref())
}

pub(super) fn key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, Problem> {
    one(request, IDEMPOTENCY_KEY)?.map(idempotency_key).transpose()
}

/// The version in `If-Match`: one strong tag of a number. `*` asks only that the product exists, which every command
/// but a creation does anyway.
pub(super) fn if_match(request: &HttpRequest) -> Result<Option<Version>, Problem> {
    let Some(text) = one(request, header::IF_MATCH.as_str())?.map(str::trim) else { return Ok(None) };
    if text == "*" {
        return Ok(None);
    }
    let digits = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).filter(|text| {
        !text.is_empty() && text.len() <= 20 && text.bytes().all(|byte| byte.is_ascii_digit())
    });
    digits.and_then(|text| text.parse().ok()).map(|version| Some(Version(version))).ok_or_else(|| {
        invalid("If-Match must be one quoted version, as the ETag of an answer gives it: \"3\"")
    })
}

/// `If-None-Match: *` is what a creation means anyway; no other value makes sense on one.
pub(super) fn if_none_match(request: &HttpRequest) -> Result<(), Problem> {
    match one(request, header::IF_NONE_MATCH.as_str())?.map(str::trim) {
        None | Some("*") => Ok(()),
        Some(_) => Err(invalid("If-None-Match must be * on a creation: the product must not exist")),
    }
}

/// Refuses a request of another media type than one of `wanted`, or with an encoded body. None of `wanted` may be one that a
/// browser sends to other origins unasked: form, multipart or plain text.
pub(super) fn media_type(request: &HttpRequest, wanted: &[&str]) -> Result<(), Problem> {
    let unsupported = |detail: String| Err(problem(Code::UnsupportedMediaType, detail));
    let given = one(request, header::CONTENT_TYPE.as_str())?.unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if !wanted.contains(&essence.as_str()) {
        let found = if essence.is_empty() { "none".to_owned() } else { essence.chars().take(100).collect() };
        return unsupported(format!(
            "the content type is {found}: send {}, also if the body is empty",
            wanted[0]
        ));
    }
    let charset = given.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("charset="));
    if charset.is_some_and(|charset| !charset.trim_matches('"').eq_ignore_ascii_case("utf-8")) {
        return unsupported("the charset of the body must be utf-8".to_owned());
    }
    match one(request, header::CONTENT_ENCODING.as_str())? {
        None | Some("identity") => Ok(()),
        Some(_) => unsupported("the body must not be compressed".to_owned()),
    }
}
