//! Snapshots: taking them, and starting from one. Promises that a sequencer which starts from a snapshot decides nothing
//! before the log has shown the record the snapshot ends with.

use bytes::Bytes;

use super::Sequencer;
use crate::laws::Laws;
use crate::{Aggregate, ColdProducts, LogId, Mark, Offset, RecordKey, Snapshot};

/// The last record that was applied. Its key is made into text only when it is asked for.
#[derive(Debug, Default)]
pub(super) struct Last {
    offset: Offset,
    text: Vec<u8>,
    /// An own record, whose text was never seen.
    own: Option<RecordKey>,
    /// Whether any was applied, or a snapshot stands for those that were,
    has_begun: bool,
    /// and which log it is by the first one.
    log: Option<LogId>,
}

impl Last {
    pub(super) fn is(&mut self, offset: Offset, key: &[u8]) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.log = LogId::of_first_key(key);
        }
        self.offset = offset;
        self.own = None;
        self.text.clear();
        self.text.extend_from_slice(key);
    }

    pub(super) fn is_own(&mut self, offset: Offset, key: RecordKey) {
        if !std::mem::replace(&mut self.has_begun, true) {
            self.log = LogId::of_first_key(key.to_string().as_bytes());
        }
        self.offset = offset;
        self.own = Some(key);
    }

    fn mark(&self, next: Offset) -> Option<Mark> {
        let key = match &self.own {
            Some(key) => Bytes::from(key.to_string()),
            None if self.text.is_empty() => return None,
            None => Bytes::copy_from_slice(&self.text),
        };
        Some(Mark { next, last: self.offset, key })
    }
}

impl<A: Aggregate, X, L: Laws> Sequencer<A, X, L> {
    /// Keeps about `hot` products in memory and looks for the others in `cold`. Products leave memory only when they are
    /// saved: whoever drives the sequencer takes a [`Sequencer::snapshot`] before too many have changed, writes it
    /// into `cold` as a whole, and says [`Sequencer::saved`]. If that fails, `reset` is the only way on.
    #[must_use]
    pub fn with_cold(mut self, cold: Box<dyn ColdProducts<A::State>>, hot: usize) -> Self {
        self.products.keep_cold_in(cold, hot);
        self
    }

    /// Keeps the products in memory within about so many bytes as well, by [`Aggregate::size`]; after `with_cold`.
    #[must_use]
    pub fn within_bytes(mut self, max_bytes: usize) -> Self {
        self.products.keep_within(max_bytes);
        self
    }

    /// Starts where the products in `cold` stand, instead of at 0. To be called before any other input, on a sequencer
    /// made `with_cold`; tail from `mark.last`. If the log does not begin there with the same record, or ends before,
    /// the sequencer says `Discard`.
    pub fn resume(&mut self, mark: Mark) {
        self.next = mark.next;
        self.last.has_begun = true;
        self.last.is(mark.last, &mark.key);
        if self.laws.proves_snapshots() {
            self.unproven = Some(mark);
        }
    }

    /// What has changed since the last snapshot: `None` if nothing was applied or nothing can be saved now.
    pub fn snapshot(&mut self) -> Option<Snapshot<A::State>> {
        let is_whole = self.unproven.is_none() && self.withheld == 0;
        if self.is_discarded || !is_whole || self.next == self.snapshot_at {
            return None;
        }
        let mark = self.last.mark(self.next)?;
        let (number, products) = self.products.take_changed()?;
        self.snapshot_at = self.next;
        Some(Snapshot { number, mark, products })
    }

    /// The snapshot of this number is written, and so are all before it.
    pub fn saved(&mut self, number: u64) {
        self.products.saved(number);
    }

    /// Which log it has applied, from its first record on. None after a start from a snapshot, which was made from the middle
    /// of one, and where the first record is none of ours.
    pub fn log(&self) -> Option<LogId> {
        self.last.log
    }

    /// The first record of a tail that resumes: it proves the snapshot, or there is another log.
    pub(super) fn prove(&mut self, mark: &Mark, offset: Offset, key: &[u8]) {
        if offset != mark.last || *key != mark.key {
            self.discard(format!("the record at offset {} is not the one the snapshot ends with", mark.last));
        }
    }

    /// Before its proof, a snapshot beyond the log's end is worth nothing.
    pub(super) fn disprove(&mut self, end: Offset) {
        if let Some(mark) = self.unproven.take_if(|mark| mark.next > end) {
            self.discard(format!("the log ends at offset {end} and the snapshot at {}", mark.next));
        }
    }
}
