//! Reading stretches of partitions, as `event_reader::feed` promises it.

use std::time::{Duration, Instant};

use crossbeam_channel::Receiver;
use event_reader::feed::{Error as FeedError, RangeReader, RangeRequest};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::Error;
use super::client::Connection;
use super::record::{WantedHeaders, log_record};
use super::tail::consumer;
use crate::config::KafkaConfig;

/// A batch ends with the record that makes it so many records or bytes: an encoded record may take 256 KiB, and a few batches of
/// them wait at a time.
const BATCH: usize = 1_000;
const BATCH_BYTES: usize = 1 << 20;
const POLL: Duration = Duration::from_millis(20);

/// Opens a reader of stretches of `topic`; a read fails after `patience` without a record. Does not wait for a connection.
pub fn open_ranges(config: &KafkaConfig, topic: &str, patience: Duration) -> Result<RangeReader, Error> {
    open(config, topic, "range", patience)
}

/// The same, for who reads single records: it asks the brokers for no more than they give at once, whatever comes behind them.
pub fn open_looks(config: &KafkaConfig, topic: &str, patience: Duration) -> Result<RangeReader, Error> {
    let mut config = config.clone();
    config.fetch_buffer_kib = 1;
    for (key, value) in [("fetch.message.max.bytes", "1024"), ("max.partition.fetch.bytes", "1024")] {
        config.properties.insert(key.to_owned(), value.to_owned());
    }
    open(&config, topic, "looks", patience)
}

fn open(
    config: &KafkaConfig,
    topic: &str,
    role: &'static str,
    patience: Duration,
) -> Result<RangeReader, Error> {
    let (ranges, asked) = RangeReader::channel(topic);
    let reader = Reader {
        consumer: consumer(config, role, None)?,
        topic: topic.to_owned(),
        servers: config.bootstrap_servers.clone(),
        patience,
    };
    std::thread::Builder::new().name("kafka-range".to_owned()).spawn(move || reader.run(&asked))?;
    Ok(ranges)
}

struct Reader {
    consumer: BaseConsumer<Connection>,
    topic: String,
    servers: String,
    patience: Duration,
}

impl Reader {
    fn run(&self, asked: &Receiver<RangeRequest>) {
        for read in asked {
            if let Err(error) = self.read(&read) {
                // Nobody may be waiting any more.
                read.give(Err(error));
            }
            if let Err(error) = self.consumer.unassign() {
                tracing::warn!(%error, "cannot stop reading a stretch");
            }
        }
    }

    fn read(&self, read: &RangeRequest) -> Result<(), FeedError> {
        let failed = |error: KafkaError| FeedError::Unreachable {
            tried: read.tried(&self.topic),
            servers: self.servers.clone(),
            problem: error.to_string(),
        };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, read.partition.0, KafkaOffset::Offset(read.from))
            .map_err(failed)?;
        self.consumer.assign(&list).map_err(failed)?;
        let (mut batch, mut bytes) = (Vec::new(), 0);
        let (mut heard, mut next) = (Instant::now(), read.from);
        let mut last_error =
            KafkaError::MessageConsumption(rdkafka::types::RDKafkaErrorCode::OperationTimedOut);
        loop {
            let ended = match self.consumer.poll(POLL) {
                Some(Ok(message)) => {
                    (heard, next) = (Instant::now(), message.offset() + 1);
                    if message.offset() < read.to {
                        let record = log_record(&message, WantedHeaders::All);
                        bytes += record.size();
                        batch.push(record);
                    }
                    next >= read.to
                }
                // The end that one broker sees. Who asks knows of records beyond it: another broker leads, or soon will.
                Some(Err(error @ KafkaError::PartitionEOF(_))) => {
                    last_error = error;
                    next >= read.to
                }
                Some(Err(error)) if is_final(&error) => return Err(failed(error)),
                Some(Err(error)) => {
                    last_error = error;
                    false
                }
                None if heard.elapsed() > self.patience => return Err(failed(last_error)),
                None => false,
            };
            if batch.len() >= BATCH || bytes >= BATCH_BYTES || (ended && !batch.is_empty()) {
                bytes = 0;
                if !read.give(Ok(std::mem::take(&mut batch))) {
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
