//! Who calls over gRPC, until when, and what the metadata says.

use std::time::Duration;

use edge::auth::Principal;
use edge::context::Context;
use edge::limits::Account;
use edge::problem::Problem;
use tonic::Request;
use tonic::metadata::MetadataMap;

use crate::door::{Caller, CommandFields, Wire};

const TIMEOUT: &str = "grpc-timeout";
/// The part of a caller's time that our answer needs to reach it.
const ON_THE_WAY: u32 = 10;
const MIN_ON_THE_WAY: Duration = Duration::from_millis(20);

/// What stands beside the message.
pub(super) fn fields<T>(request: &Request<T>) -> CommandFields<'_, MetadataMap> {
    CommandFields::new(request.metadata(), Wire::Grpc)
}

/// Who calls, by the call's metadata.
pub(super) fn caller<T>(request: &Request<T>) -> Result<Caller, Problem> {
    let fields = fields(request);
    fields.check()?;
    let extensions = request.extensions();
    let (principal, context) = (extensions.get::<Principal>().cloned(), extensions.get::<Context>().cloned());
    let caller = fields.caller(principal, context)?;
    let asked = request.metadata().get(TIMEOUT).and_then(|value| timeout(value.to_str().ok()?));
    let account = extensions.get::<Account>().cloned().unwrap_or_default();
    Ok(Caller { deadline: asked.map(time_left), account, ..caller })
}

/// What of the caller's time is left for the command, so that our own answer comes before the caller gives up.
fn time_left(asked: Duration) -> Duration {
    asked.saturating_sub((asked / ON_THE_WAY).max(MIN_ON_THE_WAY))
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
    use contract::proto::catalog::v1::CommandRequest;
    use tonic::metadata::{AsciiMetadataValue, BinaryMetadataValue};

    use super::*;
    use crate::testing::{asked, create};

    fn with(pairs: &[(&'static str, &str)]) -> Request<CommandRequest> {
        let mut request = asked(CommandRequest::from(&create("p")));
        for (name, value) in pairs {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        request
    }

    #[test]
    fn what_http_has_as_headers_is_read() {
        for name in ["x-folio-actor", "folio-actor"] {
            assert_eq!(caller(&with(&[(name, "ann")])).unwrap().actor.as_deref(), Some("ann"));
        }
        let both = with(&[("x-folio-actor", "ann"), ("folio-actor", "ann")]);
        assert_eq!(caller(&both).unwrap().actor.as_deref(), Some("ann"));
        let asked = with(&[("idempotency-key", "\"k\""), ("if-match", "\"1\""), ("if-match", "\"2\"")]);
        let requested = fields(&asked).requested(create("p")).unwrap();
        assert_eq!(requested.addressed.idempotency_key.unwrap().as_str(), "k");
        assert_eq!(requested.expected, ledger::Expected::one_of([1, 2]));
        let token = contract::ConsistencyToken {
            partition: 0,
            offset: 7,
            product: domain::ProductId::parse("p").unwrap(),
            version: domain::Version(1),
            log: None,
        };
        assert!(caller(&with(&[("consistency-token", &token.encode())])).is_ok());
    }

    #[test]
    fn what_cannot_be_kept_is_refused_and_named() {
        let refused = |pairs: &[(&'static str, &str)]| {
            let request = with(pairs);
            caller(&request).and_then(|_| fields(&request).requested(create("p"))).expect_err(pairs[0].0)
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
        assert_eq!(
            fields(&with(&[("idempotency-key", "other")])).requested(keyed.clone()).unwrap_err().status,
            400
        );
        assert_eq!(fields(&with(&[("if-match", "\"3\"")])).requested(keyed.clone()).unwrap_err().status, 400);
        assert!(fields(&with(&[("idempotency-key", "k"), ("if-none-match", "*")])).requested(keyed).is_ok());
        for name in ["idempotency-key", "if-match", "if-none-match"] {
            let problem = fields(&with(&[(name, "*")])).each_has_its_own().unwrap_err();
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
