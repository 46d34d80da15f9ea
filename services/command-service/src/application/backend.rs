//! What the service runs on: a log, and the schemas of what is in it. Kafka with a registry, or anything else that has
//! the port [`EventLog`].

use std::sync::Arc;

use event_reader::{LogLooks, SchemaSource};
use futures::future::BoxFuture;
use ledger::{EventLog, Inbox};
use toolkit::lifecycle::Dependency;
use toolkit::retry::Transient;

/// A log that is open.
pub struct OpenLog {
    pub log: Arc<dyn EventLog>,
    /// Tells this log from any other: saved states of another identity are of another log.
    pub identity: String,
    /// What it is called by whoever configures it: a log of another name is another one on purpose.
    pub name: String,
    /// The same without saying what it is, for traces.
    pub topic: String,
    /// Looks at its first records.
    pub looks: LogLooks,
}

impl std::fmt::Debug for OpenLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenLog").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// Opens a log.
pub trait Backend: Send + Sync + 'static {
    /// What readiness calls the log.
    fn name(&self) -> &'static str;

    /// The schemas of what is in it.
    fn schemas(&self) -> Arc<dyn SchemaSource>;

    /// Checks that the log is what it has to be and opens it. `dependency` is told for as long as it is open whether it
    /// can be reached. A transient error is tried again; any other ends the process.
    fn open(
        &self,
        inbox: Arc<dyn Inbox>,
        dependency: Dependency,
    ) -> BoxFuture<'_, Result<OpenLog, BackendError>>;
}

/// A log that cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct BackendError {
    pub problem: String,
    /// Whether it may be possible later.
    pub transient: bool,
}

impl Transient for BackendError {
    fn is_transient(&self) -> bool {
        self.transient
    }
}
