//! When a partition's changed products are saved. Promises that they are never more than a few snapshots' worth, that a
//! quiet partition is saved too, and that nothing is saved any more once that has failed: a snapshot says what has changed
//! since the one before it.

use super::PartitionDriver;
use crate::laws::Laws;
use crate::{Aggregate, Output, Sequencer, Snapshot};

/// Snapshots of one partition on their way to the disk before its owner waits for them.
const MAX_IN_FLIGHT: u64 = 1;

/// What stays in memory, and when the rest is saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SavePolicy {
    /// How many products stay in memory, about, and how many bytes of them.
    pub hot: usize,
    pub hot_bytes: usize,
    /// So many changed products are saved, even if it is not time yet.
    pub max_changed: usize,
    /// Changed products are saved this often.
    pub save_ms: u64,
}

impl SavePolicy {
    /// Whether so many times as much has changed as is saved at once.
    fn is_reached<A: Aggregate, X, L: Laws>(&self, times: usize, sequencer: &Sequencer<A, X, L>) -> bool {
        sequencer.changed() >= times * self.max_changed
            || sequencer.changed_bytes() >= times * (self.hot_bytes / 2).max(1)
    }
}

#[derive(Debug)]
pub(super) struct Saving {
    policy: SavePolicy,
    due_ms: u64,
    /// The last snapshot handed over, and the last known to be written.
    handed: u64,
    written: u64,
    failed: bool,
}

impl Saving {
    pub(super) fn new(policy: SavePolicy) -> Self {
        Self { policy, due_ms: policy.save_ms, handed: 0, written: 0, failed: false }
    }

    pub(super) fn begin(&mut self, now_ms: u64) {
        self.due_ms = now_ms + self.policy.save_ms;
    }
}

impl<A: Aggregate, X, L: Laws> PartitionDriver<A, X, L> {
    /// What has changed, if it is time to save it. While another snapshot is in flight only if twice as much has changed
    /// as is saved at once: then whoever saves should wait for the disk.
    pub fn save(&mut self, now_ms: u64) -> Option<Snapshot<A::State>> {
        self.passes(now_ms);
        let saving = self.saving.as_mut()?;
        let is_due = saving.policy.is_reached(1, &self.sequencer) || self.now_ms >= saving.due_ms;
        let must_wait = saving.handed - saving.written >= MAX_IN_FLIGHT;
        if !is_due || must_wait && !saving.policy.is_reached(2, &self.sequencer) {
            return None;
        }
        saving.due_ms = self.now_ms + saving.policy.save_ms;
        self.save_now()
    }

    /// Whether twice as much has changed as is saved at once.
    pub(super) fn must_save(&self) -> bool {
        self.saving.as_ref().is_some_and(|saving| saving.policy.is_reached(2, &self.sequencer))
    }

    /// What has changed: to be saved before the end.
    pub fn save_now(&mut self) -> Option<Snapshot<A::State>> {
        let saving = self.saving.as_mut().filter(|saving| !saving.failed)?;
        let snapshot = self.sequencer.snapshot()?;
        saving.handed = snapshot.number;
        Some(snapshot)
    }

    /// The snapshot of this number is written, and so are all before it.
    pub fn saved(&mut self, number: u64) {
        if let Some(saving) = &mut self.saving {
            saving.written = saving.written.max(number);
            self.sequencer.saved(number);
        }
    }

    /// A snapshot could not be written, and none after it will be.
    pub fn save_failed(&mut self, reason: String) {
        if let Some(saving) = self.saving.as_mut().filter(|saving| !saving.failed) {
            saving.failed = true;
            self.outputs.push_back(Output::GiveUp { reason });
        }
    }
}
