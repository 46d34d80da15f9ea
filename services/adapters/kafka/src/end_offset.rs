//! Where partitions end, asked of their leaders: never a remembered value, and never on a leader's own word alone.
//!
//! Promises: the answer is not smaller than the end when the question was asked (see [`confirm`](super::confirm) for how a
//! leader is kept from speaking of a past it does not know is over); asking never blocks; questions that
//! wait are put together, one request per leader for all of them; and while nobody asks, a question of its own every
//! second tells readiness whether the leaders answer.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError};
use event_reader::feed::{EndOffsets, EndQuestion};
use ledger::{Offset, Partition};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset as KafkaOffset, TopicPartitionList};

use super::Error;
use super::client::{Connection, refused, settings};
use super::confirm::{Confirmation, Said};
use crate::config::KafkaConfig;
use toolkit::lifecycle::Dependency;

/// How long nobody may ask before the leaders are asked to see whether they are there.
const IDLE: Duration = Duration::from_secs(1);
/// Clients that ask in turn, so that a question need not wait for the round trip of the one before it.
const CLIENTS: usize = 2;

/// How long leaders may take to answer, however patient the configuration is: questions wait for it one after another,
/// and readiness should hear soon.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long one broker may take to say who leads, before another one is asked.
const SAYS_WITHIN: Duration = Duration::from_millis(250);
/// How long before all are asked once more, when none but the leader has answered.
const PAUSE: Duration = Duration::from_millis(5);
/// How often brokers that happen to be the leader itself may be asked before all are contacted.
const IN_VAIN: u32 = 4;
/// How long it is remembered that no partition has more than one replica, so that there is nobody to confirm anything.
const ALONE_FOR: Duration = Duration::from_mins(1);

/// How often the brokers have shown, to whoever else talks to them, that they are there.
pub(super) type Heard = Arc<AtomicU64>;

/// Opens a handle with which to ask for ends of `topic`, whose partitions are `0..partitions`, and the threads that ask.
/// Does not wait for a connection. A question without an answer is no bad news for readiness if `heard` has grown meanwhile:
/// on a machine that has too much to do, answers may be late while appends go on.
pub(super) fn open_ends(
    config: &KafkaConfig,
    topic: &str,
    partitions: i32,
    mut dependency: Option<Dependency>,
    heard: &Heard,
) -> Result<EndOffsets, Error> {
    let (ends, waiting) = EndOffsets::channel(topic);
    let topic: Arc<str> = topic.into();
    for number in 0..CLIENTS {
        let connection = Connection::new(config, "end-offsets", dependency.take());
        let consumer: BaseConsumer<Connection> = end_settings(config)
            .create_with_context(connection.clone())
            .map_err(|error| refused(config, &error))?;
        let asker = Asker {
            consumer,
            connection,
            topic: Arc::clone(&topic),
            partitions,
            timeout: config.request_timeout().min(PATIENCE),
            probes: number == 0,
            heard: Arc::clone(heard),
            alone_until: Cell::new(None),
        };
        let waiting = waiting.clone();
        std::thread::Builder::new()
            .name("kafka-end-offsets".to_owned())
            .spawn(move || asker.run(&waiting))?;
    }
    Ok(ends)
}

/// No group: this client never reads, so that nothing delays its answers (Kafka answers the requests of a connection one
/// after another, and a fetch may wait for data).
pub(super) fn end_settings(config: &KafkaConfig) -> ClientConfig {
    settings(
        config,
        "end-offsets",
        &[],
        &[("isolation.level", "read_uncommitted"), ("allow.auto.create.topics", "false")],
    )
}

struct Asker {
    consumer: BaseConsumer<Connection>,
    connection: Connection,
    topic: Arc<str>,
    partitions: i32,
    timeout: Duration,
    probes: bool,
    heard: Heard,
    alone_until: Cell<Option<Instant>>,
}

impl Asker {
    fn run(&self, asked: &Receiver<EndQuestion>) {
        let mut waiting: Vec<EndQuestion> = Vec::new();
        loop {
            let first = asked.recv_timeout(IDLE);
            // Serves librdkafka's error and log events (there are no messages), all of them and before the leaders are
            // asked: old news of lost connections must not follow the answer that they are back.
            while self.consumer.poll(Duration::ZERO).is_some() {}
            match first {
                Ok(question) => {
                    waiting.push(question);
                    waiting.extend(asked.try_iter());
                    self.answer(&mut waiting);
                }
                Err(RecvTimeoutError::Timeout) => self.probe(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn answer(&self, waiting: &mut Vec<EndQuestion>) {
        let mut wanted: Vec<Partition> = waiting.iter().map(|question| question.partition).collect();
        wanted.sort_unstable_by_key(|partition| partition.0);
        wanted.dedup();
        let ends = self.confirm(&wanted).and_then(|()| self.ask_leaders(&wanted));
        for question in waiting.drain(..) {
            let partition = question.partition;
            question.answer(match &ends {
                Ok(ends) => end_of(ends, &self.topic, partition),
                Err(problem) => Err(problem.clone()),
            });
        }
    }

    /// Waits until, for each partition, a broker that does not lead it has said who does.
    fn confirm(&self, partitions: &[Partition]) -> Result<(), String> {
        if self.alone_until.get().is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let mut confirmation = Confirmation::of(partitions.iter().map(|partition| partition.0));
        let until = Instant::now() + self.timeout;
        for asked in 1.. {
            // Any broker: librdkafka chooses among those that it talked to last.
            let said = self.consumer.fetch_metadata(Some(&self.topic), SAYS_WITHIN.min(self.timeout));
            if let Ok(metadata) = &said
                && let Some(topic) = metadata.topics().iter().find(|it| it.name() == &*self.topic)
            {
                let said = |it: &rdkafka::metadata::MetadataPartition| Said {
                    partition: it.id(),
                    leader: it.leader(),
                    replicas: it.replicas().len(),
                };
                confirmation.heard(metadata.orig_broker_id(), topic.partitions().iter().map(said));
                if topic.partitions().iter().all(|it| it.replicas().len() <= 1) {
                    self.alone_until.set(Some(Instant::now() + ALONE_FOR));
                }
            }
            if confirmation.is_complete() {
                return Ok(());
            }
            if Instant::now() >= until {
                break;
            }
            if asked % IN_VAIN == 0 {
                // Talks to every broker, so that all of them are among the next choices. The answer is of no use.
                drop(self.consumer.fetch_group_list(Some("folio-nobody"), SAYS_WITHIN));
                std::thread::sleep(PAUSE);
            }
        }
        let problem = format!("no broker but the leaders themselves says who leads {}", self.topic);
        self.connection.down(&problem);
        Err(problem)
    }

    fn ask_leaders(&self, partitions: &[Partition]) -> Result<TopicPartitionList, String> {
        let mut question = TopicPartitionList::with_capacity(partitions.len());
        for partition in partitions {
            // The "time" of the end (-1) makes ListOffsets answer with the end itself.
            question
                .add_partition_offset(&self.topic, partition.0, KafkaOffset::End)
                .map_err(|error| error.to_string())?;
        }
        let heard = self.heard.load(Ordering::Relaxed);
        let answer = self.consumer.offsets_for_times(question, self.timeout);
        match &answer {
            Ok(_) => self.connection.up(),
            Err(_) if self.heard.load(Ordering::Relaxed) != heard => {}
            Err(error) => {
                self.connection.down(&format!("partition leaders of {} do not answer: {error}", self.topic));
            }
        }
        answer.map_err(|error| error.to_string())
    }

    fn probe(&self) {
        if self.probes {
            let all: Vec<_> = (0..self.partitions).map(Partition).collect();
            // The outcome was told to readiness.
            drop(self.ask_leaders(&all));
        }
    }
}

fn end_of(ends: &TopicPartitionList, topic: &str, partition: Partition) -> Result<Offset, String> {
    let Some(end) = ends.find_partition(topic, partition.0) else {
        return Err(format!("the brokers' answer leaves out partition {}", partition.0));
    };
    end.error().map_err(|error| error.to_string())?;
    match end.offset() {
        KafkaOffset::Offset(offset) => Ok(offset),
        other => Err(format!("the brokers' answer is no offset: {other:?}")),
    }
}
