//! What writers save and what they find after a crash: their own snapshots, however old, a backup, the disk of another
//! writer, one of another log, or nothing.

use super::node::{Disk, Node};
use super::shop::CODEC;
use crate::sim::{Dice, SimCold};

pub(super) struct Disks {
    dice: Dice,
    used: bool,
    /// A copy of some writer's disk, from some time.
    backup: Option<SimCold<super::shop::Stock>>,
    found: u64,
    resumed: u64,
    from_backup: u64,
    refused: u64,
}

impl Disks {
    /// Dice of its own: the seed's history is the same with disks and without.
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(!seed);
        let used = dice.percent(60);
        Self { dice, used, backup: None, found: 0, resumed: 0, from_backup: 0, refused: 0 }
    }

    pub(super) fn new_disk(&mut self) -> Option<Disk> {
        let hot = self.dice.below(4) as usize;
        self.used.then(|| Disk { cold: SimCold::new(CODEC), hot, is_false: false })
    }

    /// Snapshots are taken and written at any time.
    pub(super) fn spin(&mut self, node: &mut Node) {
        match self.dice.below(10) {
            0..3 => node.take_snapshot(),
            3..7 => node.write_snapshot(),
            7 if self.dice.percent(20) => {
                self.backup = node.disk.as_ref().filter(|disk| !disk.is_false).map(|disk| disk.cold.copy());
            }
            _ => {}
        }
    }

    /// What the writer finds when it starts again.
    pub(super) fn after_a_crash(&mut self, node: usize, nodes: &[Node]) -> Option<Disk> {
        let disk = nodes[node].disk.as_ref()?;
        self.found += disk.cold.found();
        let fresh = self.new_disk()?;
        let (cold, is_false) = match self.dice.below(10) {
            0..5 => (disk.cold.clone(), disk.is_false),
            5 | 6 => match &self.backup {
                Some(backup) => {
                    self.from_backup += 1;
                    (backup.copy(), false)
                }
                None => return Some(fresh),
            },
            7 => {
                let other = nodes[self.dice.index(nodes.len())].disk.as_ref()?;
                (other.cold.copy(), other.is_false)
            }
            8 if disk.cold.mark().is_some() => {
                let cold = disk.cold.copy();
                if !disk.is_false {
                    cold.falsify();
                    self.refused += 1;
                }
                (cold, true)
            }
            _ => return Some(fresh),
        };
        self.resumed += u64::from(cold.mark().is_some());
        Some(Disk { cold, is_false, ..fresh })
    }

    pub(super) fn counts(&self, nodes: &[Node]) -> [(&'static str, u64); 4] {
        let found: u64 = nodes.iter().filter_map(|node| Some(node.disk.as_ref()?.cold.found())).sum();
        [
            ("found cold", self.found + found),
            ("resumed", self.resumed),
            ("resumed from a backup", self.from_backup),
            ("refused", self.refused),
        ]
    }
}
