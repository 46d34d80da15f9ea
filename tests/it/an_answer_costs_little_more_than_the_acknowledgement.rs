//! P12 A command's answer costs little more than the broker's acknowledgement.
//!
//! One client at a time, in turn with a bare produce of a record of the same size to the same broker with the same
//! settings, until in one window the medians differ by at most 3 ms, or by no more than the bare acknowledgement itself
//! took. What costs every command is in every window; what else the machine does is not (`make bench` has the number).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use adapter_kafka::KafkaConfig;
use adapter_kafka::KafkaEventLog;
use anyhow::bail;
use bytes::Bytes;
use ledger::{AppendId, EventLog as _, Headers, Inbox, NewRecord, Partition, RecordKey, Signal, Subject};
use testkit::{Client, OnServers, System};

/// Rounds of a window, and so many windows there are at most.
const ROUNDS: usize = 100;
const WINDOWS: usize = 20;
const MAX: Duration = Duration::from_millis(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_median_answer_is_within_3_ms_of_the_bare_acknowledgement() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let client = Client::new(&system.command_service().await?.url());
    assert_eq!(client.create("timed").await?.status, 201);

    // The same producer on a topic of the same declaration, which nobody tails.
    let bare = format!("bare.{}", system.prefix());
    cli::commands::topics::declared(&bare)?
        .apply(&system.config.kafka, adapter_kafka::Profile::Local)
        .await?;
    let log = BareLog::open(&system.config.kafka, &format!("{bare}{}", contract::topics::EVENTS)).await?;

    let mut number = 0;
    let mut windows = Vec::new();
    for _ in 0..WINDOWS {
        let (mut answers, mut acknowledgements) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            number += 1;
            let began = Instant::now();
            log.append(number)?;
            acknowledgements.push(began.elapsed());
            let began = Instant::now();
            let reply = client.change_price("timed", 2_000 + number, &[]).await?;
            answers.push(began.elapsed());
            assert_eq!(reply.status, 200, "{}", reply.body);
        }
        let (answer, bare) = (median(&mut answers), median(&mut acknowledgements));
        println!("median of {ROUNDS}: answer {answer:?}, bare acknowledgement {bare:?}");
        if answer <= bare + MAX.max(bare) {
            return Ok(());
        }
        windows.push((answer, bare));
    }
    bail!("in no window an answer took little more than the bare acknowledgement: {windows:?}");
}

/// The log's adapter alone: one append at a time.
struct BareLog {
    log: KafkaEventLog,
    signals: Receiver<Signal>,
    headers: Headers,
}

struct Forward(SyncSender<Signal>);

impl Inbox for Forward {
    fn deliver(&self, signal: Signal) {
        self.0.send(signal).expect("the test takes every report");
    }
}

impl BareLog {
    async fn open(config: &KafkaConfig, topic: &str) -> anyhow::Result<Self> {
        let (sender, signals) = sync_channel(16);
        let log = KafkaEventLog::open(config, topic, Arc::new(Forward(sender)), None).await?;
        let mut headers = Headers::new();
        (0..12).for_each(|number| headers.push(&format!("header_{number}"), &[b'x'; 24]));
        Ok(Self { log, signals, headers })
    }

    fn append(&self, number: u64) -> anyhow::Result<()> {
        let subject = Subject::parse("timed")?;
        let key =
            RecordKey { subject, version: number + 1, basis: number as i64, event_id: uuid::Uuid::nil() };
        let record = NewRecord { key, value: Bytes::from_static(&[7; 32]), headers: self.headers.clone() };
        self.log.append(Partition(0), AppendId(number), record);
        match self.signals.recv()? {
            Signal::Appended { outcome: Ok(_), .. } => Ok(()),
            other => bail!("the append was answered {other:?}"),
        }
    }
}

fn median(durations: &mut [Duration]) -> Duration {
    durations.sort_unstable();
    durations[durations.len() / 2]
}
