//! Following partitions of one topic from given offsets, on one thread.
//!
//! Promises: per partition, records come in order and once per start; a [`Signal::Position`] follows every batch, taken
//! from the consumer's position, so gaps are passed too; brokers that are away delay the tail and do not end it; an
//! offset that does not exist ends the partition's tail with [`Signal::TailFailed`], for it would otherwise go on
//! somewhere else silently.

pub(super) mod fault;
mod reading;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crossbeam_channel::{Sender, TrySendError, bounded};
use ledger::{Inbox, Offset, Partition, Signal, TailError};
use rdkafka::consumer::BaseConsumer;
use uuid::Uuid;

use super::client::{Connection, READS, refused, settings};
use super::{Error, WantedHeaders};
use crate::config::KafkaConfig;
use reading::Reading;
use toolkit::lifecycle::Dependency;

/// Starts that may wait: a multiple of the partitions, each of which is started once in a long while.
const COMMANDS: usize = 4_096;

/// The tail of one topic. Its thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Tail {
    commands: Sender<Start>,
    inbox: InboxRef,
    known: Known,
}

/// What the reader needs not be told, by partition.
type Known = Arc<[Lane]>;

#[derive(Debug, Default)]
struct Lane {
    /// The first offset that is of use to the reader. Relaxed is enough: an old value costs a copy.
    applied: AtomicI64,
    /// The first half of the ids of the events that the reader itself appends.
    own: AtomicU64,
}

/// Read `partition` from `from` on.
#[derive(Clone, Copy, Debug)]
struct Start {
    partition: Partition,
    from: Offset,
}

#[derive(Clone)]
struct InboxRef(Arc<dyn Inbox>);

impl std::fmt::Debug for InboxRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Inbox")
    }
}

impl Tail {
    /// Opens a tail that reads nothing yet, and later records with the `wanted` headers. Does not wait for a connection.
    pub(super) fn open(
        config: &KafkaConfig,
        topic: &str,
        partitions: i32,
        wanted: WantedHeaders,
        inbox: Arc<dyn Inbox>,
        dependency: Option<Dependency>,
    ) -> Result<Self, Error> {
        let known: Known = (0..partitions).map(|_| Lane::default()).collect();
        let consumer = consumer(config, "tail", dependency)?;
        let (commands, starts) = bounded(COMMANDS);
        let timeout = config.request_timeout();
        let reading = Reading::new(consumer, topic, wanted, Arc::clone(&inbox), Arc::clone(&known), timeout);
        std::thread::Builder::new().name("kafka-tail".to_owned()).spawn(move || reading.run(&starts))?;
        Ok(Self { commands, inbox: InboxRef(inbox), known })
    }

    /// Reads `partition` from `from` on; the other partitions go on undisturbed. Never blocks.
    pub(super) fn start(&self, partition: Partition, from: Offset) {
        self.applied(partition, from);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.commands.try_send(Start { partition, from })
        {
            let error = TailError::Other("the tail's thread does not take commands".to_owned());
            let (inbox, signal) = (self.inbox.clone(), Signal::TailFailed { partition, error });
            // On a thread of its own: the caller may be the one who empties the inbox.
            let tell = move || inbox.0.deliver(signal);
            if let Err(error) = std::thread::Builder::new().name("kafka-refusal".to_owned()).spawn(tell) {
                tracing::error!(%error, "cannot start a thread to tell a failed tail");
            }
        }
    }

    /// Records below `next` need not be delivered any more, until the partition is started again.
    pub(super) fn applied(&self, partition: Partition, next: Offset) {
        if let Some(lane) = self.lane(partition) {
            lane.applied.store(next, Ordering::Relaxed);
        }
    }

    /// The reader appends records with event ids like this one. It will hear of them by their reports, most likely
    /// before they are needed here: they are delivered a little later than others.
    pub(super) fn appends(&self, partition: Partition, event_id: Uuid) {
        if let Some(lane) = self.lane(partition) {
            lane.own.store(event_id.as_u64_pair().0, Ordering::Relaxed);
        }
    }

    fn lane(&self, partition: Partition) -> Option<&Lane> {
        self.known.get(usize::try_from(partition.0).ok()?)
    }
}

/// A consumer that reads what it is told from where it is told: no group, no commits, no reset.
pub(super) fn consumer(
    config: &KafkaConfig,
    role: &'static str,
    dependency: Option<Dependency>,
) -> Result<BaseConsumer<Connection>, Error> {
    let (wait, buffer) = (config.fetch_wait_ms.to_string(), config.fetch_buffer_kib.to_string());
    // librdkafka asks for a group's name even where nothing is ever joined or committed.
    let group = format!("folio-{role}");
    let settings = settings(
        config,
        role,
        &[
            ("fetch.wait.max.ms", &wait),
            ("queued.max.messages.kbytes", &buffer),
            ("queued.min.messages", "100000"),
            ("fetch.queue.backoff.ms", "1"),
            ("fetch.error.backoff.ms", "50"),
        ],
        &[&READS[..], &[("group.id", &group)]].concat(),
    );
    settings
        .create_with_context(Connection::new(config, role, dependency))
        .map_err(|error| refused(config, &error))
}
