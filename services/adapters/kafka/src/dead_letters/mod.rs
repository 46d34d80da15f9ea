//! [`DeadLetters`] on a compacted topic of the group's own, `<group>.dlq`: a letter's key is its record's place, a tombstone says
//! that it is resolved, and it lies in the partition of the same number.
//!
//! Promises what the port promises. The topic is made when the first letter is written, with as many partitions as the source
//! and its replication; one that is not there has no letters; one that could lose letters is refused.

mod record;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use event_reader::LogReader;
use event_reader::feed::Error as FeedError;
use futures::future::try_join_all;
use ledger::{Headers, LogRecord, Partition};
use tokio::sync::Mutex;
use toolkit::dead_letters::{DeadLetterError, DeadLetters, Letter, Lettered, Outline};

use super::admin::Expectation;
use super::producer::{NewMessage, RecordProducer};
use super::topics::{create_topic, delete_topic};
use super::{Error, describe_topic, open_reader, topic_partitions};
use crate::config::KafkaConfig;

/// A letter is a record and what is said of it: more than the record's own topic takes.
const MAX_MESSAGE_BYTES: &str = "2097152";
/// Letters and tombstones sent before the first is awaited.
const AT_ONCE: usize = 256;

/// The letters of one group.
#[derive(Debug)]
pub struct KafkaDeadLetters {
    config: KafkaConfig,
    /// The topic of the records.
    source: String,
    group: String,
    topic: String,
    partitions: i32,
    /// When it was last asked whether the topic is there, and what reads it if it is.
    reader: Mutex<(Option<Instant>, Option<LogReader>)>,
    producer: Mutex<Option<RecordProducer>>,
}

/// The topic of a group's dead letters.
pub fn dead_letter_topic(group: &str) -> String {
    format!("{group}.dlq")
}

impl KafkaDeadLetters {
    /// Of this group, which reads `source`, of so many partitions. Asks nobody yet.
    pub fn new(config: &KafkaConfig, source: &str, group: &str, partitions: i32) -> Self {
        Self {
            config: config.clone(),
            source: source.to_owned(),
            group: group.to_owned(),
            topic: dead_letter_topic(group),
            partitions,
            reader: Mutex::default(),
            producer: Mutex::default(),
        }
    }

    /// What reads the topic; `None`: it is not there now.
    async fn reader(&self) -> Result<Option<LogReader>, DeadLetterError> {
        let now = Instant::now();
        let mut known = self.reader.lock().await;
        // Whoever waited for an answer to a later question takes that one.
        if known.1.is_none() && known.0.is_none_or(|asked| asked < now) {
            let asked = Instant::now();
            known.1 = match topic_partitions(&self.config, &self.topic).await {
                Ok(partitions) if partitions == self.partitions => {
                    Some(open_reader(&self.config, &self.topic, partitions, None).map_err(failed)?)
                }
                Ok(partitions) => return Err(self.of_other_size(partitions)),
                Err(Error::NoTopic(_)) => None,
                Err(error) => return Err(failed(error)),
            };
            known.0 = Some(asked);
        }
        Ok(known.1.clone())
    }

    fn of_other_size(&self, partitions: i32) -> DeadLetterError {
        let problem = format!(
            "topic {} has {partitions} partitions, and {} has {}: delete it if nothing in it is needed, and the projectors make it anew",
            self.topic, self.source, self.partitions
        );
        DeadLetterError { problem, transient: false }
    }

    /// Shows `each` record of a partition, in order.
    async fn each(&self, partition: i32, each: impl FnMut(LogRecord)) -> Result<(), DeadLetterError> {
        let Some(reader) = self.reader().await? else { return Ok(()) };
        let partition = Partition(partition);
        let read = async {
            let end = reader.ends.of(partition).await?;
            reader.ranges.each(partition, 0, end, each).await
        };
        let read = read.await;
        if read.is_err() {
            // Somebody may have deleted the topic, or made it anew: it is looked for again.
            *self.reader.lock().await = (None, None);
        }
        read.map_err(unread)
    }

    /// Makes the topic, if it is not there.
    async fn make(&self) -> Result<(), DeadLetterError> {
        if self.reader().await?.is_some() {
            return Ok(());
        }
        let source = describe_topic(&self.config, &self.source).await.map_err(failed)?;
        let configs = source.configs.unwrap_or_default();
        let in_sync = configs.get("min.insync.replicas").map_or("1", String::as_str);
        let settings = [
            ("cleanup.policy", "compact"),
            ("min.insync.replicas", in_sync),
            ("unclean.leader.election.enable", "false"),
            ("max.message.bytes", MAX_MESSAGE_BYTES),
        ];
        let expected = Expectation {
            partitions: Some(self.partitions),
            replication: Some(source.replication),
            configs: settings.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
        };
        create_topic(&self.config, &self.topic, expected).await.map_err(failed)?;
        tracing::warn!(topic = self.topic, "made the topic of dead letters: a record could not be applied");
        Ok(())
    }

    async fn send(&self, messages: Vec<NewMessage>) -> Result<(), DeadLetterError> {
        let producer = {
            let mut producer = self.producer.lock().await;
            match &*producer {
                Some(producer) => producer.clone(),
                None => producer.insert(RecordProducer::open(&self.config).map_err(failed)?).clone(),
            }
        };
        let mut messages = messages.into_iter();
        loop {
            let some: Vec<_> = messages.by_ref().take(AT_ONCE).map(|it| producer.send(it)).collect();
            if some.is_empty() {
                return Ok(());
            }
            if let Err(error) = try_join_all(some).await {
                // A producer that has failed for good does not recover, and somebody may have deleted the topic.
                *self.producer.lock().await = None;
                *self.reader.lock().await = (None, None);
                return Err(failed(error));
            }
        }
    }

    fn message(
        &self,
        (partition, offset): (i32, i64),
        content: Option<(bytes::Bytes, Headers)>,
    ) -> NewMessage {
        let (value, headers) =
            content.map_or_else(Default::default, |(value, headers)| (Some(value), headers));
        NewMessage {
            topic: self.topic.clone(),
            partition: Some(partition),
            key: record::key(partition, offset),
            value,
            headers,
        }
    }
}

impl DeadLetters for KafkaDeadLetters {
    fn load(&self, partition: i32) -> Lettered<'_, Vec<Outline>> {
        Box::pin(async move {
            let mut found = BTreeMap::new();
            let each = |record: LogRecord| {
                let Some((_, offset)) = record::place(&record.key) else { return };
                match record.value.as_ref().and_then(|_| record::outline(&record)) {
                    Some(outline) => drop(found.insert(offset, outline)),
                    None if record.value.is_none() => drop(found.remove(&offset)),
                    None => tracing::warn!(
                        topic = self.topic,
                        "kafka.partition" = partition,
                        "kafka.offset" = record.offset,
                        "among the dead letters is a record that no Folio wrote: it is left alone"
                    ),
                }
            };
            self.each(partition, each).await?;
            Ok(found.into_values().collect())
        })
    }

    fn letters(&self, partition: i32, offsets: Vec<i64>) -> Lettered<'_, Vec<Letter>> {
        Box::pin(async move {
            let wanted: BTreeSet<i64> = offsets.into_iter().collect();
            let mut found = BTreeMap::new();
            let each = |record: LogRecord| {
                let place = record::place(&record.key);
                let Some((_, offset)) = place.filter(|(_, offset)| wanted.contains(offset)) else { return };
                if record.value.is_none() {
                    found.remove(&offset);
                } else if let Some(letter) = record::decode(record) {
                    found.insert(offset, letter);
                }
            };
            self.each(partition, each).await?;
            Ok(found.into_values().collect())
        })
    }

    fn park(&self, letters: Vec<Letter>) -> Lettered<'_, ()> {
        Box::pin(async move {
            self.make().await?;
            let message = |letter: &Letter| {
                let place = (letter.outline.partition, letter.outline.offset);
                self.message(place, Some(record::encode(letter, &self.group)))
            };
            self.send(letters.iter().map(message).collect()).await
        })
    }

    fn resolve(&self, partition: i32, offsets: Vec<i64>) -> Lettered<'_, ()> {
        Box::pin(async move {
            // Where there is no topic nothing is parked; a tombstone must not make one.
            if self.reader().await?.is_none() {
                return Ok(());
            }
            let tombstone = |offset: &i64| self.message((partition, *offset), None);
            self.send(offsets.iter().map(tombstone).collect()).await
        })
    }

    fn abolish(&self) -> Lettered<'_, ()> {
        Box::pin(async move {
            let mut known = self.reader.lock().await;
            *known = (None, None);
            match delete_topic(&self.config, &self.topic).await {
                Ok(true) => tracing::info!("{}: dropped", self.topic),
                Ok(false) => {}
                Err(error) => return Err(failed(error)),
            }
            Ok(())
        })
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: Error) -> DeadLetterError {
    // A topic that was not there a moment ago may be on its way.
    let transient = error.is_transient() || matches!(error, Error::NoTopic(_));
    DeadLetterError { problem: error.to_string(), transient }
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unread(error: FeedError) -> DeadLetterError {
    use toolkit::retry::Transient as _;
    DeadLetterError { problem: error.to_string(), transient: error.is_transient() }
}
