//! What a search server can answer instead of a result.
//!
//! Promise: an error is classified by its type where the server names one, and by its status only where it does not: a shard
//! that recovers answers 404, as a document that is not there does.

use serde::Deserialize;

use toolkit::retry::Transient;

/// A failed request, or a document that was refused.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    #[error("search server: `{url}` is not a URL Folio can use: {problem}")]
    Config { url: String, problem: String },
    /// No usable answer: the server is away, or too slow.
    #[error("search server: {request} was not answered: {problem}")]
    Unreachable { request: String, problem: String },
    #[error("search server: {request} was answered with status {status}: {problem}")]
    Status {
        request: String,
        status: u16,
        /// The error's type, as the server names it; empty if it names none.
        kind: String,
        problem: String,
    },
    #[error("search server: the answer to {request} cannot be read: {problem}")]
    Decode { request: String, problem: String },
    /// A document was refused for good.
    #[error("search server: document {id} of {index} was refused with status {status}: {problem}")]
    Document { index: String, id: String, status: u16, problem: String },
    /// Documents of a bulk request that the server could not take now.
    #[error("search server: {index} could not take {count} of {of} documents now: {problem}")]
    Busy { index: String, count: usize, of: usize, problem: String },
    /// Some shards did not take part, so that the answer is not whole.
    #[error("search server: {request} was answered by {successful} of {total} shards")]
    Partial { request: String, successful: u64, total: u64 },
    /// The index, or an alias of it, is not there.
    #[error("search server: {request}: {problem}; run `folio stores apply`, and it is built again")]
    Missing { request: String, problem: String },
    /// The index is not as it was declared.
    #[error("{0}")]
    Schema(String),
}

impl SearchError {
    /// Whether the same request may succeed later. Refused credentials count: an operator may be replacing them. A missing
    /// index does not: once it is there again, what was written to it has to be written again.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Busy { .. } | Self::Partial { .. } => true,
            Self::Status { status, kind, .. } => is_transient(*status, kind),
            Self::Config { .. }
            | Self::Decode { .. }
            | Self::Document { .. }
            | Self::Missing { .. }
            | Self::Schema(_) => false,
        }
    }

    /// Whether what was asked for is not there at all, so that what it held is lost.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Missing { .. })
    }
}

impl Transient for SearchError {
    fn is_transient(&self) -> bool {
        self.is_transient()
    }
}

/// The types of errors that pass by themselves, whatever status they come with: shards that start, move or recover, nodes that
/// come and go, and servers that have too much to do.
const PASSING: [&str; 30] = [
    "already_closed_exception",
    "already_expired_exception",
    "circuit_breaking_exception",
    "cluster_block_exception",
    "connect_transport_exception",
    "coordination_state_rejected_exception",
    "engine_closed_exception",
    "es_rejected_execution_exception",
    "failed_node_exception",
    "illegal_index_shard_state_exception",
    "index_closed_exception",
    "index_primary_shard_not_allocated_exception",
    "index_shard_closed_exception",
    "index_shard_not_recovering_exception",
    "index_shard_not_started_exception",
    "index_shard_recovering_exception",
    "index_shard_relocated_exception",
    "index_shard_started_exception",
    "master_not_discovered_exception",
    "no_shard_available_action_exception",
    "node_closed_exception",
    "node_disconnected_exception",
    "node_not_connected_exception",
    "not_master_exception",
    "process_cluster_event_timeout_exception",
    "rejected_execution_exception",
    "retry_on_primary_exception",
    "retry_on_replica_exception",
    "shard_not_found_exception",
    "unavailable_shards_exception",
];

pub(super) fn is_transient(status: u16, kind: &str) -> bool {
    PASSING.contains(&kind) || matches!(status, 401 | 403 | 408 | 425 | 429 | 500..=599)
}

/// The type of the error of an index, or an alias that `require_alias` asks for, that is not there.
pub(super) const MISSING: &str = "index_not_found_exception";

/// An error as the server tells it, of a request or of a document.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Cause {
    #[serde(rename = "type", default)]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) reason: Option<String>,
    #[serde(rename = "root_cause", default)]
    roots: Vec<Cause>,
    #[serde(default)]
    caused_by: Option<Box<Cause>>,
}

impl Cause {
    /// The type that says most: a passing one or a missing index, wherever it stands among the causes; else the first.
    pub(super) fn kind(&self) -> &str {
        let all = self.all();
        let telling = |cause: &&&Cause| cause.kind == MISSING || PASSING.contains(&cause.kind.as_str());
        all.iter().find(telling).or(all.first()).map_or("", |cause| &cause.kind)
    }

    /// Root causes first.
    fn all(&self) -> Vec<&Cause> {
        let mut all: Vec<&Cause> = self.roots.iter().flat_map(Cause::all).collect();
        all.push(self);
        all.extend(self.caused_by.iter().flat_map(|cause| cause.all()));
        all
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cause = self.roots.first().unwrap_or(self);
        write!(f, "{}: {}", cause.kind, cause.reason.as_deref().unwrap_or("no reason given"))
    }
}

/// What an answer that is no success says.
pub(super) fn of_answer(request: String, status: u16, answer: &[u8]) -> SearchError {
    #[derive(Deserialize)]
    struct Answer {
        error: Cause,
    }
    let Ok(Answer { error }) = serde_json::from_slice(answer) else {
        // Proxies in between answer with pages of their own.
        let problem = String::from_utf8_lossy(answer).chars().take(500).collect();
        return SearchError::Status { request, status, kind: String::new(), problem };
    };
    of_cause(request, status, &error)
}

/// What the error of a request or of one of its documents means.
pub(super) fn of_cause(request: String, status: u16, error: &Cause) -> SearchError {
    let (kind, problem) = (error.kind(), error.to_string());
    if kind == MISSING {
        return SearchError::Missing { request, problem };
    }
    SearchError::Status { request, status, kind: kind.to_owned(), problem }
}
