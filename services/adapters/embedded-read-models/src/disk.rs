//! Work on the disk, beside the threads that answer.
//!
//! Promises: what reads one row is done where it is asked for: it takes microseconds, about as long as the way to another thread.
//! What reads or writes many rows, or waits for other writers, is done on a thread that may block.

use adapter_embedded::Error as DiskError;
use read_models::{Error, QueryError};

/// A failure of the tables as a read model's.
pub(crate) fn failed(error: &DiskError) -> Error {
    Error::Embedded(format!("{error}; start again: what is damaged is built again from the log"))
}

/// Does the work on a thread that may block. If nobody waits for it any more, it is done all the same.
pub(crate) async fn blocking<T: Send + 'static, E: From<Error> + Send + 'static>(
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Error::Embedded(format!("work on the disk did not end: {error}")).into()),
    }
}

/// As an answer.
pub(crate) fn answer<T>(result: Result<T, Error>) -> Result<T, QueryError> {
    Ok(result?)
}
