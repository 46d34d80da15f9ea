//! Event ids that are new by construction: a nonce per sequencer, the partition and a counter, as a UUIDv8. So the core
//! needs no randomness, and knows its own records by their ids alone.

use uuid::Uuid;

use crate::{AppendId, Partition};

const COUNTER_BITS: u32 = 42;
const PARTITION_BITS: u32 = 16;

#[derive(Debug)]
pub(super) struct EventIds {
    /// Everything but the counter.
    prefix: u128,
    next: u64,
}

impl EventIds {
    pub(super) fn new(nonce: u64, partition: Partition) -> Self {
        let partition = u16::try_from(partition.0).expect("a topic has at most 65536 partitions");
        // UUIDv8: 48 free bits, the version, 12 free bits, the variant, 62 free bits.
        let prefix = (u128::from(nonce >> 16) << 80)
            | (8 << 76)
            | (u128::from(nonce >> 4 & 0xfff) << 64)
            | (0b10 << 62)
            | (u128::from(nonce & 0xf) << (COUNTER_BITS + PARTITION_BITS))
            | (u128::from(partition) << COUNTER_BITS);
        Self { prefix, next: 0 }
    }

    pub(super) fn issue(&mut self) -> (AppendId, Uuid) {
        let id = AppendId(self.next);
        self.next += 1;
        assert!(self.next < 1 << COUNTER_BITS, "a sequencer appends at most 2^42 records");
        (id, Uuid::from_u128(self.prefix | u128::from(id.0)))
    }

    /// The id the next append will have: everything issued from now on is at or above it.
    pub(super) fn upcoming(&self) -> AppendId {
        AppendId(self.next)
    }

    /// The append of this sequencer that wrote the event, if one did.
    pub(super) fn append_of(&self, event_id: Uuid) -> Option<AppendId> {
        let id = event_id.as_u128();
        ((id ^ self.prefix) >> COUNTER_BITS == 0).then_some(AppendId(id as u64 & ((1 << COUNTER_BITS) - 1)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_uuids_of_version_8_and_name_their_append() {
        for nonce in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef] {
            for partition in [0, 7, 65535] {
                let mut ids = EventIds::new(nonce, Partition(partition));
                for n in 0..3 {
                    assert_eq!(ids.upcoming(), AppendId(n));
                    let (append, id) = ids.issue();
                    assert_eq!(append, AppendId(n));
                    assert_eq!(id.get_version_num(), 8);
                    assert_eq!(id.get_variant(), uuid::Variant::RFC4122);
                    assert_eq!(ids.append_of(id), Some(append));
                }
            }
        }
    }

    #[test]
    fn ids_of_other_nonces_and_partitions_are_others() {
        let mut seen = HashSet::new();
        for nonce in (0..64).map(|bit| 1_u64 << bit).chain([0]) {
            for partition in [0, 1, 2, 1024] {
                let mut ids = EventIds::new(nonce, Partition(partition));
                assert!(seen.insert(ids.issue().1));
                assert_eq!(ids.append_of(EventIds::new(!nonce, Partition(partition)).issue().1), None);
                assert_eq!(ids.append_of(Uuid::nil()), None);
            }
        }
    }
}
