//! Real time against the order of the log: what had been acknowledged before a request was sent, and what was first asked
//! for after its answer came.

use std::collections::BTreeMap;
use std::time::Duration;

/// Offsets of one partition by time, with the largest up to, or the smallest from, each time on.
type Line = Vec<(Duration, i64)>;

#[derive(Debug, Default)]
pub(super) struct Bounds {
    acknowledged: BTreeMap<i32, Line>,
    asked: BTreeMap<i32, Line>,
}

impl Bounds {
    /// A record was acknowledged at `time`.
    pub(super) fn acknowledged(&mut self, partition: i32, time: Duration, offset: i64) {
        self.acknowledged.entry(partition).or_default().push((time, offset));
    }

    /// The command of a record was first sent at `time`.
    pub(super) fn asked(&mut self, partition: i32, time: Duration, offset: i64) {
        self.asked.entry(partition).or_default().push((time, offset));
    }

    /// Call it when all is in, before the questions below.
    pub(super) fn sort(&mut self) {
        for line in self.acknowledged.values_mut() {
            line.sort_unstable();
            let mut largest = i64::MIN;
            for (_, offset) in line.iter_mut() {
                largest = largest.max(*offset);
                *offset = largest;
            }
        }
        for line in self.asked.values_mut() {
            line.sort_unstable();
            let mut smallest = i64::MAX;
            for (_, offset) in line.iter_mut().rev() {
                smallest = smallest.min(*offset);
                *offset = smallest;
            }
        }
    }

    /// The highest offset acknowledged before `sent`; -1 if none.
    pub(super) fn before(&self, partition: i32, sent: Duration) -> i64 {
        let Some(line) = self.acknowledged.get(&partition) else { return -1 };
        let count = line.partition_point(|(time, _)| *time < sent);
        count.checked_sub(1).map_or(-1, |last| line[last].1)
    }

    /// The lowest offset of a record whose command was first sent after `answered`.
    pub(super) fn after(&self, partition: i32, answered: Duration) -> i64 {
        let Some(line) = self.asked.get(&partition) else { return i64::MAX };
        let first = line.partition_point(|(time, _)| *time <= answered);
        line.get(first).map_or(i64::MAX, |(_, offset)| *offset)
    }
}
