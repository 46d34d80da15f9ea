//! Saving, and what a writer finds after a crash: its own snapshots, however old, a backup, the disk of another writer, one
//! of another log, or nothing.

use super::{World, say};
use crate::counts::What;
use crate::disk::Disk;
use crate::violation::Checked;

impl World {
    /// An empty disk, if writers have any.
    pub(super) fn new_disk(&mut self) -> Option<Disk> {
        self.plan.has_disks.then(|| Disk::empty(self.dice.index(4)))
    }

    /// A writer saves what it wants saved.
    pub(super) fn save(&mut self, node: usize) {
        let saves = &mut self.nodes[node];
        if saves.save(self.now_ms) {
            self.counts.count(What::Snapshots);
            say!(self, saves, "takes a snapshot at {}", saves.next());
        }
    }

    /// A snapshot reaches the disk of its writer, or cannot be written, or the disk is copied.
    pub(super) fn spin(&mut self, node: usize) -> Checked {
        let saves = &mut self.nodes[node];
        if self.dice.percent(10) {
            self.backup = saves.disk.as_ref().filter(|disk| !disk.is_false).map(Disk::copy);
        } else if self.dice.percent(self.plan.full_disks) && saves.fail_to_write() {
            self.counts.count(What::SavesFailed);
            say!(self, saves, "cannot write a snapshot");
            return self.carry_out(node, usize::MAX);
        } else if saves.write_snapshot() {
            self.counts.count(What::SnapshotsWritten);
            say!(self, saves, "has written a snapshot");
        }
        Ok(())
    }

    /// What the next writer in its place finds.
    pub(super) fn disk_after_crash(&mut self, node: usize) -> Option<Disk> {
        let mut fresh = self.new_disk()?;
        let disk = self.nodes[node].disk.clone()?;
        let found = match self.dice.below(10) {
            0..5 => disk,
            5 => self.backup.as_ref()?.copy(),
            6 | 7 => self.nodes[self.dice.index(self.nodes.len())].disk.as_ref()?.copy(),
            8 if disk.cold.mark().is_some() && !disk.is_false => {
                self.counts.count(What::ResumedFalse);
                let mut other = disk.copy();
                other.cold.falsify();
                other.is_false = true;
                other
            }
            _ => return Some(fresh),
        };
        if found.cold.mark().is_some() {
            self.counts.count(What::Resumed);
        }
        (fresh.cold, fresh.is_false) = (found.cold, found.is_false);
        Some(fresh)
    }
}
