//! Where the schemas of events come from.

use contract::avro::KnownSchema;
use futures::future::BoxFuture;
use toolkit::retry::Transient;

/// Where schemas come from: a registry, or a fixed table for logs that have none.
pub trait SchemaSource: Send + Sync + 'static {
    /// The ids of this build's schemas.
    fn ids(&self) -> BoxFuture<'_, Result<Vec<(KnownSchema, u32)>, SourceError>>;

    /// The text of the schema with this id; `None` if there is none.
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<String>, SourceError>>;
}

/// A source that did not answer, or will not.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{problem}")]
pub struct SourceError {
    pub problem: String,
    /// Whether the same question may be answered later.
    pub transient: bool,
}

impl Transient for SourceError {
    fn is_transient(&self) -> bool {
        self.transient
    }
}
