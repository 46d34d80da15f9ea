//! What can go wrong between a read model and its store.
//!
//! Promise: transient says whether trying again, unchanged, can help.

use adapter_cql::CqlError;
use adapter_search::SearchError;
use futures::future::BoxFuture;
use toolkit::retry::Transient;

/// What a store answers in its time. On the heap: the drivers' futures are many kilobytes.
pub type Answered<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// A failed load, write or schema statement.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Cql(#[from] CqlError),
    #[error(transparent)]
    Search(#[from] SearchError),
    /// Storage in this process failed, and will until the process is started again.
    #[error("{0}")]
    Embedded(String),
    /// Storage in this process failed, and may work again: a disk was full.
    #[error("{0}")]
    Unavailable(String),
    /// A build is not there at all.
    #[error("{0} is not there")]
    NoBuild(String),
    /// The store takes no row of this product, however often it is tried.
    #[error("the rows of product {product} are refused: {problem}")]
    Refused { product: String, problem: String },
    /// A row that this build cannot have written.
    #[error("{table}: row {row} cannot be read: {problem}; if nobody else wrote it, rebuild the read model")]
    Corrupt { table: String, row: String, problem: String },
}

impl Error {
    /// Whether a table or an index is not there at all, so that everything it held is lost.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Cql(e) => e.is_missing(),
            Self::Search(e) => e.is_missing(),
            Self::NoBuild(_) => true,
            Self::Embedded(_) | Self::Unavailable(_) | Self::Corrupt { .. } | Self::Refused { .. } => false,
        }
    }

    /// The product whose rows the store refuses for good, where it is that product's alone.
    pub fn refused_product(&self) -> Option<&str> {
        match self {
            Self::Refused { product, .. } => Some(product),
            Self::Cql(CqlError::Refused { of, .. }) => Some(of),
            Self::Search(SearchError::Document { id, .. }) => Some(id),
            Self::Cql(_)
            | Self::Search(_)
            | Self::Embedded(_)
            | Self::Unavailable(_)
            | Self::NoBuild(_)
            | Self::Corrupt { .. } => None,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Cql(e) => e.is_transient(),
            Self::Search(e) => e.is_transient(),
            Self::Unavailable(_) => true,
            Self::Embedded(_) | Self::NoBuild(_) | Self::Corrupt { .. } | Self::Refused { .. } => false,
        }
    }
}

impl Transient for Error {
    fn is_transient(&self) -> bool {
        self.is_transient()
    }
}

/// A question without an answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The caller's fault: contract code `bad-page-token`.
    #[error("{0}")]
    BadPageToken(String),
    /// The caller's fault: the question makes no sense, e.g. a price range without a currency.
    #[error("{0}")]
    BadQuestion(String),
    /// The store is away or overloaded; the same question may be answered later: contract code `store-unavailable`.
    #[error("{0}")]
    Unavailable(String),
    /// Rows are missing that the store had acknowledged; the projector builds them again: contract code
    /// `read-model-incomplete`.
    #[error("{0}")]
    Incomplete(String),
    /// Neither; somebody must look.
    #[error("{0}")]
    Internal(String),
}

impl From<Error> for QueryError {
    fn from(error: Error) -> Self {
        if error.is_transient() || error.is_missing() {
            Self::Unavailable(error.to_string())
        } else {
            Self::Internal(error.to_string())
        }
    }
}

impl From<CqlError> for QueryError {
    fn from(error: CqlError) -> Self {
        Error::from(error).into()
    }
}

impl From<SearchError> for QueryError {
    fn from(error: SearchError) -> Self {
        Error::from(error).into()
    }
}
