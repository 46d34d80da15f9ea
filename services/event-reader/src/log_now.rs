//! Which log a partition is of at this moment, and whether what was made of it before goes on in it.
//!
//! Promises: a partition that was made anew, or is another cluster's, is told from the one it was by its first record or by where
//! it ends; one that was moved with all its records is the one it was.

use std::time::Duration;

use contract::LogId;
use ledger::{LogRecord, Offset, Partition};

use crate::feed::{EndOffsets, Error, RangeReader};

/// How long after an end that is too low it is asked for again.
const AGAIN: Duration = Duration::from_millis(250);

/// Looks at the first records of a topic. Cheap to clone.
#[derive(Clone, Debug)]
pub struct LogLooks {
    ranges: RangeReader,
    ends: EndOffsets,
}

/// What was seen of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogNow {
    /// Of the first record; none if there is none.
    pub log: Option<LogId>,
    pub end: Offset,
}

/// How a partition is not the one that something was made of up to the offset `at`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtherLog {
    #[error("it was at offset {at} of log {was}, and this is log {is}")]
    Another { was: LogId, is: LogId, at: Offset },
    #[error("it was at offset {at} of {}, and there is no record here", named(*was))]
    Empty { was: Option<LogId>, at: Offset },
    #[error("it was at offset {at} of {}, which ends at offset {end} here", named(*was))]
    Short { was: Option<LogId>, at: Offset, end: Offset },
}

fn named(log: Option<LogId>) -> String {
    log.map_or_else(|| "a log".to_owned(), |log| format!("log {log}"))
}

impl LogNow {
    /// Whether what was made of the records of `log` below the offset `at` is made of this one. Before there were ids nothing
    /// but the end can tell.
    pub fn continues(self, log: Option<LogId>, at: Offset) -> Result<(), OtherLog> {
        match (log, self.log) {
            (Some(was), Some(is)) if was != is => Err(OtherLog::Another { was, is, at }),
            (Some(_), None) => Err(OtherLog::Empty { was: log, at }),
            (None, None) if at > 0 => Err(OtherLog::Empty { was: None, at }),
            _ if at > self.end => Err(OtherLog::Short { was: log, at, end: self.end }),
            _ => Ok(()),
        }
    }
}

impl LogLooks {
    /// `ranges` should be nobody else's: a look should not wait for long stretches.
    pub fn new(ranges: RangeReader, ends: EndOffsets) -> Self {
        Self { ranges, ends }
    }

    /// Looks whether what was made of the records of `log` below the offset `at` goes on in the partition, as
    /// [`LogNow::continues`] says. Where only its end speaks against that, it is asked again: who leads may just have begun to.
    pub async fn look(
        &self,
        partition: Partition,
        log: Option<LogId>,
        at: Offset,
    ) -> Result<Result<LogNow, OtherLog>, Error> {
        let now = self.at(partition).await?;
        match now.continues(log, at) {
            Err(OtherLog::Empty { .. } | OtherLog::Short { .. }) => tokio::time::sleep(AGAIN).await,
            seen => return Ok(seen.map(|()| now)),
        }
        let now = self.at(partition).await?;
        Ok(now.continues(log, at).map(|()| now))
    }

    /// The log that the partition begins with now. No end is asked for, which nobody confirms while most brokers are away. `None`: the
    /// first record is not to be seen where it should be, and [`LogLooks::look`] tells more.
    pub async fn beginning(&self, partition: Partition) -> Result<Option<LogId>, Error> {
        Ok(self.first(partition, 1).await?.map(|first| LogId::of_first(&first)))
    }

    /// What the partition is now.
    pub async fn at(&self, partition: Partition) -> Result<LogNow, Error> {
        let end = self.ends.of(partition).await?;
        if end <= 0 {
            return Ok(LogNow { log: None, end });
        }
        // One that is not there may have been left out: the log has gaps where nothing was ever readable.
        let first = match self.first(partition, 1).await? {
            Some(first) => Some(first),
            None => self.first(partition, end).await?,
        };
        let Some(first) = first else {
            let tried = format!("read the first record of partition {partition}");
            let problem = format!("it ends at offset {end} and shows none");
            return Err(Error::Unreachable { tried, servers: "its leader".to_owned(), problem });
        };
        Ok(LogNow { log: Some(LogId::of_first(&first)), end })
    }

    async fn first(&self, partition: Partition, to: Offset) -> Result<Option<LogRecord>, Error> {
        let mut batches = self.ranges.read(partition, 0, to)?;
        while let Some(batch) = batches.recv().await {
            if let Some(first) = batch?.into_iter().next() {
                return Ok(Some(first));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> Option<LogId> {
        LogId::from_number(number)
    }

    fn now(number: u64, end: Offset) -> LogNow {
        LogNow { log: id(number), end }
    }

    #[test]
    fn what_was_made_of_a_log_goes_on_in_it_and_in_no_other() {
        let (was, is) = (id(1).unwrap(), id(2).unwrap());
        for at in [0, 3, 7] {
            assert_eq!(now(1, 7).continues(id(1), at), Ok(()));
            assert_eq!(now(2, 7).continues(id(1), at), Err(OtherLog::Another { was, is, at }));
            assert_eq!(now(0, 0).continues(id(1), at), Err(OtherLog::Empty { was: id(1), at }));
        }
        assert_eq!(now(1, 7).continues(id(1), 8), Err(OtherLog::Short { was: id(1), at: 8, end: 7 }));
    }

    #[test]
    fn before_there_were_ids_only_the_end_tells() {
        assert_eq!(now(1, 7).continues(None, 7), Ok(()));
        assert_eq!(now(1, 7).continues(None, 8), Err(OtherLog::Short { was: None, at: 8, end: 7 }));
        assert_eq!(now(0, 0).continues(None, 1), Err(OtherLog::Empty { was: None, at: 1 }));
        assert_eq!(now(0, 0).continues(None, 0), Ok(()), "nothing was made of nothing");
    }

    #[tokio::test]
    async fn an_end_that_is_too_low_counts_when_it_is_told_twice() {
        for (second, expected) in [(5, true), (2, false)] {
            let (ends, asked) = EndOffsets::channel("t");
            std::thread::spawn(move || {
                for (number, question) in asked.into_iter().enumerate() {
                    question.answer(Ok(if number == 0 { 0 } else { second }));
                }
            });
            let (ranges, asked) = RangeReader::channel("t");
            std::thread::spawn(move || {
                for request in asked {
                    request.give(Ok(vec![LogRecord {
                        offset: 0,
                        timestamp_ms: 1,
                        key: "garbage".into(),
                        value: None,
                        headers: ledger::Headers::new(),
                    }]));
                }
            });
            let seen = LogLooks::new(ranges, ends).look(Partition(0), None, 5).await.unwrap();
            assert_eq!(seen.is_ok(), expected, "{seen:?}");
        }
    }

    #[tokio::test]
    async fn a_look_sees_the_first_record_also_where_offset_zero_was_left_out() {
        let record = |offset| LogRecord {
            offset,
            timestamp_ms: 1,
            key: "garbage".into(),
            value: None,
            headers: ledger::Headers::new(),
        };
        for (first, end) in [(0, 5), (3, 5)] {
            let (ends, asked) = EndOffsets::channel("t");
            std::thread::spawn(move || asked.into_iter().for_each(|question| question.answer(Ok(end))));
            let (ranges, asked) = RangeReader::channel("t");
            std::thread::spawn(move || {
                for request in asked {
                    if request.to > first {
                        request.give(Ok(vec![record(first), record(first + 1)]));
                    }
                }
            });
            let seen = LogLooks::new(ranges, ends).at(Partition(0)).await.unwrap();
            assert_eq!(seen, LogNow { log: Some(LogId::of_first(&record(first))), end });
        }
    }
}
