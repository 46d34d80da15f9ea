//! Which log this instance serves: told by the first record of each partition, and never another one.
//!
//! Promise: as soon as a partition is seen to be of another log than it was, nothing is decided any more: states of one log must
//! not answer for another, and nothing may be appended to it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use event_reader::OtherLog;
use ledger::{LogId, Offset, Partition};

use super::health::PartitionStatus;

/// What to do about it, of an instance that runs.
const REMEDY: &str = "bring the topic back, or configure the topic or the cluster that is meant, and restart; if this one is \
    meant, restart with cache.take_new_log (docs/operating.md, \"A log that was replaced\")";

/// The logs of the partitions. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServedLog(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// Told when it is another one.
    board: PartitionStatus,
    /// By partition, as numbers; 0: not known.
    logs: OnceLock<Box<[AtomicU64]>>,
    replaced: OnceLock<String>,
}

impl ServedLog {
    pub(super) fn new(board: PartitionStatus) -> Self {
        Self(Arc::new(Shared { board, logs: OnceLock::new(), replaced: OnceLock::new() }))
    }

    /// What is known of so many partitions when the log is opened.
    pub(super) fn open(&self, partitions: i32, known: &BTreeMap<i32, LogId>) {
        let number = |partition| AtomicU64::new(known.get(&partition).map_or(0, |log| log.number()));
        self.0.logs.get_or_init(|| (0..partitions).map(number).collect());
    }

    /// Which log the partition is of; none while it has no records.
    pub fn of(&self, partition: Partition) -> Option<LogId> {
        LogId::from_number(self.place(partition)?.load(Ordering::Acquire))
    }

    /// All that are known.
    pub(crate) fn all(&self) -> BTreeMap<i32, LogId> {
        let partitions = self.0.logs.get().map_or(0, |logs| logs.len() as i32);
        (0..partitions).filter_map(|partition| Some((partition, self.of(Partition(partition))?))).collect()
    }

    /// The partition, applied below `at`, was seen to begin with a record of this log.
    pub(crate) fn shows(&self, partition: Partition, is: LogId, at: Offset) {
        let Some(place) = self.place(partition) else { return };
        let known = place.compare_exchange(0, is.number(), Ordering::AcqRel, Ordering::Acquire);
        if let Some(was) = known.err().and_then(LogId::from_number).filter(|was| *was != is) {
            self.replaced_by(partition, OtherLog::Another { was, is, at });
        }
    }

    /// The partition was seen to have no records at all.
    pub(super) fn shows_none(&self, partition: Partition) {
        if let Some(was) = self.of(partition) {
            self.replaced_by(partition, OtherLog::Empty { was: Some(was), at: 0 });
        }
    }

    /// From now on nothing is decided.
    pub(crate) fn replaced_by(&self, partition: Partition, by: OtherLog) {
        let mut is_news = false;
        let reason = self.0.replaced.get_or_init(|| {
            is_news = true;
            format!("the log is not the one that was served: partition {partition}: {by}; {REMEDY}")
        });
        self.0.board.stop(reason);
        if is_news {
            tracing::error!(partition = partition.0, "{reason}");
        }
    }

    /// Why nothing is decided any more, if so.
    pub fn replaced(&self) -> Option<&str> {
        self.0.replaced.get().map(String::as_str)
    }

    fn place(&self, partition: Partition) -> Option<&AtomicU64> {
        self.0.logs.get()?.get(usize::try_from(partition.0).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use toolkit::lifecycle::Lifecycle;

    use super::*;

    fn id(number: u64) -> LogId {
        LogId::from_number(number).unwrap()
    }

    fn served(known: &[(i32, u64)]) -> (ServedLog, Lifecycle) {
        let lifecycle = Lifecycle::new().without_signals();
        let board = PartitionStatus::new(lifecycle.readiness().dependency("events"));
        let served = ServedLog::new(board.clone());
        board.open(2);
        (0..2).for_each(|partition| board.caught_up(Partition(partition)));
        assert!(lifecycle.readiness().is_ready());
        served.open(2, &known.iter().map(|(partition, log)| (*partition, id(*log))).collect());
        (served, lifecycle)
    }

    #[test]
    fn a_log_is_learned_once_and_another_one_ends_it() {
        let (served, _lifecycle) = served(&[(0, 7)]);
        served.shows(Partition(0), id(7), 3);
        served.shows_none(Partition(1));
        served.shows(Partition(1), id(8), 1);
        assert_eq!(served.all(), BTreeMap::from([(0, id(7)), (1, id(8))]));
        assert_eq!(served.replaced(), None);
        served.shows(Partition(1), id(9), 5);
        let reason = served.replaced().unwrap();
        for part in ["partition 1", &id(8).to_string(), &id(9).to_string(), "cache.take_new_log"] {
            assert!(reason.contains(part), "{reason}");
        }
        assert_eq!(served.of(Partition(1)), Some(id(8)), "it stays the one that was served");
    }

    #[test]
    fn a_log_without_its_records_is_another_one() {
        let (served, lifecycle) = served(&[(0, 7)]);
        served.shows_none(Partition(0));
        // Whoever catches up later does not make it ready again.
        served.0.board.caught_up(Partition(1));
        assert!(!lifecycle.readiness().is_ready());
        assert!(served.replaced().unwrap().contains("there is no record here"));
    }
}
