//! The producer of records that the log's rule judges.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ledger::{AppendError, AppendId, NewRecord, Offset, Partition};
use rdkafka::ClientContext;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Message};
use rdkafka::producer::{
    BaseProducer, BaseRecord, NoCustomPartitioner, Producer, ProducerContext, PurgeConfig,
};
use rdkafka::types::RDKafkaErrorCode;

use super::lanes::Lanes;
use super::{COMPRESSION, owned};
use crate::Error;
use crate::client::{Connection, refused, settings};
use crate::config::KafkaConfig;

/// Takes the outcome of an append. Called on the polling thread.
pub(crate) type Report = Arc<dyn Fn(Partition, AppendId, Result<Offset, AppendError>) + Send + Sync>;

/// How long a partition may report nothing before what waits for it is given back, so that it is decided again.
const STALLED: Duration = Duration::from_secs(2);

/// How long one poll lasts. Reports are handled as they come; this bounds only how long it takes to see that a record
/// was refused at once, that the producer is to be replaced, or that it is over.
const POLL: Duration = Duration::from_millis(20);

/// Requests to one broker that may be without an answer; each holds records of one partition.
const MAX_IN_FLIGHT: &str = "4";

#[derive(Debug)]
pub(crate) struct RawProducer {
    shared: Arc<Shared>,
}

struct Shared {
    topic: String,
    settings: ClientConfig,
    connection: Connection,
    report: Report,
    current: ArcSwap<BaseProducer<Deliveries>>,
    /// Records that librdkafka did not take, reported by the polling thread: `send` runs on a thread that may be the
    /// only one to empty the inbox. At most as many as a caller has appends in flight.
    refused: Mutex<Vec<(Partition, AppendId, String)>>,
    lanes: Lanes,
    stop: AtomicBool,
    retire_after: Duration,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawProducer").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl RawProducer {
    pub(crate) fn open(
        config: &KafkaConfig,
        topic: &str,
        partitions: i32,
        connection: Connection,
        report: Report,
    ) -> Result<Self, Error> {
        let settings = log_settings(config);
        let lanes = Lanes::new(partitions);
        let report = lanes.counting(report);
        let deliveries = Deliveries::new(connection.clone(), Arc::clone(&report));
        let producer = settings.create_with_context(deliveries).map_err(|error| refused(config, &error))?;
        let shared = Arc::new(Shared {
            topic: topic.to_owned(),
            settings,
            connection,
            report,
            current: ArcSwap::from_pointee(producer),
            refused: Mutex::new(Vec::new()),
            lanes,
            stop: AtomicBool::new(false),
            retire_after: Duration::from_millis(config.message_timeout_ms + 1_000),
        });
        let polled = Arc::clone(&shared);
        std::thread::Builder::new().name("kafka-producer".to_owned()).spawn(move || polled.poll())?;
        Ok(Self { shared })
    }

    /// Hands the record to librdkafka. Never blocks; the outcome is reported exactly once, later, on another thread.
    pub(crate) fn send(&self, partition: Partition, append_id: AppendId, record: &NewRecord) {
        let key = record.key.to_string();
        let message = BaseRecord::with_opaque_to(&self.shared.topic, append_id.0 as usize)
            .partition(partition.0)
            .key(key.as_bytes())
            .payload(&record.value[..])
            .headers(owned(&record.headers));
        self.shared.lanes.sent(partition);
        if let Err((error, _)) = self.shared.current.load().send(message) {
            let mut refused = self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner);
            refused.push((partition, append_id, describe(&error)));
        }
    }
}

/// The settings of every producer whose records the log's rule judges.
pub(crate) fn log_settings(config: &KafkaConfig) -> ClientConfig {
    let (linger, timeout) = (config.linger_ms.to_string(), config.message_timeout_ms.to_string());
    let never = (2 * config.message_timeout_ms).min(300_000).to_string();
    settings(
        config,
        "log-producer",
        &[
            ("queue.buffering.max.messages", "100000"),
            ("queue.buffering.max.kbytes", "65536"),
            ("batch.num.messages", "10000"),
            COMPRESSION,
            // Without a bound every record is a request of its own as soon as it is made, and the broker is busy with
            // requests. With one, what comes meanwhile goes together.
            ("max.in.flight", MAX_IN_FLIGHT),
        ],
        &[
            ("acks", "all"),
            ("enable.idempotence", "false"),
            ("message.send.max.retries", "0"),
            // That is not all: a record that a leader refuses because it no longer leads is sent again uncounted,
            // though that leader may have appended it, and its successor have it. So the pause before it is longer
            // than any record lives.
            ("retry.backoff.ms", &never),
            ("retry.backoff.max.ms", &never),
            ("linger.ms", &linger),
            ("message.timeout.ms", &timeout),
        ],
    )
}

impl Drop for RawProducer {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
    }
}

impl Shared {
    fn poll(&self) {
        let mut watch = self.lanes.watch();
        while !self.stop.load(Ordering::Acquire) {
            let producer = self.current.load_full();
            producer.poll(POLL);
            self.report_refused();
            if watch.is_one_stalled(STALLED) {
                // What is on its way stays there. What is given back here was not sent, or waits to be sent again.
                producer.purge(PurgeConfig::default().queue().non_blocking());
            }
            if let Some((code, reason)) = producer.client().fatal_error() {
                tracing::error!(%code, reason, "the producer failed for good: making a new one");
                self.replace(producer);
            }
        }
        let last = self.current.load_full();
        settle(&last, self.retire_after);
        self.report_refused();
    }

    fn report_refused(&self) {
        let refused = std::mem::take(&mut *self.refused.lock().unwrap_or_else(PoisonError::into_inner));
        for (partition, append_id, reason) in refused {
            (self.report)(partition, append_id, Err(AppendError::Unknown(reason)));
        }
    }

    /// Outstanding records of the old producer are reported by it, on a thread of its own.
    fn replace(&self, old: Arc<BaseProducer<Deliveries>>) {
        let deliveries = Deliveries::new(self.connection.clone(), Arc::clone(&self.report));
        match self.settings.create_with_context(deliveries) {
            Ok(producer) => self.current.store(Arc::new(producer)),
            Err(error) => {
                tracing::error!(%error, "cannot make a new producer: trying again");
                return;
            }
        }
        let retire_after = self.retire_after;
        let retire = move || settle(&old, retire_after);
        if let Err(error) = std::thread::Builder::new().name("kafka-retired".to_owned()).spawn(retire) {
            tracing::error!(%error, "cannot start a thread to retire a producer");
        }
    }
}

/// Polls until everything in flight is reported; what is left after `within` is reported by the producer's end.
fn settle(producer: &BaseProducer<Deliveries>, within: Duration) {
    let until = Instant::now() + within;
    while producer.in_flight_count() > 0 && Instant::now() < until {
        producer.poll(POLL);
    }
}

fn describe(error: &KafkaError) -> String {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => {
            "queue full: records wait longer than they are taken by Kafka".to_owned()
        }
        _ => error.to_string(),
    }
}

/// The context of the producer: passes delivery reports on.
struct Deliveries {
    connection: Connection,
    report: Report,
    /// Whether it was told that records are refused; until one is taken again.
    is_told: AtomicBool,
}

impl Deliveries {
    fn new(connection: Connection, report: Report) -> Self {
        Self { connection, report, is_told: AtomicBool::new(false) }
    }

    /// Tells once what an operator has to mend: the answer of a command says only that its outcome is not known.
    fn tell(&self, error: &KafkaError) {
        let is_refused = matches!(
            error.rdkafka_error_code(),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed)
        );
        if is_refused && !self.is_told.swap(true, Ordering::Relaxed) {
            tracing::error!(%error, "Kafka refuses records: the authorization for Write on the topic is missing");
        }
    }
}

impl ClientContext for Deliveries {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, config: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.connection.generate_oauth_token(config)
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.connection.log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.connection.error(error, reason);
    }
}

impl ProducerContext<NoCustomPartitioner> for Deliveries {
    /// The append's id; the partition stands in the message.
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, append_id: usize) {
        let (partition, outcome) = match result {
            Ok(message) if message.offset() >= 0 => {
                self.is_told.store(false, Ordering::Relaxed);
                (message.partition(), Ok(message.offset()))
            }
            Ok(message) => (message.partition(), Err("the report names no offset".to_owned())),
            Err((error, message)) => {
                self.tell(error);
                (message.partition(), Err(describe(error)))
            }
        };
        (self.report)(
            Partition(partition),
            AppendId(append_id as u64),
            outcome.map_err(AppendError::Unknown),
        );
    }
}
