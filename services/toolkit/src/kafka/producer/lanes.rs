//! Which partitions have records under way, and since when they report nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ledger::Partition;

use super::raw::Report;

/// Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Lanes(Arc<Mutex<HashMap<i32, Lane>>>);

#[derive(Debug)]
struct Lane {
    under_way: u64,
    quiet_since: Instant,
}

impl Lanes {
    /// Wraps what takes reports, so that they are counted.
    pub(super) fn counting(&self, report: Report) -> Report {
        let lanes = self.clone();
        Arc::new(move |partition, append_id, outcome| {
            lanes.reported(partition);
            report(partition, append_id, outcome);
        })
    }

    /// A record is under way from now on.
    pub(super) fn sent(&self, partition: Partition) {
        let mut lanes = self.lock();
        let lane =
            lanes.entry(partition.0).or_insert_with(|| Lane { under_way: 0, quiet_since: Instant::now() });
        if lane.under_way == 0 {
            lane.quiet_since = Instant::now();
        }
        lane.under_way += 1;
    }

    fn reported(&self, partition: Partition) {
        if let Some(lane) = self.lock().get_mut(&partition.0) {
            lane.under_way = lane.under_way.saturating_sub(1);
            lane.quiet_since = Instant::now();
        }
    }

    /// Whether a partition with records under way has reported nothing for so long; true once in that time.
    pub(super) fn is_one_stalled(&self, after: Duration) -> bool {
        let now = Instant::now();
        let mut is_stalled = false;
        for lane in self.lock().values_mut().filter(|it| it.under_way > 0) {
            if now.saturating_duration_since(lane.quiet_since) >= after {
                lane.quiet_since = now;
                is_stalled = true;
            }
        }
        is_stalled
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i32, Lane>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use ledger::AppendId;

    use super::*;

    #[test]
    fn a_partition_is_stalled_while_it_owes_reports_and_gives_none() {
        let lanes = Lanes::default();
        let report = lanes.counting(Arc::new(|_, _, _| {}));
        assert!(!lanes.is_one_stalled(Duration::ZERO), "nothing is under way");
        lanes.sent(Partition(1));
        lanes.sent(Partition(1));
        assert!(!lanes.is_one_stalled(Duration::from_mins(1)));
        assert!(lanes.is_one_stalled(Duration::ZERO));
        report(Partition(1), AppendId(1), Ok(5));
        assert!(lanes.is_one_stalled(Duration::ZERO), "one is still owed");
        report(Partition(1), AppendId(2), Ok(6));
        assert!(!lanes.is_one_stalled(Duration::ZERO));
    }
}
