//! A topic as a whole: every record that is there now, and what the rule makes of it.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use ledger::{LogRecord, Offset, Partition, RecordKey};

use crate::PartitionReader;
use crate::feed::{EndOffsets, Error, RangeReader};

/// Partitions that are looked at side by side, each by a client of its own.
const AT_ONCE: usize = 8;

/// Reads a topic beside those who follow it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogReader {
    pub partitions: i32,
    pub ranges: RangeReader,
    pub ends: EndOffsets,
}

/// What a topic holds.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// The end offset of each partition.
    pub ends: BTreeMap<Partition, Offset>,
    pub records: u64,
    pub effective: u64,
    /// Lost races.
    pub void: u64,
    /// Keys that are not keys.
    pub garbage: u64,
    /// Versions no correct writer would write.
    pub violations: u64,
    /// Products with at least one effective record.
    pub products: u64,
}

impl LogReader {
    /// Shows `each` every record that is there now, partition after partition; where the partitions ended.
    pub async fn read(
        &self,
        mut each: impl FnMut(Partition, LogRecord),
    ) -> Result<BTreeMap<Partition, Offset>, Error> {
        let ends = self.ends.of_all(self.partitions).await?;
        let ends: BTreeMap<Partition, Offset> = (0..).map(Partition).zip(ends).collect();
        for (&partition, &end) in &ends {
            self.ranges.each(partition, 0, end, |record| each(partition, record)).await?;
        }
        Ok(ends)
    }

    /// Of each partition the first offset that was appended after a time, in milliseconds since 1970 by the log's own clock.
    /// It takes some round trips for each partition, and a topic may have hundreds; a reader reads one stretch at a time, so several
    /// `readers` of the topic share the work.
    pub async fn first_after(readers: &[Self], time_ms: i64) -> Result<Vec<Offset>, Error> {
        let Some(first) = readers.first() else { return Err(Error::Closed("look at the log".to_owned())) };
        let ends = first.ends.of_all(first.partitions).await?;
        let looks = (0..).map(Partition).zip(ends).zip(readers.iter().cycle());
        let looks =
            looks.map(|((partition, end), reader)| reader.first_of_partition(partition, end, time_ms));
        stream::iter(looks).buffered(readers.len()).try_collect().await
    }

    /// As many readers as are good for [`LogReader::first_after`], opened by `open`.
    pub fn several<E>(open: impl Fn() -> Result<Self, E>) -> Result<Vec<Self>, E> {
        let first = open()?;
        let more = usize::try_from(first.partitions).unwrap_or(1).min(AT_ONCE).saturating_sub(1);
        let mut readers = vec![first];
        for _ in 0..more {
            readers.push(open()?);
        }
        Ok(readers)
    }

    async fn first_of_partition(
        &self,
        partition: Partition,
        mut end: Offset,
        time_ms: i64,
    ) -> Result<Offset, Error> {
        // All below is not after it; everything from `end` on is.
        let mut below = 0;
        while below < end {
            let middle = below + (end - below) / 2;
            match self.first(partition, middle, end).await? {
                Some(record) if record.timestamp_ms <= time_ms => below = record.offset + 1,
                Some(_) | None => end = middle,
            }
        }
        Ok(end)
    }

    /// The first record at `from..to`.
    async fn first(
        &self,
        partition: Partition,
        from: Offset,
        to: Offset,
    ) -> Result<Option<LogRecord>, Error> {
        let mut batches = self.ranges.read(partition, from, to)?;
        while let Some(batch) = batches.recv().await {
            if let Some(first) = batch?.into_iter().next() {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }

    /// Judges every record that is there now; `each` sees the effective ones.
    pub async fn audit(
        &self,
        mut each: impl FnMut(Partition, &RecordKey, &LogRecord),
    ) -> Result<Audit, Error> {
        let mut audit = Audit::default();
        let mut readers: BTreeMap<Partition, PartitionReader> = BTreeMap::new();
        let read = self.read(|partition, record| {
            let reader = || PartitionReader::complete(partition, self.partitions);
            if let Some(judged) = readers.entry(partition).or_insert_with(reader).judge(&record)
                && !judged.skips
            {
                audit.products += u64::from(judged.key.version == 1);
                each(partition, &judged.key, &record);
            }
        });
        audit.ends = read.await?;
        for tally in readers.values_mut().map(PartitionReader::take_tally) {
            audit.records += tally.records;
            audit.effective += tally.effective;
            audit.void += tally.void.values().sum::<u64>();
            audit.garbage += tally.garbage;
            audit.violations += tally.violations;
        }
        Ok(audit)
    }
}
