//! A question without an answer: what went wrong, and how both APIs tell it.
//!
//! Promise: every error has a code of `contract::code`; callers learn what they can do, never what only operators need.

use std::time::Duration;

use contract::code::Code;
use edge::problem::Problem;
use read_models::marks::Mark;
use read_models::{LogId, QueryError};

use super::faults::Fault;
use super::limits::shown;
use super::parked::since;
use super::quota::Crowd;

/// Names the metadata of a call that is at fault.
const METADATA_KEY: &str = "metadata_key";

/// What a read model's progress is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Versions of one product.
    Version,
    /// Offsets of one partition: everything below is applied.
    Position,
}

/// Can be cloned: one look at a store may answer many questions.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum ApiError {
    #[error("{}", told(.0))]
    Malformed(Vec<Fault>),
    #[error("header {}: {}", .0.field, .0.detail)]
    Header(Fault),
    /// The same over gRPC.
    #[error("the metadata {} {}", .0.field, .0.detail)]
    Metadata(Fault),
    #[error("product {product} has version {version}, for which {header} does not hold")]
    Precondition { header: String, product: String, version: u64 },
    #[error("{0}")]
    BadConsistencyToken(String),
    /// The same, where the token stands beside a gRPC message.
    #[error("{0}")]
    BadTokenInMetadata(String),
    #[error("{0}")]
    BadPageToken(String),
    #[error("there is no product {product}{}", version.map_or(String::new(), |v| format!(" with version {v}")))]
    NotFound { product: String, version: Option<u64> },
    #[error(
        "there is no build `{build}` of {model}: `folio read-models list`, or `GET /admin/v1/read-models` of a projector, shows those that there are"
    )]
    NoBuild { model: &'static str, build: String },
    #[error("product {product} was deleted with version {version}; its history is still readable")]
    Gone { product: String, version: u64 },
    #[error(
        "read model {model} has come to {} {at} and the consistency token asks for {asked}; try again, or prefer a longer wait",
        unit.name()
    )]
    Behind { model: &'static str, unit: Unit, at: i64, asked: i64 },
    /// However far it comes, it never shows the write.
    #[error(
        "read model {model} is built from log {current} in partition {partition}, and the consistency token is of log {asked}: \
         leave the token out if it is of a write to an earlier log"
    )]
    OtherLog { model: &'static str, partition: i32, current: LogId, asked: LogId },
    /// The position is there and the rows are not: the store lost them, and they are being built again.
    #[error(
        "read model {model} does not hold version {version} of product {product} yet, which the consistency token asks for; \
         try again, or prefer a longer wait"
    )]
    Lost { model: &'static str, product: String, version: u64 },
    /// What is asked for may be among events that could not be applied.
    #[error(
        "read model {model} lacks events of product {product}, which is parked since {} ({}){}: they are applied by `folio dlq redrive`, and to \
         ask again before does not help",
        since(mark), mark.kind, if mark.is_discarded { " and was given up" } else { "" }
    )]
    Parked { model: &'static str, product: String, mark: Mark },
    /// Rows are missing in between: the store lost them, and they are being built again.
    #[error("{why}; they were lost and are being built again: try again later")]
    Incomplete { store: &'static str, why: String },
    #[error("{store} does not answer: {why}")]
    Unavailable { store: &'static str, why: String },
    #[error("{max} questions {}, which is the most at once; try again later", crowd.name())]
    Overloaded { crowd: Crowd, max: usize },
    /// For operators: logged, never sent.
    #[error("{0}")]
    Internal(String),
    /// The caller may not ask this.
    #[error("{}", .0.detail)]
    NotAllowed(Box<Problem>),
    #[error("there is nothing at {}", shown(.0))]
    NoRoute(String),
    #[error("{} is not a method of this resource: it can only be read (GET, HEAD)", shown(.0))]
    NoMethod(String),
}

impl Unit {
    fn name(self) -> &'static str {
        match self {
            Self::Version => "version",
            Self::Position => "position",
        }
    }
}

impl Crowd {
    fn name(self) -> &'static str {
        match self {
            Self::Active => "are in flight (queries.max_in_flight)",
            Self::Waiting => "wait for a read model (queries.max_waiting)",
        }
    }
}

fn told(faults: &[Fault]) -> String {
    let told: Vec<_> = faults.iter().map(|fault| format!("{}: {}", fault.field, fault.detail)).collect();
    told.join("; ")
}

impl ApiError {
    pub(crate) fn malformed(field: &str, detail: impl Into<String>) -> Self {
        Self::Malformed(vec![Fault::new(field, detail)])
    }

    pub(crate) fn metadata(name: &str, detail: impl Into<String>) -> Self {
        Self::Metadata(Fault::new(name, detail))
    }

    /// A store did not answer in time.
    pub(crate) fn late(store: &'static str, limit: Duration) -> Self {
        Self::Unavailable { store, why: format!("no answer within {} ms", limit.as_millis()) }
    }

    /// What a read model answered, asked through `store`.
    pub(crate) fn of_query(store: &'static str, error: QueryError) -> Self {
        match error {
            QueryError::BadPageToken(detail) => Self::BadPageToken(detail),
            QueryError::BadQuestion(detail) => Self::malformed("", detail),
            QueryError::Unavailable(why) => Self::Unavailable { store, why },
            QueryError::Incomplete(why) => Self::Incomplete { store, why },
            QueryError::Internal(why) => Self::Internal(format!("{store}: {why}")),
        }
    }

    /// Whether this is what a question may end with whose build is dropped meanwhile.
    pub(super) fn is_of_the_store(&self) -> bool {
        let codes = [Code::StoreUnavailable, Code::ReadModelIncomplete, Code::Internal];
        codes.contains(&self.code())
    }

    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Malformed(_) => Code::MalformedRequest,
            Self::Header(_) | Self::Metadata(_) => Code::InvalidHeader,
            Self::Precondition { .. } => Code::VersionConflict,
            Self::BadConsistencyToken(_) | Self::BadTokenInMetadata(_) => Code::BadConsistencyToken,
            Self::BadPageToken(_) => Code::BadPageToken,
            Self::NotFound { .. } => Code::ProductNotFound,
            Self::NoBuild { .. } => Code::BuildNotFound,
            Self::Gone { .. } => Code::ProductGone,
            Self::Behind { .. } => Code::ReadModelBehind,
            Self::Parked { .. } => Code::ReadModelParked,
            Self::OtherLog { .. } => Code::LogMismatch,
            Self::Lost { .. } | Self::Incomplete { .. } => Code::ReadModelIncomplete,
            Self::Unavailable { .. } => Code::StoreUnavailable,
            Self::Overloaded { .. } => Code::Overloaded,
            Self::Internal(_) => Code::Internal,
            Self::NotAllowed(problem) => Code::from_name(problem.code).unwrap_or(Code::Forbidden),
            Self::NoRoute(_) => Code::NotFound,
            Self::NoMethod(_) => Code::MethodNotAllowed,
        }
    }
}

/// Of a caller that may not ask this.
impl From<Problem> for ApiError {
    fn from(refused: Problem) -> Self {
        Self::NotAllowed(Box::new(refused))
    }
}

impl From<ApiError> for Problem {
    fn from(error: ApiError) -> Self {
        let code = error.code();
        let detail = match &error {
            ApiError::Internal(why) => {
                tracing::error!(why, "a query failed");
                "the query failed for a reason that is ours; it is logged with this answer's request id"
                    .to_owned()
            }
            ApiError::Unavailable { store, why } => {
                tracing::debug!(store, why, "a query was not answered");
                format!("{store} does not answer; try again later")
            }
            other => other.to_string(),
        };
        let problem = Problem::new(code, detail);
        match error {
            ApiError::NotAllowed(refused) => *refused,
            ApiError::Malformed(faults) => faults
                .into_iter()
                .fold(problem, |problem, fault| problem.field(pointer(&fault.field), fault.detail)),
            ApiError::Metadata(fault) => problem.with(METADATA_KEY, fault.field),
            ApiError::BadTokenInMetadata(_) => problem.with(METADATA_KEY, "consistency-token"),
            ApiError::Header(fault) => problem.field(pointer(&fault.field), fault.detail),
            ApiError::NotFound { product, .. } => problem.with("product_id", product),
            ApiError::NoBuild { model, build } => problem.with("read_model", model).with("generation", build),
            ApiError::Gone { product, version } | ApiError::Precondition { product, version, .. } => {
                problem.with("product_id", product).with("current_version", version)
            }
            ApiError::Behind { model, unit, at, asked } => problem
                .with("read_model", model)
                .with(&format!("current_{}", unit.name()), at)
                .with(&format!("asked_{}", unit.name()), asked),
            ApiError::OtherLog { model, partition, current, asked } => problem
                .with("read_model", model)
                .with("partition", partition)
                .with("current_log", current.to_string())
                .with("asked_log", asked.to_string()),
            ApiError::Lost { model, product, version } => {
                problem.with("read_model", model).with("product_id", product).with("asked_version", version)
            }
            ApiError::Parked { model, product, mark } => problem
                .with("read_model", model)
                .with("product_id", product)
                .with("since", since(&mark).to_string())
                .with("kind", mark.kind.name())
                .with("is_discarded", mark.is_discarded),
            ApiError::Incomplete { store, .. } | ApiError::Unavailable { store, .. } => {
                problem.with("store", store)
            }
            ApiError::BadConsistencyToken(_)
            | ApiError::BadPageToken(_)
            | ApiError::Overloaded { .. }
            | ApiError::Internal(_)
            | ApiError::NoRoute(_)
            | ApiError::NoMethod(_) => problem,
        }
    }
}

/// The request seen as an object of its parameters: RFC 6901 escapes `~` and `/`.
fn pointer(field: &str) -> String {
    if field.is_empty() { String::new() } else { format!("/{}", field.replace('~', "~0").replace('/', "~1")) }
}

#[cfg(test)]
mod tests {
    use toolkit::dead_letters::Kind;

    use super::*;

    const MARK: Mark = Mark { first_offset: 7, since_ms: 0, kind: Kind::Undecodable, is_discarded: true };

    #[test]
    fn a_parked_product_is_told_with_since_when_and_why_and_what_helps() {
        let error = ApiError::Parked { model: "products", product: "p-1".to_owned(), mark: MARK };
        let told = error.to_string();
        for part in ["p-1", "1970-01-01T00:00:00Z (undecodable) and was given up", "folio dlq redrive"] {
            assert!(told.contains(part), "{part} is not in {told}");
        }
    }

    #[test]
    fn what_is_worth_another_try_says_when_and_nothing_else_does() {
        let product = || "p-1".to_owned();
        let log = |number| LogId::from_number(number).unwrap();
        for error in [
            ApiError::malformed("q", "is missing"),
            ApiError::Header(Fault::new("Prefer", "is no text")),
            ApiError::metadata("prefer", "means nothing"),
            ApiError::BadConsistencyToken(String::new()),
            ApiError::BadTokenInMetadata(String::new()),
            ApiError::BadPageToken(String::new()),
            ApiError::NotFound { product: product(), version: None },
            ApiError::NoBuild { model: "products", build: "g7".to_owned() },
            ApiError::Gone { product: product(), version: 1 },
            ApiError::Precondition { header: "if-match".to_owned(), product: product(), version: 1 },
            ApiError::Behind { model: "products", unit: Unit::Version, at: 1, asked: 2 },
            ApiError::OtherLog { model: "products", partition: 0, current: log(1), asked: log(2) },
            ApiError::Lost { model: "products", product: product(), version: 1 },
            ApiError::Parked { model: "products", product: product(), mark: MARK },
            ApiError::Unavailable { store: "cql", why: String::new() },
            ApiError::Overloaded { crowd: Crowd::Active, max: 1 },
            ApiError::Overloaded { crowd: Crowd::Waiting, max: 1 },
            ApiError::Internal(String::new()),
            ApiError::from(Problem::new(Code::Forbidden, "for a test")),
            ApiError::NoRoute("/".to_owned()),
            ApiError::NoMethod("PUT".to_owned()),
        ] {
            let problem = Problem::from(error.clone());
            assert_eq!(problem.retryable, error.code().retryable(), "{error}");
            assert_eq!(problem.retry_after.is_some(), problem.retryable, "{error}");
        }
    }

    #[test]
    fn an_overload_names_the_limit_that_was_reached() {
        let told = |crowd| ApiError::Overloaded { crowd, max: 7 }.to_string();
        assert!(told(Crowd::Active).contains("queries.max_in_flight"));
        assert!(told(Crowd::Waiting).contains("queries.max_waiting"));
    }
}
