//! What stands beside a gRPC message: who calls, and until when.

use std::time::Duration;

use tonic::metadata::MetadataMap;
use toolkit::problem::Problem;

use crate::door::Caller;

const ACTOR: &str = "folio-actor";
const REQUEST_ID: &str = "x-request-id";
const TRACEPARENT: &str = "traceparent";
const TIMEOUT: &str = "grpc-timeout";

/// Who calls, by the call's metadata.
pub(super) fn caller(metadata: &MetadataMap) -> Result<Caller, Problem> {
    let text = |name: &str| metadata.get(name).and_then(|value| value.to_str().ok());
    let caller = Caller::new(text(ACTOR), text(TRACEPARENT), text(REQUEST_ID))?;
    Ok(Caller { deadline: text(TIMEOUT).and_then(timeout), ..caller })
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
    use super::*;

    #[test]
    fn the_callers_deadline_is_read() {
        assert_eq!(timeout("250m"), Some(Duration::from_millis(250)));
        assert_eq!(timeout("2S"), Some(Duration::from_secs(2)));
        for wrong in ["", "m", "5", "123456789S", "1x", "-1S", "1\u{fc}"] {
            assert_eq!(timeout(wrong), None, "{wrong}");
        }
    }
}
