//! Judges the records of one partition for those who only read. Promises the same verdicts from any start, without
//! stored state: it looks back to the smallest basis it meets, at most [`WINDOW`](crate::WINDOW) offsets.
//!
//! It takes a product's first record at its word: what its writer says the version was at its basis. Correct writers say
//! what is so. A forged record that skips versions is a violation to whoever knows the product, and effective to a reader
//! that starts behind the last honest one or has forgotten it, until it is [`Reader::corrected`]. So who keeps states compares:
//! a record that skips versions of a state that is there is judged again by a [`Reader::complete`] one, whose verdicts are a
//! writer's.
//!
//! How to drive it: for each batch of the tail, ask `needs`; if it names an offset, read the records from there to
//! `floor()`, give each to `look_back`, then call `looked_back_to`. Then `judge` the batch in order, and tell `position`.

use std::collections::BTreeMap;

use ahash::AHashMap;

use crate::key::KeyRef;
use crate::rule::{self, in_window};
use crate::{KeyError, Offset, Partition, RecordKey, Subject, Verdict, VoidReason, WINDOW, partition_of};

/// Judges records from some start on.
#[derive(Debug)]
pub struct Reader {
    partition: Partition,
    partitions: i32,
    window: i64,
    /// It has seen all records from offset zero on, and forgets none.
    is_complete: bool,
    /// Where judging started.
    start: Offset,
    /// Records from here to `start` were looked back at.
    floor: Offset,
    /// The first offset not judged.
    next: Offset,
    /// Products met at or after `start`.
    known: AHashMap<Subject, Known>,
    /// Versions inside the window of records below `start`, by product and offset. Empty once no basis can reach there.
    past: AHashMap<Subject, BTreeMap<Offset, u64>>,
    /// When to forget next.
    sweep_at: Offset,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    version: u64,
    /// The offset of the product's last record inside its window.
    last: Offset,
}

/// What a record is to a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It counts.
    Effective(RecordKey),
    /// It changes nothing.
    Void(VoidReason),
    /// Its key does not parse: void.
    Garbage(KeyError),
    /// It skips a version inside the window: void, and no correct writer wrote it.
    Violation(RecordKey),
    /// It cannot be judged before the reader has looked back to this offset. Nothing has changed.
    NeedsLookBack(Offset),
    /// It stands below the position: it was judged before.
    Seen,
}

impl Reader {
    /// A reader that knows nothing and judges from `start` on.
    pub fn new(partition: Partition, partitions: i32, start: Offset) -> Self {
        Self::with_window(partition, partitions, start, WINDOW)
    }

    /// A reader that judges from offset zero on and knows every product it was shown a record of: it takes nobody at his word.
    /// Its memory follows the number of products; it may be shown the records of some products only.
    pub fn complete(partition: Partition, partitions: i32) -> Self {
        Self { is_complete: true, ..Self::new(partition, partitions, 0) }
    }

    pub(crate) fn with_window(partition: Partition, partitions: i32, start: Offset, window: i64) -> Self {
        Self {
            partition,
            partitions,
            window,
            is_complete: false,
            start,
            floor: start,
            next: start,
            known: AHashMap::new(),
            past: AHashMap::new(),
            sweep_at: start + window,
        }
    }

    /// The smallest basis to look back to before this batch of (offset, key) can be judged.
    pub fn needs<'k>(&self, batch: impl IntoIterator<Item = (Offset, &'k [u8])>) -> Option<Offset> {
        batch.into_iter().filter_map(|(offset, key)| self.lacks(offset, &KeyRef::parse(key).ok()?)).min()
    }

    /// A record of [needed offset, `floor()`), in any order.
    pub fn look_back(&mut self, offset: Offset, key: &[u8]) {
        let Ok(key) = KeyRef::parse(key) else { return };
        if offset >= self.start || !in_window(self.window, offset, key.basis) || !self.is_here(&key) {
            return;
        }
        let versions = match self.past.get_mut(key.subject) {
            Some(versions) => versions,
            None => self.past.entry(Subject::of_checked(key.subject)).or_default(),
        };
        versions.insert(offset, key.version);
    }

    /// Every record from `offset` to the floor was given to `look_back`.
    pub fn looked_back_to(&mut self, offset: Offset) {
        self.floor = self.floor.min(offset);
    }

    /// The lowest offset the reader knows about: look back from the needed offset to here (exclusive).
    pub fn floor(&self) -> Offset {
        self.floor
    }

    /// Judges the next record of the tail.
    pub fn judge(&mut self, offset: Offset, key: &[u8]) -> Judgement {
        if offset < self.next {
            return Judgement::Seen;
        }
        let key = match KeyRef::parse(key) {
            Ok(key) => key,
            Err(error) => return self.passed(offset, Judgement::Garbage(error)),
        };
        if !self.is_here(&key) {
            return self.passed(offset, Judgement::Void(VoidReason::WrongPartition));
        }
        if !in_window(self.window, offset, key.basis) {
            return self.passed(offset, Judgement::Void(VoidReason::OutsideWindow));
        }
        if let Some(lacking) = self.lacks(offset, &key) {
            return Judgement::NeedsLookBack(lacking);
        }
        let known = if let Some(known) = self.known.get_mut(key.subject) {
            known
        } else {
            let version = self.version_before(&key);
            self.known.entry(Subject::of_checked(key.subject)).or_insert(Known { version, last: offset })
        };
        known.last = offset;
        let verdict = rule::judge_within(self.window, offset, key.basis, key.version, known.version);
        let judgement = match verdict {
            Verdict::Effective => {
                known.version = key.version;
                Judgement::Effective(key.to_owned())
            }
            Verdict::Void(VoidReason::Ahead) => Judgement::Violation(key.to_owned()),
            Verdict::Void(reason) => Judgement::Void(reason),
        };
        self.passed(offset, judgement)
    }

    /// The tail has shown everything below `position`.
    pub fn position(&mut self, position: Offset) {
        self.next = self.next.max(position);
        if self.next < self.sweep_at || self.is_complete {
            return;
        }
        // A product that is silent for a whole window is told anew by its next record: its basis is behind the silence.
        let (next, window) = (self.next, self.window);
        self.known.retain(|_, known| next - known.last <= window);
        if next - self.start > window {
            self.past = AHashMap::new();
        }
        self.sweep_at = next + (window / 2).max(1);
    }

    /// A reader from offset zero has found that the product has this version now.
    pub fn corrected(&mut self, subject: &Subject, version: u64) {
        self.known.insert(subject.clone(), Known { version, last: self.next });
    }

    /// The first offset not judged.
    pub fn next(&self) -> Offset {
        self.next
    }

    fn passed(&mut self, offset: Offset, judgement: Judgement) -> Judgement {
        self.next = offset + 1;
        judgement
    }

    fn is_here(&self, key: &KeyRef<'_>) -> bool {
        partition_of(key.subject, self.partitions) == self.partition
    }

    /// The record's basis, if it is the first of its product and older than what was read.
    fn lacks(&self, offset: Offset, key: &KeyRef<'_>) -> Option<Offset> {
        let reaches_back = key.basis < self.floor && in_window(self.window, offset, key.basis);
        (reaches_back && self.is_here(key) && !self.known.contains_key(key.subject)).then_some(key.basis)
    }

    /// The version of an unknown product before this record, its first inside the window since `start`: one less than
    /// the record says, at its basis, and then what the records between the basis and `start` made of it.
    fn version_before(&self, key: &KeyRef<'_>) -> u64 {
        if self.is_complete {
            return 0;
        }
        let at_basis = key.version - 1;
        let Some(past) = self.past.get(key.subject) else { return at_basis };
        past.range(key.basis..).fold(
            at_basis,
            |current, (_, version)| {
                if *version == current + 1 { *version } else { current }
            },
        )
    }
}

#[cfg(test)]
mod tests;
