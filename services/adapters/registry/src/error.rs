//! What can go wrong with the registry, and whether trying again can help.

use serde::Deserialize;

/// A call to the registry that failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot use registry.url `{url}`: {problem}")]
    Configuration { url: String, problem: String },
    /// Try again later.
    #[error("cannot {tried} at {url}: {problem}")]
    Transient { tried: String, url: String, problem: String },
    /// Trying again does not help. `code` is the registry's own.
    #[error("the registry at {url} refuses to {tried}: {problem} (code {code})")]
    Refused { tried: String, url: String, code: i64, problem: String },
    #[error("the registry does not hold the schemas of {}; run `folio schemas register`", subjects.join(", "))]
    NotRegistered { subjects: Vec<String> },
    #[error(
        "cannot read the registry's answer at {url} to {tried}: {problem}; check that registry.url is its API"
    )]
    Nonsense { tried: String, url: String, problem: String },
}

impl Error {
    /// Whether the same call may succeed later without anyone changing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Transient { .. })
    }

    pub(super) fn refused(tried: &str, url: &str, status: u16, body: &str) -> Self {
        // A status without a code of the API (a proxy's, or a wrong path) is its own code.
        let code = read(body).and_then(|told| told.error_code).unwrap_or_else(|| i64::from(status));
        Self::Refused { tried: tried.to_owned(), url: url.to_owned(), code, problem: message(body) }
    }
}

#[derive(Deserialize)]
struct Told {
    error_code: Option<i64>,
    message: Option<String>,
}

fn read(body: &str) -> Option<Told> {
    serde_json::from_str(body).ok()
}

/// What the body says, short.
pub(super) fn message(body: &str) -> String {
    let told = read(body).and_then(|told| told.message).unwrap_or_else(|| body.to_owned());
    told.chars().take(500).collect()
}

impl toolkit::retry::Transient for Error {
    fn is_transient(&self) -> bool {
        self.is_transient()
    }
}
