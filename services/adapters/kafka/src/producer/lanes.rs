//! Which partitions have records in flight, and since when they report nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ledger::Partition;

use super::raw::Report;

/// What each partition was sent and has reported. Only counted where records pass; time is looked at by [`Watch`].
/// Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Lanes(Arc<[Lane]>);

#[derive(Debug, Default)]
struct Lane {
    sent: AtomicU64,
    reported: AtomicU64,
}

/// Finds lanes that stand still, by looking again and again.
#[derive(Debug)]
pub(super) struct Watch {
    lanes: Lanes,
    /// By partition, the reports at the last look, and since when there are no more of them.
    seen: Vec<(u64, Instant)>,
}

impl Lanes {
    pub(super) fn new(partitions: i32) -> Self {
        Self((0..partitions).map(|_| Lane::default()).collect())
    }

    /// Wraps what takes reports, so that they are counted.
    pub(super) fn counting(&self, report: Report) -> Report {
        let lanes = self.clone();
        Arc::new(move |partition, append_id, outcome| {
            if let Some(lane) = lanes.of(partition) {
                lane.reported.fetch_add(1, Ordering::Release);
            }
            report(partition, append_id, outcome);
        })
    }

    /// A record is in flight from now on.
    pub(super) fn sent(&self, partition: Partition) {
        if let Some(lane) = self.of(partition) {
            lane.sent.fetch_add(1, Ordering::Release);
        }
    }

    pub(super) fn watch(&self) -> Watch {
        let now = Instant::now();
        Watch { lanes: self.clone(), seen: vec![(0, now); self.0.len()] }
    }

    fn of(&self, partition: Partition) -> Option<&Lane> {
        self.0.get(usize::try_from(partition.0).ok()?)
    }
}

impl Watch {
    /// Whether a partition with records in flight has reported nothing for so long; true once in that time.
    pub(super) fn is_one_stalled(&mut self, after: Duration) -> bool {
        let now = Instant::now();
        let mut is_stalled = false;
        for (lane, (seen, since)) in self.lanes.0.iter().zip(&mut self.seen) {
            // A record that passes meanwhile looks like one in flight; the next look puts that right.
            let reported = lane.reported.load(Ordering::Acquire);
            let is_idle = lane.sent.load(Ordering::Acquire) == reported;
            if is_idle || reported != *seen {
                (*seen, *since) = (reported, now);
            }
            if !is_idle && now.saturating_duration_since(*since) >= after {
                *since = now;
                is_stalled = true;
            }
        }
        is_stalled
    }
}

#[cfg(test)]
mod tests {
    use ledger::AppendId;

    use super::*;

    #[test]
    fn a_partition_is_stalled_while_it_owes_reports_and_gives_none() {
        let lanes = Lanes::new(2);
        let mut watch = lanes.watch();
        let report = lanes.counting(Arc::new(|_, _, _| {}));
        assert!(!watch.is_one_stalled(Duration::ZERO), "nothing is in flight");
        lanes.sent(Partition(1));
        lanes.sent(Partition(1));
        assert!(!watch.is_one_stalled(Duration::from_mins(1)));
        assert!(watch.is_one_stalled(Duration::ZERO));
        report(Partition(1), AppendId(1), Ok(5));
        assert!(watch.is_one_stalled(Duration::ZERO), "one is still owed");
        report(Partition(1), AppendId(2), Ok(6));
        assert!(!watch.is_one_stalled(Duration::ZERO));
    }
}
