//! Measures the Kafka adapter on a broker that is there: `cargo run --release -p toolkit --example kafka_latency
//! --features kafka-producer,kafka-consumer,kafka-admin -- 127.0.0.1:9092`. Makes its own topics, and leaves them.
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use adapter_kafka::KafkaConfig;
use adapter_kafka::{Group, GroupEvent, GroupOptions, KafkaEventLog, Profile, Topics};
use anyhow::Context as _;
use ledger::{AppendId, EventLog, Headers, Inbox, NewRecord, Offset, Partition, RecordKey, Signal, Subject};
use toolkit::config::TelemetryConfig;

const ONE_AT_A_TIME: usize = 3_000;
const PIPELINED: usize = 300_000;
const WINDOW: usize = 20_000;
const PARTITIONS: i32 = 6;

struct Channel(SyncSender<(Instant, Signal)>);

impl Inbox for Channel {
    fn deliver(&self, signal: Signal) {
        drop(self.0.send((Instant::now(), signal)));
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let level = std::env::var("LEVEL").unwrap_or_else(|_| "warn".to_owned());
    toolkit::telemetry::init("kafka_latency", &TelemetryConfig { level, ..TelemetryConfig::default() })?;
    let servers = std::env::args().nth(1).context("say where Kafka is: host:port")?;
    let config = KafkaConfig { bootstrap_servers: servers, ..KafkaConfig::default() };
    let prefix = format!("measure-{}.", uuid::Uuid::new_v4().simple());
    let topics = Topics::load(std::path::Path::new("deploy/topics.yaml"))?.with_prefix(&prefix);
    let applied = topics.apply(&config, Profile::Local).await?;
    anyhow::ensure!(applied.iter().all(adapter_kafka::Applied::is_as_declared), "{applied:?}");
    let again = topics.check(&config, Profile::Local).await?;
    let differing: Vec<_> = again.iter().filter(|applied| !applied.is_as_declared()).collect();
    println!("topics: {} applied, then checked; differing: {differing:?}", applied.len());
    let topic = format!("{prefix}catalog.product.events.v1");

    let (sender, inbox) = sync_channel(1 << 16);
    let log = KafkaEventLog::open(&config, &topic, Arc::new(Channel(sender)), None).await?;
    anyhow::ensure!(log.partitions() == PARTITIONS);
    tokio::task::spawn_blocking(move || measure(&log, &inbox)).await??;
    read_by_group(&config, &topic).await
}

fn measure(log: &KafkaEventLog, inbox: &Receiver<(Instant, Signal)>) -> anyhow::Result<()> {
    for partition in 0..PARTITIONS {
        log.tail_from(Partition(partition), 0);
    }
    first_of_each(log, inbox)?;
    let mut append_ms = Vec::new();
    let mut tail_ms = Vec::new();
    for number in 0..ONE_AT_A_TIME {
        let sent = Instant::now();
        log.append(Partition(number as i32 % PARTITIONS), AppendId(number as u64), record(number));
        let (mut appended, mut tailed) = (None, None);
        while appended.is_none() || tailed.is_none() {
            let (at, signal) = inbox.recv_timeout(Duration::from_secs(10))?;
            match signal {
                Signal::Appended { outcome, .. } => {
                    outcome?;
                    appended = Some(at - sent);
                }
                Signal::Records { records, .. } => {
                    anyhow::ensure!(records.len() == 1);
                    tailed = Some(at - sent);
                }
                Signal::TailFailed { error, .. } => anyhow::bail!("{error}"),
                Signal::Position { .. } | Signal::EndOffset { .. } => {}
            }
        }
        append_ms.extend(appended);
        tail_ms.extend(tailed);
    }
    show("append -> Appended, one at a time", &mut append_ms);
    show("append -> Records on the tail", &mut tail_ms);

    let mut end_ms = Vec::new();
    for number in 0..ONE_AT_A_TIME {
        let asked = Instant::now();
        log.ask_end_offset(Partition(number as i32 % PARTITIONS), number as u64);
        loop {
            let (at, signal) = inbox.recv_timeout(Duration::from_secs(10))?;
            if let Signal::EndOffset { outcome, .. } = signal {
                outcome?;
                end_ms.push(at - asked);
                break;
            }
        }
    }
    show("ask -> EndOffset, one at a time", &mut end_ms);

    let begun = Instant::now();
    let (mut sent, mut acked, mut tailed) = (0, 0, 0);
    let mut all_acked = None;
    while acked < PIPELINED || tailed < PIPELINED {
        while sent < PIPELINED && sent - acked < WINDOW {
            log.append(Partition(sent as i32 % PARTITIONS), AppendId(sent as u64), record(sent));
            sent += 1;
        }
        match inbox.recv_timeout(Duration::from_secs(10))?.1 {
            Signal::Appended { outcome, .. } => {
                outcome?;
                acked += 1;
                if acked == PIPELINED {
                    all_acked = Some(begun.elapsed());
                }
            }
            Signal::Records { records, .. } => tailed += records.len(),
            Signal::TailFailed { error, .. } => anyhow::bail!("{error}"),
            Signal::Position { .. } | Signal::EndOffset { .. } => {}
        }
    }
    let rate = |within: Duration| PIPELINED as f64 / within.as_secs_f64();
    println!(
        "pipelined: {:.0} appends/s, {:.0} records/s also tailed",
        rate(all_acked.unwrap_or_default()),
        rate(begun.elapsed())
    );
    Ok(())
}

async fn read_by_group(config: &KafkaConfig, topic: &str) -> anyhow::Result<()> {
    let total = (PARTITIONS as usize + ONE_AT_A_TIME + PIPELINED) as i64;
    let begun = Instant::now();
    let mut group =
        Group::open(config, topic, PARTITIONS, GroupOptions::new(format!("{topic}-group")), None)?;
    let handle = group.handle();
    let (mut read, mut first, mut commit_ms) = (0, None, Vec::new());
    while read < total {
        match group.recv().await.context("the group ended")? {
            GroupEvent::Assigned { claim, position } => {
                anyhow::ensure!(position == 0, "starts at {position}");
                handle.next(claim)?;
            }
            GroupEvent::Batch { claim, records, position } => {
                first.get_or_insert_with(Instant::now);
                read += records.len() as i64;
                let asked = Instant::now();
                handle.commit(claim, position).await?;
                commit_ms.push(asked.elapsed());
                handle.next(claim)?;
            }
            other => anyhow::bail!("{other:?}"),
        }
    }
    let joined = first.context("nothing was read")? - begun;
    let rate = total as f64 / first.context("nothing was read")?.elapsed().as_secs_f64();
    println!("group: first batch after {joined:?}, then {rate:.0} records/s, each batch committed");
    show("commit, batch by batch", &mut commit_ms);

    let ends: Vec<Offset> = handle.end_offsets().of_all(PARTITIONS).await?;
    anyhow::ensure!(ends.iter().sum::<Offset>() == total, "{ends:?}");
    for partition in [0, 0, 1, 1, 0] {
        let asked = Instant::now();
        let stretch = handle.ranges().read_all(Partition(partition), 100, 5_100).await?;
        anyhow::ensure!(stretch.len() == 5_000 && stretch[0].offset == 100);
        println!("range of 5,000 records of partition {partition}: {:?}", asked.elapsed());
    }

    // A second member takes over half of the partitions: each is revoked, settled, and begun at its committed position.
    let mut second =
        Group::open(config, topic, PARTITIONS, GroupOptions::new(format!("{topic}-group")), None)?;
    let asked = Instant::now();
    let mut taken = 0;
    while taken < PARTITIONS / 2 {
        tokio::select! {
            event = group.recv() => match event.context("the group ended")? {
                GroupEvent::Revoked { claims, lost, ack } => {
                    println!("revoked {} after {:?}, lost: {lost}", claims.len(), asked.elapsed());
                    for claim in &claims {
                        handle.commit(*claim, ends[claim.partition.0 as usize]).await?;
                    }
                    ack.settled();
                }
                other => anyhow::bail!("{other:?}"),
            },
            event = second.recv() => match event.context("the group ended")? {
                GroupEvent::Assigned { claim, position } => {
                    anyhow::ensure!(position == ends[claim.partition.0 as usize], "{claim:?} at {position}");
                    taken += 1;
                }
                other => anyhow::bail!("{other:?}"),
            },
        }
    }
    println!("taken over {taken} partitions after {:?}", asked.elapsed());
    second.handle().close()?;
    while let Some(event) = second.recv().await {
        println!("the second member leaves: {event:?}");
    }
    let asked = Instant::now();
    let mut returned = 0;
    while returned < PARTITIONS / 2 {
        if let GroupEvent::Assigned { .. } = group.recv().await.context("the group ended")? {
            returned += 1;
        }
    }
    println!("the first member has them again after {:?}", asked.elapsed());
    Ok(())
}

/// Connections, metadata and the JVM's first time are not what is measured.
fn first_of_each(log: &KafkaEventLog, inbox: &Receiver<(Instant, Signal)>) -> anyhow::Result<()> {
    let begun = Instant::now();
    for partition in 0..PARTITIONS {
        log.append(Partition(partition), AppendId(0), record(0));
    }
    let (mut acked, mut tailed) = (0, 0);
    while acked < PARTITIONS || tailed < PARTITIONS as usize {
        match inbox.recv_timeout(Duration::from_secs(10))?.1 {
            Signal::Appended { .. } => acked += 1,
            Signal::Records { records, .. } => tailed += records.len(),
            _ => {}
        }
        if acked == PARTITIONS {
            println!("first appends after {:?}", begun.elapsed());
        }
    }
    println!("tails open after {:?}", begun.elapsed());
    Ok(())
}

fn record(number: usize) -> NewRecord {
    let subject = Subject::parse(&format!("p{}", number % 5_000)).expect("it is well formed");
    let event_id = uuid::Uuid::from_u128(number as u128 + 1);
    let mut headers = Headers::new();
    headers.push("ce_type", b"ProductCreated");
    headers.push("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    NewRecord {
        key: RecordKey { subject, version: 1, basis: 0, event_id },
        value: vec![7; 150].into(),
        headers,
    }
}

fn show(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!("{what}: p50 {:?}, p90 {:?}, p99 {:?}, max {:?}", at(0.5), at(0.9), at(0.99), at(1.0));
}
