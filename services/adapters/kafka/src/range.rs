//! Reading a stretch of a partition: for looking back, redriving and history.
//!
//! Promises: every record from `from` on and below `to` (or the end, if that comes first), in order, in batches, and
//! no more memory than a few batches whatever the length; an error instead of a silent gap.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use ledger::{LogRecord, Offset, Partition};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};
use tokio::sync::mpsc;

use super::Error;
use super::client::Connection;
use super::record::{WantedHeaders, log_record};
use super::tail::consumer;
use crate::config::KafkaConfig;

/// Reads that may wait.
const WAITING: usize = 256;
const BATCH: usize = 1_000;
const BATCHES: usize = 4;
const POLL: Duration = Duration::from_millis(20);

/// Reads stretches of one topic, one after another. Cheap to clone; its thread ends with the last clone.
#[derive(Clone, Debug)]
pub struct RangeReader {
    topic: String,
    reads: Sender<Read>,
}

#[derive(Debug)]
struct Read {
    partition: Partition,
    from: Offset,
    to: Offset,
    batches: mpsc::Sender<Result<Vec<LogRecord>, Error>>,
}

impl RangeReader {
    /// Does not wait for a connection.
    pub fn open(config: &KafkaConfig, topic: &str) -> Result<Self, Error> {
        let consumer = consumer(config, "range", None)?;
        let (reads, asked) = bounded(WAITING);
        let reader = Reader {
            consumer,
            topic: topic.to_owned(),
            servers: config.bootstrap_servers.clone(),
            patience: config.request_timeout(),
        };
        std::thread::Builder::new().name("kafka-range".to_owned()).spawn(move || reader.run(&asked))?;
        Ok(Self { topic: topic.to_owned(), reads })
    }

    /// The records at `from..to`, in batches. The channel closes after the last batch; dropping it ends the read.
    pub fn read(
        &self,
        partition: Partition,
        from: Offset,
        to: Offset,
    ) -> Result<mpsc::Receiver<Result<Vec<LogRecord>, Error>>, Error> {
        let (batches, records) = mpsc::channel(BATCHES);
        if from >= to {
            return Ok(records);
        }
        let tried = || format!("read {}..{to} of partition {} of {}", from, partition.0, self.topic);
        match self.reads.try_send(Read { partition, from, to, batches }) {
            Ok(()) => Ok(records),
            Err(TrySendError::Disconnected(_)) => Err(Error::Closed(tried())),
            Err(TrySendError::Full(_)) => Err(Error::Unreachable {
                tried: tried(),
                servers: "its leader".to_owned(),
                problem: format!("{WAITING} other reads wait"),
            }),
        }
    }

    /// The records at `from..to` at once: for stretches whose length the caller bounds.
    pub async fn read_all(
        &self,
        partition: Partition,
        from: Offset,
        to: Offset,
    ) -> Result<Vec<LogRecord>, Error> {
        let mut batches = self.read(partition, from, to)?;
        let mut records = Vec::new();
        while let Some(batch) = batches.recv().await {
            records.extend(batch?);
        }
        Ok(records)
    }
}

struct Reader {
    consumer: BaseConsumer<Connection>,
    topic: String,
    servers: String,
    patience: Duration,
}

impl Reader {
    fn run(&self, asked: &Receiver<Read>) {
        for read in asked {
            if let Err(error) = self.read(&read) {
                // Nobody may be waiting any more.
                drop(read.batches.blocking_send(Err(error)));
            }
            if let Err(error) = self.consumer.unassign() {
                tracing::warn!(%error, "cannot stop reading a stretch");
            }
        }
    }

    fn read(&self, read: &Read) -> Result<(), Error> {
        let failed = |error: KafkaError| {
            let tried = format!(
                "read {}..{} of partition {} of {}",
                read.from, read.to, read.partition.0, self.topic
            );
            Error::unreachable(tried, &self.servers, &error)
        };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, read.partition.0, KafkaOffset::Offset(read.from))
            .map_err(failed)?;
        self.consumer.assign(&list).map_err(failed)?;
        let mut batch = Vec::new();
        let mut heard = Instant::now();
        let mut last_error =
            KafkaError::MessageConsumption(rdkafka::types::RDKafkaErrorCode::OperationTimedOut);
        loop {
            let ended = match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    heard = Instant::now();
                    if message.offset() < read.to {
                        batch.push(log_record(&message, WantedHeaders::All));
                    }
                    message.offset() + 1 >= read.to
                }
                Some(Err(KafkaError::PartitionEOF(_))) => true,
                Some(Err(error)) if is_final(&error) => return Err(failed(error)),
                Some(Err(error)) => {
                    last_error = error;
                    false
                }
                None if heard.elapsed() > self.patience => return Err(failed(last_error)),
                None => false,
            };
            if batch.len() >= BATCH || (ended && !batch.is_empty()) {
                if read.batches.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
                    return Ok(());
                }
                heard = Instant::now();
            }
            if ended {
                return Ok(());
            }
        }
    }
}

fn is_final(error: &KafkaError) -> bool {
    use super::tail::fault::{Fault, of};
    matches!(of(error), Fault::OutOfRange | Fault::Truncated | Fault::Final(_))
}
