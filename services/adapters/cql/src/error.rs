//! What a CQL store can answer instead of a result.

use std::time::Duration;

use scylla::errors::{BadQuery, DbError, ExecutionError, NewSessionError, PrepareError, RequestAttemptError};

use toolkit::causes;
use toolkit::retry::Transient;
use toolkit::tls::{TlsError, explained};

/// A failed connection, statement or row.
#[derive(Debug, thiserror::Error)]
pub enum CqlError {
    /// With every cause, and what to do if it is TLS.
    #[error("connecting to {nodes}: {problem}")]
    Connect {
        nodes: String,
        problem: String,
        /// Whether trying again can help.
        passes: bool,
    },
    #[error("cql.tls: {0}")]
    Tls(#[from] TlsError),
    /// Of the file that the password is in.
    #[error("{0}")]
    Password(String),
    #[error("connecting to {nodes} took more than {} ms", limit.as_millis())]
    ConnectTimeout { nodes: String, limit: Duration },
    #[error("preparing `{statement}`: {source}{}", prepare_advice(source))]
    Prepare { statement: String, source: Box<PrepareError> },
    #[error("executing `{statement}`: {source}{}", execute_advice(source))]
    Execute { statement: String, source: Box<ExecutionError> },
    /// The answer has another shape than the statement expects.
    #[error("reading the answer to `{statement}`: {problem}")]
    Decode { statement: String, problem: String },
    #[error("no node is connected")]
    NoNode,
    /// A declared table or column is not there.
    #[error("there is no {0}; run `folio stores apply`, and it is built again")]
    Missing(String),
    /// The store is not as it was declared.
    #[error("{0}")]
    Schema(String),
}

impl CqlError {
    pub(crate) fn connect(nodes: String, error: &NewSessionError) -> Self {
        let passes =
            !matches!(error, NewSessionError::EmptyKnownNodesList | NewSessionError::IllegalConfig(_));
        Self::Connect { nodes, problem: explained(causes(error)), passes }
    }

    /// Whether a table or the keyspace is not there at all, so that what it held is lost.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Missing(_) => true,
            Self::Prepare { source, .. } => prepare_says_missing(source),
            Self::Execute { source, .. } => match &**source {
                ExecutionError::PrepareError(e) => prepare_says_missing(e),
                ExecutionError::LastAttemptError(e) => attempt_says_missing(e),
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether the same statement may succeed later: the nodes are away, overloaded or too slow, or refuse credentials that an
    /// operator may be replacing.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Connect { passes, .. } => *passes,
            // A password may be being replaced.
            Self::Password(_) | Self::ConnectTimeout { .. } | Self::NoNode => true,
            Self::Prepare { source, .. } => prepare_is_transient(source),
            Self::Execute { source, .. } => match &**source {
                ExecutionError::EmptyPlan
                | ExecutionError::ConnectionPoolError(_)
                | ExecutionError::RequestTimeout(_)
                | ExecutionError::SchemaAgreementError(_)
                | ExecutionError::MetadataError(_) => true,
                ExecutionError::PrepareError(e) => prepare_is_transient(e),
                ExecutionError::LastAttemptError(e) => attempt_is_transient(e),
                _ => false,
            },
            Self::Decode { .. } | Self::Missing(_) | Self::Schema(_) | Self::Tls(_) => false,
        }
    }

    /// Whether it is about the values of a row alone, or of the rows of one batch.
    pub(crate) fn is_of_values(&self) -> bool {
        let Self::Execute { source, .. } = self else { return false };
        match &**source {
            ExecutionError::BadQuery(BadQuery::SerializationError(_) | BadQuery::ValuesTooLongForKey(..)) => {
                true
            }
            ExecutionError::LastAttemptError(error) => attempt_is_of_values(error),
            _ => false,
        }
    }
}

impl Transient for CqlError {
    fn is_transient(&self) -> bool {
        self.is_transient()
    }
}

/// What nobody can guess who reached a contact point and no node behind it.
const NO_NODE: &str = " (nodes are reached by the addresses that they announce, at the contact point's port)";

fn prepare_advice(error: &PrepareError) -> &'static str {
    if matches!(error, PrepareError::ConnectionPoolError(_)) { NO_NODE } else { "" }
}

fn execute_advice(error: &ExecutionError) -> &'static str {
    match error {
        ExecutionError::ConnectionPoolError(_) => NO_NODE,
        ExecutionError::PrepareError(error) => prepare_advice(error),
        _ => "",
    }
}

fn prepare_says_missing(error: &PrepareError) -> bool {
    matches!(error, PrepareError::AllAttemptsFailed { first_attempt } if attempt_says_missing(first_attempt))
}

/// Neither server has a code of its own for it.
fn attempt_says_missing(error: &RequestAttemptError) -> bool {
    let RequestAttemptError::DbError(DbError::Invalid, text) = error else { return false };
    let text = text.to_lowercase();
    ["unconfigured table", "does not exist", "no keyspace", "unknown table"]
        .iter()
        .any(|it| text.contains(it))
}

fn attempt_is_of_values(error: &RequestAttemptError) -> bool {
    match error {
        RequestAttemptError::SerializationError(_) | RequestAttemptError::CqlRequestSerialization(_) => true,
        RequestAttemptError::DbError(DbError::Invalid, _) => !attempt_says_missing(error),
        RequestAttemptError::DbError(DbError::ServerError, text) => says_too_large(text),
        _ => false,
    }
}

/// A mutation that is larger than a segment of the commit log allows: no code of its own, and it never passes.
fn says_too_large(text: &str) -> bool {
    let text = text.to_lowercase();
    ["too large", "is too big", "larger than the maximum", "exceeds maximum"]
        .iter()
        .any(|it| text.contains(it))
}

fn prepare_is_transient(error: &PrepareError) -> bool {
    match error {
        PrepareError::ConnectionPoolError(_) => true,
        PrepareError::AllAttemptsFailed { first_attempt } => attempt_is_transient(first_attempt),
        _ => false,
    }
}

fn attempt_is_transient(error: &RequestAttemptError) -> bool {
    match error {
        RequestAttemptError::UnableToAllocStreamId | RequestAttemptError::BrokenConnectionError(_) => true,
        RequestAttemptError::DbError(DbError::ServerError, text) if says_too_large(text) => false,
        RequestAttemptError::DbError(db, _) => matches!(
            db,
            DbError::Unavailable { .. }
                | DbError::Overloaded
                | DbError::IsBootstrapping
                | DbError::TruncateError
                | DbError::ReadTimeout { .. }
                | DbError::WriteTimeout { .. }
                | DbError::ReadFailure { .. }
                | DbError::WriteFailure { .. }
                | DbError::ServerError
                | DbError::AuthenticationError
                | DbError::Unauthorized
                | DbError::RateLimitReached { .. }
        ),
        _ => false,
    }
}
