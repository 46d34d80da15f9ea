//! Tells what a bulk request met: something that may pass, or something that trying again cannot help.

use std::time::Duration;

/// Why a request did not get its answers.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whether it is worth trying again.
    pub(crate) may_pass: bool,
    pub(crate) why: String,
}

impl Failure {
    pub(crate) fn passing(why: impl Into<String>) -> Self {
        Self { may_pass: true, why: why.into() }
    }

    pub(crate) fn lasting(why: impl Into<String>) -> Self {
        Self { may_pass: false, why: why.into() }
    }

    /// An answer with another status than 200.
    pub(crate) fn of_status(status: reqwest::StatusCode, body: &str) -> Self {
        let advice = match status.as_u16() {
            300..=399 => "the address leads elsewhere: give the one it leads to",
            401 | 403 | 407 => {
                "it wants to know who is asking: Folio itself does not, so look at what stands before it"
            }
            404 | 405 => {
                "there is no bulk API at this address: give the HTTP address of a command service (not of the query gateway, \
                 nor the operators' port)"
            }
            408 | 425 | 429 | 500 | 502..=504 => {
                return Self::passing(format!("answered {}", told(status, body)));
            }
            413 => "it does not take uploads of this size: look at what stands before it",
            415 => "it does not take application/x-ndjson: is it a command service of this version?",
            _ => "is it a command service of this version?",
        };
        Self::lasting(format!("answered {}; {advice}", told(status, body)))
    }

    /// An answer that says 200 and is no bulk answer.
    pub(crate) fn of_stranger(content_type: &str) -> Self {
        Self::lasting(format!(
            "answered with {}, not with the answers of a bulk API: is it the HTTP address of a command service?",
            if content_type.is_empty() { "no content type" } else { content_type }
        ))
    }

    /// No answer at all.
    pub(crate) fn of_transport(error: reqwest::Error) -> Self {
        // The address may hold any word that is looked for below.
        let error = error.without_url();
        let mut why = error.to_string();
        let mut source = std::error::Error::source(&error);
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            if !why.contains(&cause_text) {
                why = format!("{why}: {cause_text}");
            }
            source = cause.source();
        }
        let lower = why.to_lowercase();
        let is_tls = ["certificate", "tls", "invalidcontenttype", "corrupt message", "handshake"];
        if error.is_builder() {
            Self::lasting(format!("cannot be asked: {why}"))
        } else if error.is_connect() && is_tls.iter().any(|it| lower.contains(it)) {
            Self::lasting(format!(
                "does not speak TLS that this machine trusts (http:// or https://?): {why}"
            ))
        } else if lower.contains("invalid http") || lower.contains("parse") {
            Self::lasting(format!("does not speak HTTP: {why}; give the HTTP address of a command service"))
        } else {
            Self::passing(format!("does not answer: {why}"))
        }
    }

    pub(crate) fn of_silence(patience: Duration) -> Self {
        Self::passing(format!("said nothing for {patience:.0?}"))
    }
}

/// A status with the problem's own words, if it is a problem.
fn told(status: reqwest::StatusCode, body: &str) -> String {
    let problem: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let detail = problem["detail"].as_str().or_else(|| problem["title"].as_str()).unwrap_or_default();
    if detail.is_empty() { status.to_string() } else { format!("{status} ({detail})") }
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    #[test]
    fn what_may_pass_is_told_from_what_stays() {
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(Failure::of_status(StatusCode::from_u16(status).unwrap(), "").may_pass, "{status}");
        }
        for (status, advice) in [
            (301, "leads elsewhere"),
            (401, "who is asking"),
            (404, "command service"),
            (415, "x-ndjson"),
            (418, "version"),
        ] {
            let failure = Failure::of_status(StatusCode::from_u16(status).unwrap(), "<html>");
            assert!(!failure.may_pass && failure.why.contains(advice), "{status}: {failure:?}");
        }
        let failure = Failure::of_status(StatusCode::SERVICE_UNAVAILABLE, r#"{"detail": "catching up"}"#);
        assert!(failure.why.contains("catching up"), "{failure:?}");
        assert!(!Failure::of_stranger("text/html").may_pass);
    }

    #[tokio::test]
    async fn the_words_of_an_address_say_nothing() {
        // Nobody listens on port 1.
        for url in ["http://127.0.0.1:1/parse-tls", "http://127.0.0.1:1/handshake/certificate"] {
            let error = reqwest::Client::new().get(url).send().await.unwrap_err();
            let failure = Failure::of_transport(error);
            assert!(failure.may_pass && failure.why.contains("does not answer"), "{failure:?}");
            assert!(!failure.why.contains("127.0.0.1:1/"), "{failure:?}");
        }
    }
}
