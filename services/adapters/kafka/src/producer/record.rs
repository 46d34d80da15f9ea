//! A plain producer, for dead letters and control records: idempotent, retries, awaited.

use bytes::Bytes;
use ledger::{Headers, Offset};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _};

use super::{COMPRESSION, owned};
use crate::Error;
use crate::client::{Connection, refused, settings};
use crate::config::KafkaConfig;

/// A dead letter is larger than its record, which may be as large as its topic takes.
const MAX_BYTES: &str = "2097152";

/// A message for any topic. Its key decides what it replaces where the topic is compacted.
#[derive(Clone, Debug)]
pub struct NewMessage {
    pub topic: String,
    /// None: Kafka's default partitioner (murmur2 of the key).
    pub partition: Option<i32>,
    pub key: Bytes,
    /// None: a tombstone.
    pub value: Option<Bytes>,
    pub headers: Headers,
}

/// Sends messages and waits for their acknowledgement by all replicas. Cheap to clone.
#[derive(Clone)]
pub struct RecordProducer {
    inner: Option<FutureProducer<Connection>>,
    servers: String,
}

impl std::fmt::Debug for RecordProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordProducer").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl RecordProducer {
    /// Does not wait for a connection.
    pub fn open(config: &KafkaConfig) -> Result<Self, Error> {
        let timeout = config.message_timeout_ms.to_string();
        let settings = settings(
            config,
            "record-producer",
            &[
                COMPRESSION,
                ("linger.ms", "0"),
                ("partitioner", "murmur2_random"),
                ("message.max.bytes", MAX_BYTES),
            ],
            &[("acks", "all"), ("enable.idempotence", "true"), ("message.timeout.ms", &timeout)],
        );
        let connection = Connection::new(config, "record-producer", None);
        let inner = settings.create_with_context(connection).map_err(|error| refused(config, &error))?;
        Ok(Self { inner: Some(inner), servers: config.bootstrap_servers.clone() })
    }

    /// Sends one message; its partition and offset when all replicas in sync have it.
    ///
    /// An error leaves open whether it was appended: send it again, under the same key.
    pub async fn send(&self, message: NewMessage) -> Result<(i32, Offset), Error> {
        let failed = |problem: String| Error::Unreachable {
            tried: format!("append to topic {}", message.topic),
            servers: self.servers.clone(),
            problem,
        };
        let Some(producer) = &self.inner else { return Err(failed("the producer is closed".to_owned())) };
        let mut record =
            FutureRecord::to(&message.topic).key(&message.key[..]).headers(owned(&message.headers));
        record.partition = message.partition;
        record.payload = message.value.as_deref();
        // Not `send`: it sleeps while the queue is full.
        let delivery = producer.send_result(record).map_err(|(error, _)| failed(error.to_string()))?;
        match delivery.await {
            Ok(Ok(delivered)) => Ok((delivered.partition, delivered.offset)),
            // What ended the producer says more than that this message was given up.
            Ok(Err((error, _))) => match producer.client().fatal_error() {
                Some((_, why)) => Err(failed(why)),
                None => Err(failed(error.to_string())),
            },
            Err(_canceled) => Err(failed("the producer is closed".to_owned())),
        }
    }
}

impl Drop for RecordProducer {
    /// librdkafka's end takes about 100 ms: not on a tokio worker.
    fn drop(&mut self) {
        let inner = self.inner.take();
        if let Err(error) =
            std::thread::Builder::new().name("kafka-retired".to_owned()).spawn(move || drop(inner))
        {
            tracing::error!(%error, "cannot start a thread to close a producer");
        }
    }
}
