//! Reads a whole topic and counts what is effective. Promises to end at the end offset asked for when it began.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use adapter_kafka::KafkaConfig;
use adapter_kafka::KafkaEventLog;
use anyhow::{Context, bail};
use crossbeam_channel::{Receiver, Sender};
use ledger::{EventLog, Inbox, Judgement, LogRecord, Partition, Reader, RecordKey, Signal};

/// How long nothing may come before reading fails.
const PATIENCE: Duration = Duration::from_secs(30);

struct Channel(Sender<Signal>);

impl Inbox for Channel {
    fn deliver(&self, signal: Signal) {
        // The receiver is gone once everything was read: what comes later is of no use to anyone.
        if self.0.send(signal).is_err() {
            tracing::trace!("a signal came after the topic was read");
        }
    }
}

/// What a topic holds.
#[derive(Clone, Debug, Default)]
pub struct Audit {
    /// The end offset of each partition.
    pub ends: BTreeMap<Partition, i64>,
    pub records: u64,
    pub effective: u64,
    /// Lost races.
    pub void: u64,
    /// Keys that are not keys, or stand in a wrong partition.
    pub garbage: u64,
    /// Versions no correct writer would write.
    pub violations: u64,
    /// Products with at least one effective record.
    pub products: u64,
}

/// Reads `topic` from offset zero to its end; `each` sees every effective record. Blocks: call it in `spawn_blocking`.
///
/// # Errors
/// If the broker cannot be reached or stops answering.
pub fn audit(
    config: &KafkaConfig,
    topic: &str,
    mut each: impl FnMut(Partition, &RecordKey, &LogRecord),
) -> anyhow::Result<Audit> {
    let mut audit = Audit::default();
    let mut readers: BTreeMap<Partition, Reader> = BTreeMap::new();
    read(config, topic, &mut audit.ends, |partitions, partition, record| {
        audit.records += 1;
        let reader = readers.entry(partition).or_insert_with(|| Reader::complete(partition, partitions));
        match reader.judge(record.offset, &record.key) {
            Judgement::Effective(key) => {
                audit.effective += 1;
                audit.products += u64::from(key.version == 1);
                each(partition, &key, record);
            }
            Judgement::Void(_) => audit.void += 1,
            Judgement::Garbage(_) => audit.garbage += 1,
            Judgement::Violation(_) => audit.violations += 1,
            // A reader from offset zero has nothing to look back to, and sees each record once.
            Judgement::NeedsLookBack(_) | Judgement::Seen => {}
        }
    })?;
    Ok(audit)
}

/// Reads every record of `topic`, partition by partition in order. Blocks: call it in `spawn_blocking`.
///
/// # Errors
/// If the broker cannot be reached or stops answering.
pub fn read(
    config: &KafkaConfig,
    topic: &str,
    ends: &mut BTreeMap<Partition, i64>,
    mut each: impl FnMut(i32, Partition, &LogRecord),
) -> anyhow::Result<()> {
    let (sender, signals) = crossbeam_channel::bounded(64);
    let opened = KafkaEventLog::open(config, topic, Arc::new(Channel(sender)), None);
    let log = tokio::runtime::Handle::current()
        .block_on(opened)
        .with_context(|| format!("opening topic {topic} at {}", config.bootstrap_servers))?;
    let partitions = log.partitions();
    for partition in (0..partitions).map(Partition) {
        log.ask_end_offset(partition, 0);
    }
    while ends.len() < partitions as usize {
        if let Signal::EndOffset { partition, outcome, .. } = next(&signals)? {
            ends.insert(partition, outcome.context("asking for an end offset")?);
        }
    }
    let mut open: BTreeMap<Partition, i64> =
        ends.iter().filter(|(_, end)| **end > 0).map(|(&p, &e)| (p, e)).collect();
    for &partition in open.keys() {
        log.tail_from(partition, 0);
    }
    while !open.is_empty() {
        match next(&signals)? {
            Signal::Records { partition, records } => {
                let Some(&end) = open.get(&partition) else { continue };
                records
                    .iter()
                    .take_while(|it| it.offset < end)
                    .for_each(|it| each(partitions, partition, it));
            }
            Signal::Position { partition, position }
                if open.get(&partition).is_some_and(|end| position >= *end) =>
            {
                open.remove(&partition);
            }
            Signal::TailFailed { partition, error } => {
                bail!("reading {topic}, partition {}: {error}", partition.0)
            }
            Signal::Appended { .. } | Signal::EndOffset { .. } | Signal::Position { .. } => {}
        }
    }
    // The log ends on its own thread while nobody reads its signals any more.
    drop(signals);
    Ok(())
}

fn next(signals: &Receiver<Signal>) -> anyhow::Result<Signal> {
    signals.recv_timeout(PATIENCE).with_context(|| format!("the broker sent nothing for {PATIENCE:?}"))
}
