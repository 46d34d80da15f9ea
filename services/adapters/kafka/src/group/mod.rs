//! A consumer group's member for projectors: batches per partition, on demand, with explicit positions.
//!
//! Promises:
//! - a partition without a committed position is read from offset zero, said so explicitly; nothing is ever reset;
//! - each partition has at most one batch under way: the next one comes when it is asked for ([`GroupHandle::next`]), so
//!   a partition that is not asked for pauses, costs bounded memory, and delays no other;
//! - a partition is told as revoked, and the word is awaited that it is settled ([`RevokeAck`]), before another member
//!   can get it (unless it was already lost);
//! - a commit is on the brokers when it returns, and is refused once the partition is claimed by nobody or anew.
//!
//! One thread polls, one commits; the handle is for async code and never blocks.

mod assignment;
mod commit;
mod membership;
mod owned;
mod polling;

use std::sync::Arc;
use std::thread::Thread;
use std::time::Duration;

use crossbeam_channel::{Sender, bounded};
use ledger::{LogRecord, Offset, Partition, TailError};
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::sync::mpsc;

use super::client::{Connection, refused, settings};
use super::{EndOffsets, Error, RangeReader};
use crate::config::KafkaConfig;
use commit::CommitRequest;
use membership::{Claims, Membership};
use polling::{Command, Polling};
use toolkit::lifecycle::Dependency;

const COMMANDS: usize = 1_024;
const EVENTS: usize = 256;

/// How a member reads.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// The group's name: one for each generation of a read model.
    pub group: String,
    /// Records per batch at most.
    pub max_batch_records: usize,
    /// Bytes of keys and values per batch at most, but for its last record.
    pub max_batch_bytes: usize,
    /// How long a revoked partition may take to be settled before it is handed over all the same.
    pub revoke_timeout: Duration,
}

impl GroupOptions {
    pub fn new(group: impl Into<String>) -> Self {
        Self {
            group: group.into(),
            max_batch_records: 1_000,
            max_batch_bytes: 8 << 20,
            revoke_timeout: Duration::from_secs(30),
        }
    }
}

/// One member's hold of a partition: from its assignment (or a seek) to its revocation (or the next seek).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    pub partition: Partition,
    epoch: u64,
}

/// What a member learns.
#[derive(Debug)]
pub enum GroupEvent {
    /// The partition is this member's, to be read from `position` on. Ask for its first batch.
    Assigned { claim: Claim, position: Offset },
    /// Asked for with [`GroupHandle::next`]. After it is written, commit `position` and ask for the next. Without records
    /// if only the position moved.
    Batch { claim: Claim, records: Vec<LogRecord>, position: Offset },
    /// These partitions go to another member once `ack` is given or dropped: settle what is under way first, forget
    /// their states. `lost`: another member may have them already.
    Revoked { claims: Vec<Claim>, lost: bool, ack: RevokeAck },
    /// The partition cannot be read on: someone must look. The others go on.
    Failed { claim: Claim, error: TailError },
    /// The consumer will never read again; the last event.
    Stopped { reason: String },
}

/// Says, when dropped, that revoked partitions are settled.
#[derive(Debug)]
pub struct RevokeAck {
    _settled: Sender<()>,
}

impl RevokeAck {
    /// The partitions are settled. Dropping says the same.
    pub fn settled(self) {}
}

/// A member of a consumer group. Dropping it leaves the group at once; [`GroupHandle::close`] does so in order.
#[derive(Debug)]
pub struct Group {
    events: mpsc::Receiver<GroupEvent>,
    handle: GroupHandle,
}

/// What a member can ask for. Cheap to clone.
#[derive(Clone, Debug)]
pub struct GroupHandle {
    commands: Sender<Command>,
    commits: Sender<CommitRequest>,
    thread: Thread,
    ranges: RangeReader,
    ends: EndOffsets,
}

impl Group {
    /// Joins `options.group` to read `topic`, which has `partitions` partitions (see [`super::verify_topic`]). Does not
    /// wait for a connection. `dependency` learns whether the partitions' leaders answer.
    pub fn open(
        config: &KafkaConfig,
        topic: &str,
        partitions: i32,
        options: GroupOptions,
        dependency: Option<Dependency>,
    ) -> Result<Self, Error> {
        let claims = Arc::new(Claims::default());
        let consumer = member(config, topic, partitions, &options)?;
        consumer.subscribe(&[topic]).map_err(|error| refused(config, &error))?;
        let ends = EndOffsets::open(config, topic, partitions, dependency)?;
        let ranges = RangeReader::open(config, topic)?;
        let (commands, asked) = bounded(COMMANDS);
        let (commits, requests) = bounded(COMMANDS);
        let (sender, events) = mpsc::channel(EVENTS);
        let consumer = Arc::new(consumer);
        let committer = commit::Committer::new(
            Arc::downgrade(&consumer),
            topic,
            &config.bootstrap_servers,
            Arc::clone(&claims),
        );
        std::thread::Builder::new()
            .name("kafka-commit".to_owned())
            .spawn(move || committer.run(&requests))?;
        let polling = Polling::new(consumer, topic, options, config.request_timeout(), claims, sender);
        let polling =
            std::thread::Builder::new().name("kafka-group".to_owned()).spawn(move || polling.run(&asked))?;
        let thread = polling.thread().clone();
        Ok(Self { events, handle: GroupHandle { commands, commits, thread, ranges, ends } })
    }

    /// The next event; none after [`GroupEvent::Stopped`] or when the group was left.
    pub async fn recv(&mut self) -> Option<GroupEvent> {
        self.events.recv().await
    }

    pub fn handle(&self) -> GroupHandle {
        self.handle.clone()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A full queue means that the thread is alive and will find the events' receiver gone.
        drop(self.handle.command(Command::Abandon));
    }
}

impl GroupHandle {
    /// Asks for the next batch of a partition. It comes as soon as there is anything.
    pub fn next(&self, claim: Claim) -> Result<(), Error> {
        self.command(Command::Next(claim))
    }

    /// Reads the partition from `position` on instead: a new claim comes with [`GroupEvent::Assigned`], the old one is
    /// void.
    pub fn seek(&self, claim: Claim, position: Offset) -> Result<(), Error> {
        self.command(Command::Seek(claim, position))
    }

    /// Commits that everything below `position` is applied. On the brokers when it returns; requests that wait at the
    /// same time go together.
    pub async fn commit(&self, claim: Claim, position: Offset) -> Result<(), Error> {
        let (reply, outcome) = tokio::sync::oneshot::channel();
        let tried = || format!("commit position {position} of partition {}", claim.partition.0);
        let request = CommitRequest { claim, position, reply };
        if self.commits.try_send(request).is_err() {
            return Err(Error::Closed(tried()));
        }
        outcome.await.unwrap_or_else(|_| Err(Error::Closed(tried())))
    }

    /// Records of the topic at `from..to`, by another consumer: for looking back.
    pub fn ranges(&self) -> &RangeReader {
        &self.ranges
    }

    /// Where the topic's partitions end: for the lag.
    pub fn end_offsets(&self) -> &EndOffsets {
        &self.ends
    }

    /// Leaves the group in order: every partition is told as revoked and awaited, then the events end.
    pub fn close(&self) -> Result<(), Error> {
        self.command(Command::Close)
    }

    fn command(&self, command: Command) -> Result<(), Error> {
        let tried = format!("{command:?}");
        self.commands.try_send(command).map_err(|_| Error::Closed(tried))?;
        self.thread.unpark();
        Ok(())
    }
}

fn member(
    config: &KafkaConfig,
    topic: &str,
    partitions: i32,
    options: &GroupOptions,
) -> Result<BaseConsumer<Membership>, Error> {
    let wait = config.fetch_wait_ms.to_string();
    // Every partition has a queue of its own, and librdkafka bounds each queue.
    let buffer =
        (config.fetch_buffer_kib / u64::from(partitions.max(1).unsigned_abs())).max(1_024).to_string();
    let settings = settings(
        config,
        "group",
        &[
            ("fetch.wait.max.ms", &wait),
            ("queued.max.messages.kbytes", &buffer),
            ("queued.min.messages", "10000"),
            ("fetch.queue.backoff.ms", "2"),
            ("fetch.error.backoff.ms", "50"),
            ("session.timeout.ms", "10000"),
            ("heartbeat.interval.ms", "500"),
        ],
        &[
            ("group.id", &options.group),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("allow.auto.create.topics", "false"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("isolation.level", "read_uncommitted"),
            ("enable.partition.eof", "true"),
            ("check.crcs", "true"),
            ("fetch.min.bytes", "1"),
        ],
    );
    let membership = Membership::new(topic, Connection::new("group", None));
    settings.create_with_context(membership).map_err(|error| refused(config, &error))
}
