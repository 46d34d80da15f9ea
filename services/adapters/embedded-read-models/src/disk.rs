//! Work on the disk, beside the threads that answer.
//!
//! Promises: what reads one row is done where it is asked for: it takes microseconds, about as long as the way to another thread.
//! What reads or writes many rows, or waits for other writers, is done on a thread that may block.

use adapter_embedded::Error as DiskError;
use adapter_embedded::tables::Tables;
use read_models::{Error, QueryError};

use crate::bytes::Unreadable;

/// A failure of the tables as a read model's.
pub(crate) fn failed(error: &DiskError) -> Error {
    beyond_repair(&error.to_string())
}

/// A row that this build cannot have written, though its bytes are as they were written: all of the tables are built again at the
/// next start, or the same row would fail for ever.
pub(crate) fn unreadable(tables: &Tables, table: &str, row: &str, problem: &Unreadable) -> Error {
    let problem = format!("{table}: row {row} cannot be read: {problem}");
    tables.distrust(&problem);
    beyond_repair(&problem)
}

fn beyond_repair(problem: &str) -> Error {
    Error::Embedded(format!("{problem}; start again: what is damaged is built again from the log"))
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
