//! When a partition's changed products are saved. Promises that they are never more than a few snapshots' worth, and that
//! a quiet partition is saved too.

use anyhow::bail;
use ledger::{Mark, Sequencer};

use super::cache::{Saver, Shelf};
use super::part::Part;
use crate::catalog::Catalog;

/// Snapshots of one partition on their way to the disk before its owner waits for them.
const MOST_UNDER_WAY: u64 = 1;

pub(super) struct Saving {
    shelf: Shelf,
    most_changed: usize,
    most_changed_bytes: usize,
    save_ms: u64,
    due_ms: u64,
    /// The last snapshot handed over, and the last known to be written.
    handed: u64,
    written: u64,
}

impl Saving {
    /// Gives the sequencer its shelf, if there is one, and lets it resume from what lies there.
    pub(super) fn begin(
        mut sequencer: Sequencer<Catalog>,
        shelf: Option<(Shelf, Option<Mark>)>,
        partitions: i32,
    ) -> (Sequencer<Catalog>, Option<Self>) {
        let Some((shelf, mark)) = shelf else { return (sequencer, None) };
        let hot_bytes = shelf.hot_bytes(partitions);
        sequencer =
            sequencer.with_cold(Box::new(shelf.clone()), shelf.hot(partitions)).within_bytes(hot_bytes);
        if let Some(mark) = mark {
            sequencer.resume(mark);
        }
        let (most_changed, save_ms) = (shelf.most_changed(partitions), shelf.save_ms());
        let most_changed_bytes = hot_bytes / 2;
        let due_ms = save_ms;
        let saving = Self { shelf, most_changed, most_changed_bytes, save_ms, due_ms, handed: 0, written: 0 };
        (sequencer, Some(saving))
    }
}

impl Part {
    /// Saves what has changed, if it is time. Waits for the disk only when twice as much has changed as is saved at once.
    pub(super) fn save(&mut self, saver: &Saver, now_ms: u64) -> anyhow::Result<()> {
        let Some(saving) = &mut self.saving else { return Ok(()) };
        if saving.shelf.is_broken() {
            bail!("the cache cannot be read again and again: delete it, or give another cache.dir");
        }
        let (changed, bytes) = (self.sequencer.changed(), self.sequencer.changed_bytes());
        let has = |times: usize| {
            changed >= times * saving.most_changed || bytes >= times * saving.most_changed_bytes.max(1)
        };
        let is_due = has(1) || now_ms >= saving.due_ms;
        let must_wait = saving.handed - saving.written >= MOST_UNDER_WAY;
        if !is_due || must_wait && !has(2) {
            return Ok(());
        }
        saving.due_ms = now_ms + saving.save_ms;
        self.save_now(saver);
        Ok(())
    }

    pub(super) fn save_now(&mut self, saver: &Saver) {
        if let Some(saving) = &mut self.saving
            && let Some(snapshot) = self.sequencer.snapshot()
        {
            saving.handed = snapshot.number;
            saver.save(&saving.shelf, snapshot);
        }
    }

    /// A snapshot is written: one from before the state was thrown away says nothing about it.
    pub(super) fn saved(&mut self, generation: u32, number: u64) {
        let Some(saving) = &mut self.saving else { return };
        saving.written = saving.written.max(number);
        if saving.shelf.is_current(generation) {
            self.sequencer.saved(number);
        }
    }
}
