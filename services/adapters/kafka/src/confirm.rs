//! Whether a partition's leader still is its leader, as far as anyone but itself can tell.
//!
//! A leader that was frozen, or cut off, while others elected another one does not know it: until it hears of it, it
//! answers where "its" log ends. Records that its successor acknowledged are missing there. But each of these lies on as
//! many replicas as `min.insync.replicas` says before it is acknowledged, and a broker that takes such a record knows
//! its leader. So: ask another broker first who leads; with three replicas of which two are in sync, a broker that is
//! not the leader, or the leader itself, knows of the last acknowledged record. librdkafka then asks the leader with the
//! highest epoch that it was ever told. (With fewer replicas in sync than more than half, no one can know.)

use std::collections::BTreeSet;

/// What one broker said of one partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Said {
    pub(super) partition: i32,
    pub(super) leader: i32,
    pub(super) replicas: usize,
}

/// Leaders that are still to be confirmed.
#[derive(Debug)]
pub(super) struct Confirmation {
    open: BTreeSet<i32>,
}

impl Confirmation {
    pub(super) fn of(partitions: impl Iterator<Item = i32>) -> Self {
        Self { open: partitions.collect() }
    }

    /// Takes what the broker `from` answered. A partition with one replica needs no confirmation: nobody else can lead it.
    pub(super) fn heard(&mut self, from: i32, said: impl Iterator<Item = Said>) {
        for Said { partition, leader, replicas } in said {
            if replicas <= 1 || (leader >= 0 && leader != from) {
                self.open.remove(&partition);
            }
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.open.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(leaders: &[(i32, i32)], replicas: usize) -> impl Iterator<Item = Said> {
        leaders.iter().map(move |&(partition, leader)| Said { partition, leader, replicas })
    }

    #[test]
    fn a_leaders_own_word_confirms_only_the_others() {
        let mut confirmation = Confirmation::of(0..3);
        confirmation.heard(1, said(&[(0, 1), (1, 2), (2, 3)], 3));
        assert!(!confirmation.is_complete());
        confirmation.heard(1, said(&[(0, 1), (1, 2), (2, 3)], 3));
        assert!(!confirmation.is_complete(), "repeating it makes it no better");
        confirmation.heard(3, said(&[(0, 1), (1, 2), (2, 3)], 3));
        assert!(confirmation.is_complete());
    }

    #[test]
    fn no_leader_is_not_confirmed_and_a_partition_of_one_replica_needs_no_confirmation() {
        let mut confirmation = Confirmation::of(0..1);
        confirmation.heard(2, said(&[(0, -1)], 3));
        assert!(!confirmation.is_complete());
        confirmation.heard(1, said(&[(0, 1)], 1));
        assert!(confirmation.is_complete());
    }
}
