//! What a member holds, for whoever writes its commits.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use event_reader::feed::Claim;
use ledger::Partition;

/// The partitions that one member holds now.
#[derive(Debug, Default)]
pub(in super::super) struct Claims(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    last: u64,
    epochs: BTreeMap<i32, u64>,
}

impl Claims {
    /// Claims `partition`; an earlier claim of it is void.
    pub(super) fn claim(&self, partition: i32) -> Claim {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.last += 1;
        let epoch = held.last;
        held.epochs.insert(partition, epoch);
        Claim { partition: Partition(partition), epoch }
    }

    pub(super) fn release(&self, partitions: &[i32]) {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.epochs.retain(|partition, _| !partitions.contains(partition));
    }

    pub(super) fn release_all(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).epochs.clear();
    }

    pub(in super::super) fn holds(&self, claim: Claim) -> bool {
        let held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.epochs.get(&claim.partition.0) == Some(&claim.epoch)
    }
}
