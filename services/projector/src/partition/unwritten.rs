//! What a partition has applied and not written yet.
//!
//! Promises: what is read, or about to be, is written at once, and so is what happens now; where a build that is not read replays
//! the log, a product that changed often is written once for many changes, so that replay costs what the rows cost and not what
//! the events did; what is put off is bounded in bytes and in time, and nobody is told of it before it is written.

use std::time::{Duration, Instant};

use bytes::Bytes;
use event_reader::Judged;
use ledger::Offset;
use read_models::control::Role;
use read_models::model::{Fold, Store};

use super::Task;
use super::stop::End;

/// How long writing is put off at most while records come,
const MAX_WAIT: Duration = Duration::from_secs(2);
/// and while none does.
const IDLE: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Unwritten {
    /// Everything below it is applied.
    pub(super) position: Offset,
    /// About how many bytes of records it came from.
    bytes: usize,
    since: Instant,
}

/// Whether nobody sees how soon the build shows what happens, and nobody waits for it.
pub(super) fn is_not_read(role: Role) -> bool {
    match role {
        Role::Follows { hold: None, .. } | Role::Ends => true,
        Role::Follows { hold: Some(_), .. } | Role::Live | Role::Held(_) | Role::Waits => false,
    }
}

/// About how many bytes the records take.
pub(super) fn bytes(records: &[Judged<'_>]) -> usize {
    let size = |it: &Judged<'_>| it.record.key.len() + it.record.value.as_ref().map_or(0, Bytes::len);
    records.iter().map(size).sum()
}

/// Ends when something is unwritten and nothing came meanwhile.
pub(super) async fn idle(unwritten: Option<&Unwritten>) {
    if unwritten.is_none() {
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(IDLE).await;
}

impl<M: Fold, S: Store<M>> Task<M, S> {
    /// Everything below is applied, if not written.
    pub(super) fn applied(&self) -> Offset {
        self.unwritten.as_ref().map_or(self.bound.settled(), |it| it.position)
    }

    /// Whether writing may wait; everything below `reached` is applied, and the last records of it had so many bytes.
    pub(super) fn puts_off(&mut self, role: Role, reached: Offset, bytes: usize) -> bool {
        if !is_not_read(role) || !self.bound.is_replay(reached) {
            return false;
        }
        let unwritten = self.unwritten.get_or_insert_with(|| Unwritten {
            position: reached,
            bytes: 0,
            since: Instant::now(),
        });
        unwritten.position = reached;
        unwritten.bytes += bytes;
        // Twice: an event lies in its row, and the row in its request.
        2 * unwritten.bytes + self.projection.changed_bytes() < self.context.unwritten_bytes
    }

    /// Writes what waits, if it has to wait no longer.
    pub(super) async fn write_what_is_due(&mut self, role: Role) -> Result<(), End> {
        let is_due = |it: &Unwritten| !is_not_read(role) || it.since.elapsed() >= MAX_WAIT;
        if self.unwritten.as_ref().is_some_and(is_due) { self.write_unwritten().await } else { Ok(()) }
    }

    /// Writes what waits, and says so.
    pub(super) async fn write_unwritten(&mut self) -> Result<(), End> {
        let Some(Unwritten { position, .. }) = self.unwritten else { return Ok(()) };
        self.write(position).await?;
        self.projection.begin();
        self.settle(position).await
    }
}
