//! [`ledger::EventLog`] on a Kafka topic, and the topic for those who read it beside.
//!
//! Promises what the port promises (`ledger_sim::conformance` checks it): no call blocks, exactly one outcome per
//! append, end offsets from the leaders, tails in order. Three clients with a connection each, so that a waiting fetch
//! delays neither appends nor end offsets.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use event_reader::LogReader;
use event_reader::feed::EndOffsets;
use ledger::{AppendId, EventLog, Inbox, LogError, NewRecord, Offset, Partition, Signal};

use super::client::Connection;
use super::end_offset::{Heard, open_ends};
use super::producer::{RawProducer, Report};
use super::tail::Tail;
use super::{Error, WantedHeaders, describe_topic, open_ranges};
use crate::config::KafkaConfig;
use toolkit::lifecycle::Dependency;

/// How long an audit waits for the next record: an election may take a while, and nobody tries again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens a reader of `topic`, whose partitions are known (see [`super::verify_topic`]), beside those who follow it. Does not
/// wait for a connection. `dependency` learns whether the partitions' leaders answer.
pub fn open_reader(
    config: &KafkaConfig,
    topic: &str,
    partitions: i32,
    dependency: Option<Dependency>,
) -> Result<LogReader, Error> {
    let ends = open_ends(config, topic, partitions, dependency, &Heard::default())?;
    Ok(LogReader { partitions, ranges: open_ranges(config, topic, PATIENCE)?, ends })
}

/// Opens a reader of `topic`, whose partitions are asked for.
pub async fn read_topic(config: &KafkaConfig, topic: &str) -> Result<LogReader, Error> {
    open_reader(config, topic, describe_topic(config, topic).await?.partitions, None)
}

/// A topic as a log.
pub struct KafkaEventLog {
    partitions: i32,
    producer: RawProducer,
    tail: Tail,
    ends: EndOffsets,
    inbox: Arc<dyn Inbox>,
}

impl std::fmt::Debug for KafkaEventLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaEventLog").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

impl KafkaEventLog {
    /// Opens the topic, whose partitions are asked for; its outcomes go to `inbox`. `dependency` learns whether the
    /// partitions' leaders answer.
    ///
    /// Ends by itself after the last clone is dropped, on threads of its own.
    pub async fn open(
        config: &KafkaConfig,
        topic: &str,
        inbox: Arc<dyn Inbox>,
        dependency: Option<Dependency>,
    ) -> Result<Self, Error> {
        let partitions = describe_topic(config, topic).await?.partitions;
        Self::open_with(config, topic, partitions, WantedHeaders::All, inbox, dependency)
    }

    /// Opens a topic whose partitions are known (see [`super::verify_topic`]). Its records come with the `wanted`
    /// headers. Does not wait for a connection.
    pub fn open_with(
        config: &KafkaConfig,
        topic: &str,
        partitions: i32,
        wanted: WantedHeaders,
        inbox: Arc<dyn Inbox>,
        dependency: Option<Dependency>,
    ) -> Result<Self, Error> {
        let (reports, heard) = (Arc::clone(&inbox), Heard::default());
        let counted = Arc::clone(&heard);
        let report: Report = Arc::new(move |partition, append_id, outcome| {
            if outcome.is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            reports.deliver(Signal::Appended { partition, append_id, outcome });
        });
        // Readiness hears of the leaders from one client alone, or two would contradict each other.
        let connection = Connection::new(config, "log-producer", None);
        Ok(Self {
            partitions,
            producer: RawProducer::open(config, topic, partitions, connection, report)?,
            tail: Tail::open(config, topic, partitions, wanted, Arc::clone(&inbox), None)?,
            ends: open_ends(config, topic, partitions, dependency, &heard)?,
            inbox,
        })
    }
}

impl KafkaEventLog {
    /// Asks where its partitions end, beside the sequencers.
    pub fn end_offsets(&self) -> EndOffsets {
        self.ends.clone()
    }
}

impl EventLog for KafkaEventLog {
    fn partitions(&self) -> i32 {
        self.partitions
    }

    fn append(&self, partition: Partition, append_id: AppendId, record: NewRecord) {
        self.tail.appends(partition, record.key.event_id);
        self.producer.send(partition, append_id, &record);
    }

    fn ask_end_offset(&self, partition: Partition, request: u64) {
        let inbox = Arc::clone(&self.inbox);
        self.ends.ask(partition, move |outcome| {
            inbox.deliver(Signal::EndOffset { partition, request, outcome: outcome.map_err(LogError) });
        });
    }

    fn tail_from(&self, partition: Partition, from: Offset) {
        self.tail.start(partition, from);
    }

    fn applied(&self, partition: Partition, next: Offset) {
        self.tail.applied(partition, next);
    }
}
