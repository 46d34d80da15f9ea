//! The bare producer: one thread sends, one polls, as in the log's adapter.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use ledger::{LogRecord, Partition};
use rdkafka::ClientContext;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, NoCustomPartitioner, Producer, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::{BareError, PATIENCE};
use crate::config::KafkaConfig;
use crate::producer::{log_settings, owned};

/// How long one poll lasts; deliveries are handled as they come.
const POLL: Duration = Duration::from_millis(20);

/// Sends records as fast as librdkafka and the broker take them.
pub struct BareProducer {
    producer: Arc<BaseProducer<Counting>>,
    counts: Arc<Counts>,
    topic: String,
    sent: usize,
    polling: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Counts {
    start: Instant,
    delivered: AtomicUsize,
    failed: AtomicUsize,
    /// The sender waits for this many deliveries.
    wanted: AtomicUsize,
    sender: ArcSwapOption<std::thread::Thread>,
    /// Whether the time of a delivery matters, and the last one's, in nanoseconds since `start`.
    timed: AtomicBool,
    last_ns: AtomicU64,
    stop: AtomicBool,
}

struct Counting(Arc<Counts>);

impl std::fmt::Debug for BareProducer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BareProducer").field("topic", &self.topic).finish_non_exhaustive()
    }
}

impl ClientContext for Counting {}

impl ProducerContext<NoCustomPartitioner> for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let counts = &self.0;
        if result.is_err() {
            counts.failed.fetch_add(1, Ordering::Relaxed);
        }
        if counts.timed.load(Ordering::Relaxed) {
            counts.last_ns.store(counts.start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        }
        let delivered = counts.delivered.fetch_add(1, Ordering::AcqRel) + 1;
        if delivered == counts.wanted.load(Ordering::Acquire)
            && let Some(sender) = &*counts.sender.load()
        {
            sender.unpark();
        }
    }
}

impl BareProducer {
    /// Opens a producer with the settings of the log's own. Does not wait for a connection.
    pub fn open(config: &KafkaConfig, topic: &str) -> Result<Self, BareError> {
        let counts = Arc::new(Counts {
            start: Instant::now(),
            delivered: AtomicUsize::new(0),
            failed: AtomicUsize::new(0),
            wanted: AtomicUsize::new(0),
            sender: ArcSwapOption::empty(),
            timed: AtomicBool::new(false),
            last_ns: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let producer: BaseProducer<Counting> =
            log_settings(config).create_with_context(Counting(Arc::clone(&counts)))?;
        let producer = Arc::new(producer);
        let (polled, stop) = (Arc::clone(&producer), Arc::clone(&counts));
        let polling = std::thread::Builder::new().name("bare-producer".to_owned()).spawn(move || {
            while !stop.stop.load(Ordering::Acquire) {
                polled.poll(POLL);
            }
        });
        let polling = Some(polling.map_err(|error| BareError(error.to_string()))?);
        Ok(Self { producer, counts, topic: topic.to_owned(), sent: 0, polling })
    }

    /// Sends all `records`, at most `outstanding` of them without a delivery report; the time from the first send to
    /// the last report.
    ///
    /// # Errors
    /// If a record is not delivered.
    pub fn flood<'a>(
        &mut self,
        records: impl IntoIterator<Item = (Partition, &'a LogRecord)>,
        outstanding: usize,
    ) -> Result<Duration, BareError> {
        self.counts.sender.store(Some(Arc::new(std::thread::current())));
        // Woken with some room, and not for each report: or the sender would be woken for every record.
        let room = (outstanding / 4).max(1);
        let begun = Instant::now();
        for (partition, record) in records {
            if self.sent - self.counts.delivered.load(Ordering::Acquire) >= outstanding {
                self.wait_for(self.sent + room - outstanding)?;
            }
            self.send(partition, record)?;
        }
        self.wait_for(self.sent)?;
        let took = begun.elapsed();
        self.check()?;
        Ok(took)
    }

    /// Sends one record and waits for its report; the time until the report came, on the thread that polls.
    ///
    /// # Errors
    /// If it is not delivered.
    pub fn one(&mut self, partition: Partition, record: &LogRecord) -> Result<Duration, BareError> {
        self.counts.sender.store(Some(Arc::new(std::thread::current())));
        self.counts.timed.store(true, Ordering::Relaxed);
        let begun = self.counts.start.elapsed();
        self.send(partition, record)?;
        self.wait_for(self.sent)?;
        self.counts.timed.store(false, Ordering::Relaxed);
        self.check()?;
        Ok(Duration::from_nanos(self.counts.last_ns.load(Ordering::Relaxed)).saturating_sub(begun))
    }

    fn send(&mut self, partition: Partition, record: &LogRecord) -> Result<(), BareError> {
        let mut message = BaseRecord::to(&self.topic)
            .partition(partition.0)
            .key(&record.key[..])
            .payload(record.value.as_deref().unwrap_or_default())
            .headers(owned(&record.headers));
        loop {
            match self.producer.send(message) {
                Ok(()) => break,
                // The queue holds fewer bytes than the window has.
                Err((error, back)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    message = back;
                    self.wait_for(self.counts.delivered.load(Ordering::Acquire) + 1)?;
                }
                Err((error, _)) => return Err(error.into()),
            }
        }
        self.sent += 1;
        Ok(())
    }

    /// Waits until this many records have a report.
    fn wait_for(&self, deliveries: usize) -> Result<(), BareError> {
        self.counts.wanted.store(deliveries, Ordering::Release);
        let begun = Instant::now();
        while self.counts.delivered.load(Ordering::Acquire) < deliveries {
            std::thread::park_timeout(Duration::from_millis(1));
            if begun.elapsed() > PATIENCE {
                return Err(BareError("deliveries are not reported".to_owned()));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), BareError> {
        match self.counts.failed.load(Ordering::Relaxed) {
            0 => Ok(()),
            failed => Err(BareError(format!("{failed} records were not delivered"))),
        }
    }
}

impl Drop for BareProducer {
    fn drop(&mut self) {
        self.counts.stop.store(true, Ordering::Release);
        if let Some(polling) = self.polling.take() {
            // It does not panic; there is nothing to do about it if it did.
            drop(polling.join());
        }
        // What is left is given up.
        self.producer.purge(rdkafka::producer::PurgeConfig::default().queue());
    }
}
