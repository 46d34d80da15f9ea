//! Which records of one partition count. Promises `ledger`'s verdicts from any start, without stored state.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ledger::{Judgement, LogRecord, Offset, Partition, Reader, RecordKey, Subject, VoidReason};
use toolkit::retry::{GaveUp, Retry};

use crate::feed::{Error, RangeReader};

/// Garbage is counted always and logged this often at most.
const REPORT_GARBAGE: Duration = Duration::from_secs(10);

/// Judges the records of one partition, from some start on: for each batch [`look_back`](Self::look_back), then
/// [`judge`](Self::judge) its records in order, then report the [`position`](Self::position).
#[derive(Debug)]
pub struct PartitionReader {
    partition: Partition,
    reader: Reader,
    tally: Tally,
    /// When garbage was last logged.
    reported_garbage: Option<Instant>,
}

/// A record that counts, by what the reader knows; or one that skips versions, which means that the reader was misled by a
/// forged one, or that this one is forged.
#[derive(Debug)]
pub struct Judged<'r> {
    pub key: RecordKey,
    pub record: &'r LogRecord,
    pub skips: bool,
}

/// What records were to the reader.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pub records: u64,
    pub effective: u64,
    pub void: BTreeMap<VoidReason, u64>,
    /// Their keys say nothing.
    pub garbage: u64,
    /// They skip versions.
    pub violations: u64,
}

impl PartitionReader {
    /// Knows nothing and judges from `start` on.
    pub fn new(partition: Partition, partitions: i32, start: Offset) -> Self {
        Self::of(partition, Reader::new(partition, partitions, start))
    }

    /// Judges from offset zero on and takes nobody at his word; may be shown the records of some products only.
    pub fn complete(partition: Partition, partitions: i32) -> Self {
        Self::of(partition, Reader::complete(partition, partitions))
    }

    fn of(partition: Partition, reader: Reader) -> Self {
        Self { partition, reader, tally: Tally::default(), reported_garbage: None }
    }

    /// Reads the keys back to the smallest basis that the records need.
    pub async fn look_back(
        &mut self,
        records: &[LogRecord],
        ranges: &RangeReader,
        retry: &Retry,
    ) -> Result<(), GaveUp<Error>> {
        let keys = records.iter().map(|record| (record.offset, &*record.key));
        let Some(from) = self.reader.needs(keys) else { return Ok(()) };
        let (to, partition) = (self.reader.floor(), self.partition);
        tracing::debug!("kafka.partition" = partition.0, from, to, "looking back");
        let keys = || async {
            let mut keys = Vec::new();
            // The values are dropped at once: a look-back can be long.
            let read = ranges.each(partition, from, to, |record| keys.push((record.offset, record.key)));
            read.await.map(|()| keys)
        };
        for (offset, key) in retry.run("look back", keys).await? {
            self.reader.look_back(offset, &key);
        }
        self.reader.looked_back_to(from);
        Ok(())
    }

    /// The next record, if it counts or skips versions. Every record is tallied.
    pub fn judge<'r>(&mut self, record: &'r LogRecord) -> Option<Judged<'r>> {
        let (partition, offset) = (self.partition.0, record.offset);
        self.tally.records += 1;
        match self.reader.judge(offset, &record.key) {
            Judgement::Effective(key) => {
                self.tally.effective += 1;
                return Some(Judged { key, record, skips: false });
            }
            Judgement::Violation(key) => {
                self.tally.violations += 1;
                return Some(Judged { key, record, skips: true });
            }
            Judgement::Void(reason) => {
                *self.tally.void.entry(reason).or_default() += 1;
                tracing::debug!(
                    "kafka.partition" = partition,
                    "kafka.offset" = offset,
                    ?reason,
                    "a void record"
                );
            }
            Judgement::Garbage(error) => {
                self.tally.garbage += 1;
                if self.reported_garbage.is_none_or(|reported| reported.elapsed() >= REPORT_GARBAGE) {
                    self.reported_garbage = Some(Instant::now());
                    let problem = error.to_string();
                    tracing::warn!(
                        "kafka.partition" = partition,
                        "kafka.offset" = offset,
                        problem,
                        "a record whose key says nothing"
                    );
                }
            }
            Judgement::NeedsLookBack(basis) => {
                let problem = "a record was not looked back for";
                tracing::error!("kafka.partition" = partition, "kafka.offset" = offset, basis, "{problem}");
            }
            Judgement::Seen => {}
        }
        None
    }

    /// What was judged since this was asked last.
    pub fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }

    /// Everything below `position` was read.
    pub fn position(&mut self, position: Offset) {
        self.reader.position(position);
    }

    /// A complete reader has found that the product has this version now.
    pub fn corrected(&mut self, subject: &Subject, version: u64) {
        self.reader.corrected(subject, version);
    }
}
