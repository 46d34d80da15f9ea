//! The request headers commands have. Promises that a header which cannot be understood is never passed over.

use actix_web::http::header::{self, HeaderMap, HeaderName};
use actix_web::{HttpMessage, HttpRequest};
use contract::code::Code;
use contract::{AddressedCommand, IdempotencyKey, misspelt};
use edge::problem::Problem;
use toolkit::telemetry::TraceContext;

use super::observe::RequestContext;
use crate::door::{self, Caller, Wish, idempotency_key, malformed, problem};

pub(super) const X_REQUEST_ID: &str = "x-request-id";
pub(super) const IDEMPOTENCY_KEY: &str = "idempotency-key";
pub(super) const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
pub(super) const CONSISTENCY_TOKEN: &str = "consistency-token";
const ACTOR: &str = "x-folio-actor";
const TRACEPARENT: &str = "traceparent";

/// Names that are read, or that the standard wants ignored here.
pub(super) const READ: [&str; 8] = [
    ACTOR,
    IDEMPOTENCY_KEY,
    CONSISTENCY_TOKEN,
    "if-match",
    "if-none-match",
    "if-modified-since",
    "if-unmodified-since",
    "prefer",
];
/// What another name means, and what says it.
const MEANINGS: [(&str, &str); 11] = [
    ("actor", "X-Folio-Actor"),
    (IDEMPOTENCY_KEY, "Idempotency-Key"),
    (CONSISTENCY_TOKEN, "Consistency-Token"),
    ("if-match", "If-Match"),
    ("if-none-match", "If-None-Match"),
    ("if-modified-since", "If-Match"),
    ("if-unmodified-since", "If-Match"),
    ("prefer", "nothing: a command is answered when it is decided"),
    ("expected-version", "If-Match, or expected_version in the body"),
    ("etag", "If-Match"),
    ("product-id", "the product in the path, or product_id in the body"),
];

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
    let trace = request.extensions().get::<RequestContext>().map_or_else(TraceContext::new, |it| it.trace);
    let id = request.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    Caller::new(one(request, ACTOR)?, trace, id)
}

/// The trace of a request. A malformed traceparent starts a new one, as its standard wants.
pub(super) fn trace(headers: &HeaderMap) -> TraceContext {
    TraceContext::incoming(headers.get(TRACEPARENT).and_then(|value| value.to_str().ok()))
}

pub(super) fn key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, Problem> {
    one(request, IDEMPOTENCY_KEY)?.map(idempotency_key).transpose()
}

/// The command with what the headers ask of its product.
pub(super) fn wish(request: &HttpRequest, addressed: AddressedCommand) -> Result<Wish, Problem> {
    let tags =
        |said: &str, name: &HeaderName| list(request, name)?.map(|text| door::tags(said, &text)).transpose();
    let (if_match, if_none_match) =
        (tags("If-Match", &header::IF_MATCH)?, tags("If-None-Match", &header::IF_NONE_MATCH)?);
    door::wish(addressed, if_match.as_ref(), if_none_match.as_ref(), "/expected_version")
}

/// Refuses what would be passed over though its sender relies on it. `If-Modified-Since`, `Range` and `If-Range` are not
/// among it: they are for reading, and RFC 9110 wants them ignored where they come with a command.
pub(super) fn unkept(request: &HttpRequest) -> Result<(), Problem> {
    if !request.query_string().is_empty() {
        let given: String = request.query_string().chars().take(64).collect();
        return Err(malformed(format!("a command has no parameters: leave out ?{given}")));
    }
    let names = request.headers().keys().map(HeaderName::as_str);
    if let Some((name, instead)) = misspelt(names, &READ, &MEANINGS) {
        return Err(invalid(format!("the header {name} is not read: give {instead}")));
    }
    let has = |name: &HeaderName| request.headers().contains_key(name);
    // With If-Match beside it, the standard wants it ignored.
    if has(&header::IF_UNMODIFIED_SINCE) && !has(&header::IF_MATCH) {
        return Err(invalid("If-Unmodified-Since is not kept here, products have versions: give If-Match"));
    }
    if has(&header::CONTENT_RANGE) {
        return Err(invalid("Content-Range is not kept here: a command is sent as a whole"));
    }
    // A command is decided on everything acknowledged before it, so that any token holds.
    match one(request, CONSISTENCY_TOKEN)? {
        Some(token) => door::consistency_token(token),
        None => Ok(()),
    }
}

/// Refuses what an upload cannot have as a whole.
pub(super) fn each_line_has_its_own(request: &HttpRequest) -> Result<(), Problem> {
    for (name, field) in [
        (&HeaderName::from_static(IDEMPOTENCY_KEY), "idempotency_key"),
        (&header::IF_MATCH, "expected_version"),
        (&header::IF_NONE_MATCH, "expected_version"),
        (&header::IF_UNMODIFIED_SINCE, "expected_version"),
    ] {
        if request.headers().contains_key(name) {
            return Err(invalid(format!("an upload has no {name} of its own: give each line its {field}")));
        }
    }
    Ok(())
}

/// A header whose lines are one list.
fn list(request: &HttpRequest, name: &HeaderName) -> Result<Option<String>, Problem> {
    let mut whole: Option<String> = None;
    for line in request.headers().get_all(name) {
        let line =
            line.to_str().map_err(|_| invalid(format!("the header {name} holds more than visible ASCII")))?;
        match &mut whole {
            Some(whole) => {
                whole.push(',');
                whole.push_str(line);
            }
            None => whole = Some(line.to_owned()),
        }
    }
    Ok(whole)
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
