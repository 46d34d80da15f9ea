//! What can go wrong between a read model and its store.
//!
//! Promise: transient says whether trying again, unchanged, can help.

use std::collections::BTreeMap;
use std::fmt;

use adapter_cql::{CqlError, RefusedRow};
use adapter_search::SearchError;
use futures::future::BoxFuture;
use toolkit::retry::{GaveUp, Transient};

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
    /// The store takes no row of these products, however often it is tried.
    #[error(transparent)]
    Refused(#[from] RefusedProducts),
    /// A row that this build cannot have written.
    #[error("{table}: row {row} cannot be read: {problem}; if nobody else wrote it, rebuild the read model")]
    Corrupt { table: String, row: String, problem: String },
}

/// All products of one write of which the store takes some row at no time, each with what it said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RefusedProducts {
    pub products: BTreeMap<String, String>,
    /// How many other products the same write has changed, all of whose rows were taken.
    pub taken: usize,
}

impl std::error::Error for RefusedProducts {}

impl fmt::Display for RefusedProducts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((product, problem)) = self.products.first_key_value() else {
            return f.write_str("no product is refused");
        };
        write!(f, "the rows of product {product} are refused: {problem}")?;
        match self.products.len() - 1 {
            0 => Ok(()),
            others => write!(f, " (and those of {others} others)"),
        }
    }
}

/// What a table took of a write: the products that it refuses, and why.
pub(crate) fn by_product(
    written: Result<Vec<RefusedRow>, GaveUp<CqlError>>,
) -> Result<impl Iterator<Item = (String, String)>, GaveUp<Error>> {
    let refused = written.map_err(|e| e.map(Error::from))?;
    Ok(refused.into_iter().map(|row| (row.of, row.problem)))
}

impl Error {
    /// Whether a table or an index is not there at all, so that everything it held is lost.
    pub fn is_missing(&self) -> bool {
        match self {
            Self::Cql(e) => e.is_missing(),
            Self::Search(e) => e.is_missing(),
            Self::NoBuild(_) => true,
            Self::Embedded(_) | Self::Unavailable(_) | Self::Corrupt { .. } | Self::Refused(_) => false,
        }
    }

    /// Whether the same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Cql(e) => e.is_transient(),
            Self::Search(e) => e.is_transient(),
            Self::Unavailable(_) => true,
            Self::Embedded(_) | Self::NoBuild(_) | Self::Corrupt { .. } | Self::Refused(_) => false,
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
