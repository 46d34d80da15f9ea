//! What stands in the headers of a command over HTTP beyond what gRPC has too. Promises that a header which cannot be
//! understood is never passed over.

use actix_web::http::header::{self, HeaderName};
use actix_web::{HttpMessage, HttpRequest};
use contract::AddressedCommand;
use contract::code::Code;
use edge::auth::Principal;
use edge::context::Context;
use edge::limits::Account;
use edge::problem::Problem;

use crate::door::{Caller, CommandFields, RequestedCommand, Wire, malformed};

pub(super) const IDEMPOTENCY_REPLAYED: &str = "idempotency-replayed";
pub(super) use crate::door::CONSISTENCY_TOKEN;

fn fields(request: &HttpRequest) -> CommandFields<'_, header::HeaderMap> {
    CommandFields::new(request.headers(), Wire::Http)
}

/// Who calls.
pub(super) fn caller(request: &HttpRequest) -> Result<Caller, Problem> {
    let (principal, context, account) = {
        let extensions = request.extensions();
        let (principal, context) = (extensions.get::<Principal>(), extensions.get::<Context>());
        (principal.cloned(), context.cloned(), extensions.get::<Account>().cloned())
    };
    let caller = fields(request).caller(principal, context)?;
    Ok(Caller { account: account.unwrap_or_default(), ..caller })
}

/// The command with what the headers ask of its product.
pub(super) fn requested(
    request: &HttpRequest,
    addressed: AddressedCommand,
) -> Result<RequestedCommand, Problem> {
    fields(request).requested(addressed)
}

/// Refuses what would be passed over though its sender relies on it. `If-Modified-Since`, `Range` and `If-Range` are not
/// among it: they are for reading, and RFC 9110 wants them ignored where they come with a command.
pub(super) fn unkept(request: &HttpRequest) -> Result<(), Problem> {
    if !request.query_string().is_empty() {
        let given: String = request.query_string().chars().take(64).collect();
        return Err(malformed(format!("a command has no parameters: leave out ?{given}")));
    }
    let refused = |detail: &str| Err(Problem::new(Code::InvalidHeader, detail));
    let has = |name: &HeaderName| request.headers().contains_key(name);
    // With If-Match beside it, the standard wants it ignored.
    if has(&header::IF_UNMODIFIED_SINCE) && !has(&header::IF_MATCH) {
        return refused("If-Unmodified-Since is not kept here, products have versions: give If-Match");
    }
    if has(&header::CONTENT_RANGE) {
        return refused("Content-Range is not kept here: a command is sent as a whole");
    }
    fields(request).check()
}

/// Refuses what an upload cannot have as a whole.
pub(super) fn each_line_has_its_own(request: &HttpRequest) -> Result<(), Problem> {
    fields(request).each_has_its_own()
}

/// Refuses a request of another media type than one of `wanted`, or with an encoded body. None of `wanted` may be one that a
/// browser sends to other origins unasked: form, multipart or plain text.
pub(super) fn media_type(request: &HttpRequest, wanted: &[&str]) -> Result<(), Problem> {
    let unsupported = |detail: String| Err(Problem::new(Code::UnsupportedMediaType, detail));
    let given = fields(request).one(header::CONTENT_TYPE.as_str())?.unwrap_or_default();
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
    match fields(request).one(header::CONTENT_ENCODING.as_str())? {
        None | Some("identity") => Ok(()),
        Some(_) => unsupported("the body must not be compressed".to_owned()),
    }
}
