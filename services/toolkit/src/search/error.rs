//! What a search server can answer instead of a result.

use crate::retry::Transient;

/// A failed request, or a document that was refused.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("search server: `{url}` is not a URL Folio can use: {problem}")]
    Config { url: String, problem: String },
    /// No usable answer: the server is away, or too slow.
    #[error("search server: {request} was not answered: {problem}")]
    Unreachable { request: String, problem: String },
    #[error("search server: {request} was answered with status {status}: {problem}")]
    Status { request: String, status: u16, problem: String },
    #[error("search server: the answer to {request} cannot be read: {problem}")]
    Decode { request: String, problem: String },
    /// One document of a bulk request was refused for good.
    #[error("search server: document {id} of {index} was refused with status {status}: {problem}")]
    Document { index: String, id: String, status: u16, problem: String },
    /// Documents of a bulk request that the server had no room for.
    #[error("search server: {index} had no room for {count} of {of} documents")]
    Busy { index: String, count: usize, of: usize },
    /// The index is not as it was declared.
    #[error("{0}")]
    Schema(String),
}

impl SearchError {
    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } => true,
            Self::Status { status, .. } => matches!(status, 408 | 429 | 500 | 502 | 503 | 504),
            Self::Config { .. } | Self::Decode { .. } | Self::Document { .. } | Self::Schema(_) => false,
        }
    }
}

impl Transient for SearchError {
    fn is_transient(&self) -> bool {
        self.is_transient()
    }
}
