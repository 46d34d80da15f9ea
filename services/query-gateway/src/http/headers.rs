//! Request headers that shape an answer: `Prefer`, `Consistency-Token`.
//!
//! Promises: preferences that are not known are passed over, as RFC 7240 wants; a known one that cannot be read is not.

use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use edge::fields::one;

use crate::ask::limits::{MAX_HEADER_BYTES, shown};
use crate::ask::{ApiError, Fault};

pub(super) static CONSISTENCY_TOKEN: HeaderName = HeaderName::from_static("consistency-token");
pub(super) static FOLIO_GENERATION: HeaderName = HeaderName::from_static("folio-generation");
pub(super) static PREFER: HeaderName = HeaderName::from_static("prefer");
pub(super) static PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// Refuses a header that is longer than what it is for.
pub(super) fn check_length(headers: &HeaderMap, name: &HeaderName) -> Result<(), ApiError> {
    let bytes: usize = headers.get_all(name).map(HeaderValue::len).sum();
    if bytes <= MAX_HEADER_BYTES {
        return Ok(());
    }
    let detail = format!("has {bytes} bytes: give at most {MAX_HEADER_BYTES}");
    Err(ApiError::Header(Fault::new(name.as_str(), detail)))
}

/// The seconds of `Prefer: wait=N`, if it was preferred. The first one counts, as RFC 7240 says.
pub(super) fn preferred_wait(headers: &HeaderMap) -> Result<Option<Duration>, String> {
    for header in headers.get_all(&PREFER) {
        let text = header.to_str().map_err(|_| "is not plain text".to_owned())?;
        for preference in text.split(',') {
            // Parameters of a preference (after a semicolon) mean nothing to `wait`.
            let preference = preference.split(';').next().unwrap_or_default();
            let (name, value) = preference.split_once('=').unwrap_or((preference, ""));
            if name.trim().eq_ignore_ascii_case("wait") {
                let value = value.trim().trim_matches('"');
                let seconds = value.parse::<u32>();
                let seconds =
                    seconds.map_err(|_| format!("wait=\"{}\" is not a number of seconds", shown(value)))?;
                return Ok(Some(Duration::from_secs(u64::from(seconds))));
            }
        }
    }
    Ok(None)
}

/// The consistency token; a blank one is none, as of every parameter.
pub(super) fn consistency_token(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let name = CONSISTENCY_TOKEN.as_str();
    let token = one(headers, name).map_err(|why| ApiError::Header(Fault::new(name, why)))?;
    Ok(token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &HeaderName, values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(name.clone(), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn a_preferred_wait_is_found_among_other_preferences() {
        let wait = |values: &[&str]| preferred_wait(&headers(&PREFER, values));
        assert_eq!(wait(&[]), Ok(None));
        assert_eq!(wait(&["respond-async"]), Ok(None));
        assert_eq!(wait(&["return=minimal, Wait = \"7\"; foo=1"]), Ok(Some(Duration::from_secs(7))));
        assert_eq!(wait(&["wait=3", "wait=9"]), Ok(Some(Duration::from_secs(3))));
    }

    #[test]
    fn a_wait_that_is_no_number_is_refused() {
        for value in ["wait", "wait=", "wait=soon", "wait=-1", "wait=1.5", "wait=99999999999"] {
            assert!(preferred_wait(&headers(&PREFER, &[value])).is_err(), "{value}");
        }
    }
}
