//! [`Journal`] on a topic of one partition.
//!
//! Promises what the port promises. The topic deletes and compacts nothing, so that a record which is appended twice cannot take
//! the place of its first copy.

use bytes::Bytes;
use event_reader::LogReader;
use ledger::{Headers, Partition};
use toolkit::journal::{Entry, Journal, JournalError, Journaled};

use super::producer::{NewMessage, RecordProducer};
use super::{Error, Expectation, open_reader, verify_topic};
use crate::config::KafkaConfig;

/// The only partition there is.
const ALL: Partition = Partition(0);

/// A journal on Kafka.
#[derive(Debug)]
pub struct KafkaJournal {
    topic: String,
    reader: LogReader,
    producer: RecordProducer,
}

impl KafkaJournal {
    /// Opens the topic, if it is what a journal needs.
    pub async fn open(config: &KafkaConfig, topic: &str) -> Result<Self, Error> {
        verify_topic(config, topic, &Expectation::journal()).await?;
        let reader = open_reader(config, topic, 1, None)?;
        Ok(Self { topic: topic.to_owned(), reader, producer: RecordProducer::open(config)? })
    }
}

impl Journal for KafkaJournal {
    fn append(&self, key: String, value: Vec<u8>) -> Journaled<'_, ()> {
        let message = NewMessage {
            topic: self.topic.clone(),
            partition: Some(ALL.0),
            key: key.into(),
            value: Some(value.into()),
            headers: Headers::default(),
        };
        Box::pin(async move {
            self.producer.send(message).await.map_err(|error| JournalError(error.to_string()))?;
            Ok(())
        })
    }

    fn read(&self, from: i64) -> Journaled<'_, (Vec<Entry>, i64)> {
        Box::pin(async move {
            let failed = |error: event_reader::feed::Error| JournalError(error.to_string());
            let end = self.reader.ends.of(ALL).await.map_err(failed)?;
            if end < from {
                let problem = format!(
                    "{} ends at {end}, and was read up to {from}: it was made anew; start the process again",
                    self.topic
                );
                return Err(JournalError(problem));
            }
            let mut entries = Vec::new();
            let read = self.reader.ranges.each(ALL, from, end, |record| {
                entries.push(Entry {
                    offset: record.offset,
                    appended_ms: record.timestamp_ms,
                    key: record.key,
                    value: record.value.unwrap_or_else(Bytes::new),
                });
            });
            read.await.map_err(failed)?;
            Ok((entries, end))
        })
    }
}
