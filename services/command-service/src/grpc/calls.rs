//! What stands beside a gRPC message: who calls, until when, and what HTTP writes into headers.
//!
//! Promises: metadata that HTTP clients know as headers means the same here, or is refused; none of it is passed over.

use std::time::Duration;

use contract::code::Code;
use contract::proto::catalog::v1::CommandRequest;
use contract::{AddressedCommand, misspelt};
use edge::problem::Problem;
use tonic::Request;
use tonic::codegen::http::HeaderName;
use tonic::metadata::MetadataMap;
use toolkit::telemetry::TraceContext;

use crate::door::{self, Caller, Wish, idempotency_key, problem};

/// Who it is for: the name HTTP has, and a shorter one.
const ACTORS: [&str; 2] = ["x-folio-actor", "folio-actor"];
const REQUEST_ID: &str = "x-request-id";
const TRACEPARENT: &str = "traceparent";
const TIMEOUT: &str = "grpc-timeout";
const IDEMPOTENCY_KEY: &str = "idempotency-key";
const IF_MATCH: &str = "if-match";
const IF_NONE_MATCH: &str = "if-none-match";
const CONSISTENCY_TOKEN: &str = "consistency-token";
const READ: [&str; 6] = [ACTORS[0], ACTORS[1], IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH, CONSISTENCY_TOKEN];
/// What a name means that is not read, and what says it.
const MEANINGS: [(&str, &str); 11] = [
    ("actor", "the metadata x-folio-actor"),
    (IDEMPOTENCY_KEY, "the field idempotency_key"),
    (IF_MATCH, "the metadata if-match"),
    (IF_NONE_MATCH, "the metadata if-none-match"),
    (CONSISTENCY_TOKEN, "the metadata consistency-token"),
    ("expected-version", "the field expected_version"),
    ("if-unmodified-since", "the field expected_version"),
    ("if-modified-since", "the field expected_version"),
    ("etag", "the field expected_version"),
    ("product-id", "the field product_id"),
    ("prefer", "a deadline of the call"),
];
/// The part of a caller's time that our answer needs to reach it.
const ON_THE_WAY: u32 = 10;
const LEAST_ON_THE_WAY: Duration = Duration::from_millis(20);

/// Who calls, by the call's metadata.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller, Problem> {
    let metadata = request.metadata();
    let names = metadata.as_ref().keys().map(HeaderName::as_str);
    if let Some((name, instead)) = misspelt(names, &READ, &MEANINGS) {
        return Err(refused(name, "is not read", instead));
    }
    let mut actor = None;
    for name in ACTORS {
        let said = one(metadata, name)?;
        if actor.is_some() && said.is_some() && actor != said {
            return Err(refused(name, "differs from x-folio-actor", "only one of them"));
        }
        actor = actor.or(said);
    }
    // A command is decided on everything acknowledged before it, so that any token holds.
    if let Some(token) = one(metadata, CONSISTENCY_TOKEN)? {
        door::consistency_token(token).map_err(at(CONSISTENCY_TOKEN))?;
    }
    // By their standards, what cannot be read of these starts anew.
    let text = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok());
    let trace = request.extensions().get::<TraceContext>().copied();
    let trace = trace.unwrap_or_else(|| TraceContext::incoming(text(TRACEPARENT)));
    let sent_as = ACTORS.into_iter().find(|name| metadata.contains_key(*name)).unwrap_or_default();
    let caller = Caller::new(actor, trace, text(REQUEST_ID)).map_err(at(sent_as))?;
    Ok(Caller { deadline: text(TIMEOUT).and_then(timeout).map(time_left), ..caller })
}

/// The command of a request with what its metadata asks beside its fields.
pub(super) fn wish(request: &Request<CommandRequest>, command: AddressedCommand) -> Result<Wish, Problem> {
    let metadata = request.metadata();
    let mut command = command;
    if let Some(text) = one(metadata, IDEMPOTENCY_KEY)? {
        let key = idempotency_key(text).map_err(at(IDEMPOTENCY_KEY))?;
        if command.idempotency_key.as_ref().is_some_and(|field| *field != key) {
            return Err(refused(IDEMPOTENCY_KEY, "differs from the field idempotency_key", "one of them"));
        }
        command.idempotency_key = Some(key);
    }
    let tags = |name: &str| {
        let tags = list(metadata, name)?.map(|text| door::tags(name, &text));
        tags.transpose().map_err(at(name))
    };
    let (if_match, if_none_match) = (tags(IF_MATCH)?, tags(IF_NONE_MATCH)?);
    let at_fault = if if_match.is_some() { IF_MATCH } else { IF_NONE_MATCH };
    door::wish(command, if_match.as_ref(), if_none_match.as_ref(), "expected_version").map_err(at(at_fault))
}

/// Refuses what a stream of commands cannot have as a whole.
pub(super) fn each_request_has_its_own(metadata: &MetadataMap) -> Result<(), Problem> {
    for (name, field) in [
        (IDEMPOTENCY_KEY, "idempotency_key"),
        (IF_MATCH, "expected_version"),
        (IF_NONE_MATCH, "expected_version"),
    ] {
        if metadata.contains_key(name) {
            return Err(refused(name, "cannot be said of a stream", &format!("{field} of each request")));
        }
    }
    Ok(())
}

fn refused(name: &str, why: &str, instead: &str) -> Problem {
    let detail = format!("the metadata {name} {why}: give {instead}");
    at(name)(problem(Code::InvalidHeader, detail))
}

/// Names the metadata that a problem is about.
fn at(name: &str) -> impl Fn(Problem) -> Problem {
    move |problem| problem.with("metadata_key", name)
}

/// The one value of a metadata key.
fn one<'a>(metadata: &'a MetadataMap, name: &str) -> Result<Option<&'a str>, Problem> {
    let mut values = metadata.get_all(name).into_iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(refused(name, "is given twice", "one"));
    }
    value.to_str().map(Some).map_err(|_| refused(name, "holds more than visible ASCII", "visible ASCII"))
}

/// All values of a metadata key whose values are one list.
fn list(metadata: &MetadataMap, name: &str) -> Result<Option<String>, Problem> {
    let values: Result<Vec<_>, _> = metadata.get_all(name).into_iter().map(|value| value.to_str()).collect();
    match values {
        Ok(values) if values.is_empty() => Ok(None),
        Ok(values) => Ok(Some(values.join(","))),
        Err(_) => Err(refused(name, "holds more than visible ASCII", "visible ASCII")),
    }
}

/// What of the caller's time is left for the command, so that our own answer comes before the caller gives up.
fn time_left(asked: Duration) -> Duration {
    asked.saturating_sub((asked / ON_THE_WAY).max(LEAST_ON_THE_WAY))
}

/// `grpc-timeout`: up to eight digits and a unit.
fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let n: u64 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    Some(match unit {
        "H" => Duration::from_secs(n * 3_600),
        "M" => Duration::from_secs(n * 60),
        "S" => Duration::from_secs(n),
        "m" => Duration::from_millis(n),
        "u" => Duration::from_micros(n),
        "n" => Duration::from_nanos(n),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use tonic::metadata::{AsciiMetadataValue, BinaryMetadataValue};

    use super::*;
    use crate::testing::create;

    fn with(pairs: &[(&'static str, &str)]) -> Request<CommandRequest> {
        let mut request = Request::new(CommandRequest::from(&create("p")));
        for (name, value) in pairs {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        request
    }

    #[test]
    fn what_http_has_as_headers_is_read() {
        for name in ACTORS {
            assert_eq!(caller(&with(&[(name, "ann")])).unwrap().actor.as_deref(), Some("ann"));
        }
        let both = with(&[("x-folio-actor", "ann"), ("folio-actor", "ann")]);
        assert_eq!(caller(&both).unwrap().actor.as_deref(), Some("ann"));
        let asked = with(&[("idempotency-key", "\"k\""), ("if-match", "\"1\""), ("if-match", "\"2\"")]);
        let wish = wish(&asked, create("p")).unwrap();
        assert_eq!(wish.addressed.idempotency_key.unwrap().as_str(), "k");
        assert_eq!(wish.expected, ledger::Expected::one_of([1, 2]));
        let token = contract::ConsistencyToken {
            partition: 0,
            offset: 7,
            product: domain::ProductId::parse("p").unwrap(),
            version: domain::Version(1),
        };
        assert!(caller(&with(&[("consistency-token", &token.encode())])).is_ok());
    }

    #[test]
    fn what_cannot_be_kept_is_refused_and_named() {
        let refused = |pairs: &[(&'static str, &str)]| {
            let request = with(pairs);
            caller(&request).and_then(|_| wish(&request, create("p"))).expect_err(pairs[0].0)
        };
        for name in [
            "actor",
            "x-actor",
            "folio_actor",
            "x-idempotency-key",
            "idempotency_key",
            "folio-if-match",
            "x-if-none-match",
            "x-folio-consistency-token",
            "expected_version",
            "x-expected-version",
            "if-unmodified-since",
            "if-modified-since",
            "etag",
            "product_id",
            "prefer",
        ] {
            let problem = refused(&[(name, "x")]);
            assert_eq!((problem.code, &problem.extensions["metadata_key"]), ("invalid-header", &name.into()));
            assert!(problem.detail.contains(name), "{}", problem.detail);
        }
        for (pairs, code) in [
            (&[("x-folio-actor", "ann"), ("folio-actor", "bob")][..], "invalid-header"),
            (&[("x-folio-actor", "ann"), ("x-folio-actor", "ann")], "invalid-header"),
            (&[("idempotency-key", "a b")], "invalid-header"),
            (&[("idempotency-key", "a"), ("idempotency-key", "b")], "invalid-header"),
            (&[("if-match", "1")], "invalid-header"),
            (&[("if-none-match", "")], "invalid-header"),
            (&[("consistency-token", "nonsense")], "bad-consistency-token"),
        ] {
            let problem = refused(pairs);
            assert_eq!(problem.code, code, "{pairs:?}");
            let named = problem.extensions["metadata_key"].as_str().unwrap();
            assert!(pairs.iter().any(|(name, _)| *name == named), "{pairs:?}: {named}");
        }
        let mut binary = with(&[]);
        binary.metadata_mut().insert_bin("x-folio-actor-bin", BinaryMetadataValue::from_bytes(b"ann"));
        assert_eq!(caller(&binary).unwrap_err().extensions["metadata_key"], "x-folio-actor-bin");
        let mut foreign = with(&[]);
        foreign
            .metadata_mut()
            .insert("x-folio-actor", AsciiMetadataValue::try_from(&b"J\xfcrgen"[..]).unwrap());
        let problem = caller(&foreign).unwrap_err();
        assert!(problem.detail.contains("x-folio-actor holds more than visible ASCII"), "{}", problem.detail);
        assert_eq!(
            caller(&with(&[("folio-actor", &"x".repeat(300))])).unwrap_err().extensions["metadata_key"],
            "folio-actor"
        );
        let mut keyed = create("p");
        keyed.idempotency_key = Some(contract::IdempotencyKey::parse("k").unwrap());
        keyed.expected_version = Some(domain::Version(0));
        assert_eq!(wish(&with(&[("idempotency-key", "other")]), keyed.clone()).unwrap_err().status, 400);
        assert_eq!(wish(&with(&[("if-match", "\"3\"")]), keyed.clone()).unwrap_err().status, 400);
        assert!(wish(&with(&[("idempotency-key", "k"), ("if-none-match", "*")]), keyed).is_ok());
        for name in [IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH] {
            let problem = each_request_has_its_own(with(&[(name, "*")]).metadata()).unwrap_err();
            assert!(problem.detail.contains(name) && problem.detail.contains("of each request"));
        }
    }

    #[test]
    fn the_callers_deadline_is_read() {
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout("2S"), Some(Duration::from_secs(2)));
        assert_eq!(time_left(Duration::from_secs(1)), Duration::from_millis(900));
        assert_eq!(time_left(Duration::from_millis(100)), Duration::from_millis(80));
        assert_eq!(time_left(Duration::from_millis(5)), Duration::ZERO);
        for wrong in ["", "m", "5", "123456789S", "1x", "-1S", "1\u{fc}"] {
            assert_eq!(timeout(wrong), None, "{wrong}");
        }
    }
}
