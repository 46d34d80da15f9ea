//! Watches who leads the partitions, on a thread of its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use adapter_kafka::KafkaConfig;
use adapter_kafka::{ReplicaWatch, Replicas};

const EVERY: Duration = Duration::from_millis(200);

#[derive(Debug, Default)]
struct Seen {
    stop: AtomicBool,
    changes: AtomicU64,
    latest: Mutex<Vec<Replicas>>,
}

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct Leaders {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

impl Leaders {
    pub(crate) fn watch(config: &KafkaConfig, topic: &str) -> anyhow::Result<Self> {
        let watch = ReplicaWatch::open(&KafkaConfig { request_timeout_ms: 1_000, ..config.clone() }, topic)?;
        let seen = Arc::new(Seen::default());
        let mine = Arc::clone(&seen);
        let thread =
            std::thread::Builder::new().name("leaders".to_owned()).spawn(move || mine.run(&watch))?;
        Ok(Self { seen, thread: Some(thread) })
    }

    /// How often a partition got another leader, so far.
    pub(crate) fn changes(&self) -> u64 {
        self.seen.changes.load(Ordering::SeqCst)
    }

    /// The partitions as last seen. Empty at first.
    pub(crate) fn latest(&self) -> Vec<Replicas> {
        self.seen.latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether every replica of every partition is in sync.
    pub(crate) fn all_in_sync(&self) -> bool {
        let latest = self.latest();
        !latest.is_empty() && latest.iter().all(|it| it.leader.is_some() && it.in_sync == it.replicas)
    }
}

impl Seen {
    fn run(&self, watch: &ReplicaWatch) {
        while !self.stop.load(Ordering::SeqCst) {
            // While no broker answers there is nothing to see.
            if let Ok(mut now) = watch.now() {
                let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
                for (before, now) in latest.iter().zip(&now) {
                    let changed = now.leader.is_some() && before.leader != now.leader;
                    self.changes.fetch_add(u64::from(changed), Ordering::SeqCst);
                }
                // Between two leaders there may be none.
                for (before, now) in latest.iter().zip(&mut now).filter(|(_, now)| now.leader.is_none()) {
                    now.leader = before.leader;
                    now.in_sync = 0;
                }
                *latest = now;
            }
            std::thread::sleep(EVERY);
        }
    }
}

impl Drop for Leaders {
    fn drop(&mut self) {
        self.seen.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            eprintln!("the thread that watched the leaders panicked");
        }
    }
}
