//! Following a whole small topic from its beginning: control records, dead letters.
//!
//! Promises: every record of every partition, in order per partition; one word when all that was there at the start
//! has been delivered; and no more memory than a few batches.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use ledger::{Inbox, LogRecord, Offset, Partition, Signal, TailError};
use tokio::sync::mpsc;

use super::{EndOffsets, Error, Tail, WantedHeaders, describe_topic};
use crate::config::KafkaConfig;

/// Batches that may wait to be taken.
const BATCHES: usize = 16;

/// What a followed topic tells.
#[derive(Debug)]
pub enum Followed {
    Records {
        partition: Partition,
        records: Vec<LogRecord>,
    },
    /// Everything that was there when following began has been delivered. Told once.
    CaughtUp,
    /// The partition is no longer followed.
    Failed {
        partition: Partition,
        error: TailError,
    },
}

/// Follows all partitions of `topic` from offset zero until the receiver is dropped.
pub async fn follow(config: &KafkaConfig, topic: &str) -> Result<mpsc::Receiver<Followed>, Error> {
    let partitions = describe_topic(config, topic).await?.partitions;
    let ends = EndOffsets::open(config, topic, partitions, None)?.of_all(partitions).await?;
    let awaited: BTreeMap<i32, Offset> = (0..).zip(ends).filter(|(_, end)| *end > 0).collect();
    let (sender, followed) = mpsc::channel(BATCHES);
    if awaited.is_empty() {
        // The channel is empty and its receiver is here.
        drop(sender.try_send(Followed::CaughtUp));
    }
    let inbox = Arc::new(Follower { sender: sender.clone(), awaited: Mutex::new(awaited) });
    let tail = Tail::open(config, topic, partitions, WantedHeaders::All, inbox, None)?;
    for partition in 0..partitions {
        tail.start(Partition(partition), 0);
    }
    // The tail lives as long as someone listens.
    tokio::spawn(async move {
        sender.closed().await;
        drop(tail);
    });
    Ok(followed)
}

struct Follower {
    sender: mpsc::Sender<Followed>,
    /// Where each partition ended at the start, as long as it has not been reached.
    awaited: Mutex<BTreeMap<i32, Offset>>,
}

impl Follower {
    /// Blocks the tail's thread while the receiver is slow; nobody listens any more if it fails.
    fn tell(&self, followed: Followed) {
        drop(self.sender.blocking_send(followed));
    }
}

impl Inbox for Follower {
    fn deliver(&self, signal: Signal) {
        match signal {
            Signal::Records { partition, records } => self.tell(Followed::Records { partition, records }),
            Signal::Position { partition, position } => {
                let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
                let reached = awaited.get(&partition.0).is_some_and(|end| position >= *end);
                let done = reached && awaited.remove(&partition.0).is_some() && awaited.is_empty();
                drop(awaited);
                if done {
                    self.tell(Followed::CaughtUp);
                }
            }
            Signal::TailFailed { partition, error } => self.tell(Followed::Failed { partition, error }),
            Signal::Appended { .. } | Signal::EndOffset { .. } => {}
        }
    }
}
