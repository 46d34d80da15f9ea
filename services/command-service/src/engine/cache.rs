//! Where products lie that are not in memory: a store on local disk that several threads read and one writes.
//!
//! Promises: a snapshot is written as a whole or not at all; a partition that is discarded is found empty at once,
//! whatever the disk says; a disk that cannot be used any more ends the process, for memory alone may not hold all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use adapter_embedded::Store;
use anyhow::Context;
use contract::avro::{STATE_FORMAT, decode_state, encode_state};
use domain::Product;
use ledger::{ColdError, ColdProducts, Mark, Partition, SAVED_FORMAT, SavePolicy, Saved, Snapshot, Subject};

use super::instruments::Instruments;
use super::mailbox::{Mail, Mailboxes};
use crate::config::{CacheConfig, mib};

/// Snapshots that may wait to be written; whoever has one more waits.
const WAITING: usize = 2;
/// How often saved products of a partition may be unreadable before the disk is given up.
const MAX_FAILURES: u32 = 3;
/// Keys of entries begin with their partition, and topics have fewer partitions than this.
const MARKS: u16 = u16::MAX;

/// An open cache. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Cache {
    store: Arc<Store>,
    config: CacheConfig,
}

impl Cache {
    /// Opens the cache in the configured directory for a log: `None` if none is configured. One of another log, or
    /// that cannot be read, is discarded. Blocks on the disk.
    pub fn open(config: &CacheConfig, log: &str, instruments: &Instruments) -> anyhow::Result<Option<Self>> {
        let Some(dir) = &config.dir else { return Ok(None) };
        let start = Instant::now();
        let identity = format!("{log}, format {SAVED_FORMAT}.{STATE_FORMAT}");
        let (store, thrown_away) = Store::open(dir, &identity, config.memory_mib * 1024 * 1024)?;
        if let Some(reason) = thrown_away {
            instruments.cache_thrown_away("opened");
            tracing::warn!(
                dir = %dir.display(), reason,
                "the cache was discarded: products are built again from the log"
            );
        }
        tracing::info!(dir = %dir.display(), duration_ms = start.elapsed().as_millis() as u64, "the cache is open");
        Ok(Some(Self { store: Arc::new(store), config: config.clone() }))
    }

    /// The shelf of one partition, and where its last snapshot stands.
    pub(super) fn shelf(
        &self,
        partition: Partition,
        instruments: &Instruments,
    ) -> (PartitionCache, Option<Mark>) {
        let (generation, mark) = match self.mark(partition) {
            Ok(found) => found.map_or((0, None), |(generation, mark)| (generation, Some(mark))),
            // Then nothing of this process may be taken for what lies there: no generation is that high by itself.
            Err(problem) => {
                instruments.cache_thrown_away("opened");
                tracing::warn!(partition = partition.0, problem, "the cache of a partition is discarded");
                (uuid::Uuid::new_v4().as_u128() as u32 | 1 << 31, None)
            }
        };
        let made = PartitionCache {
            cache: self.clone(),
            partition: partition.0 as u16,
            generation: Arc::new(AtomicU32::new(generation)),
            failures: Arc::default(),
            instruments: instruments.clone(),
        };
        if let Err(error) = made.sweep() {
            // It is only disk space.
            tracing::warn!(partition = partition.0, %error, "old entries of the cache are not removed");
        }
        (made, mark)
    }

    fn mark(&self, partition: Partition) -> Result<Option<(u32, Mark)>, String> {
        let key = mark_key(partition.0 as u16);
        let Some(bytes) = self.store.get(&key).map_err(|error| error.to_string())? else { return Ok(None) };
        let (generation, mark) = bytes.split_first_chunk().ok_or("its mark is damaged")?;
        let mark = Mark::decode(mark).map_err(|error| error.to_string())?;
        Ok(Some((u32::from_be_bytes(*generation), mark)))
    }
}

/// The saved products of one partition. Clones are the same shelf.
#[derive(Clone, Debug)]
pub(super) struct PartitionCache {
    cache: Cache,
    partition: u16,
    /// Part of every key: what was written under another does not exist.
    generation: Arc<AtomicU32>,
    /// How often reading has failed.
    failures: Arc<AtomicU32>,
    instruments: Instruments,
}

impl PartitionCache {
    fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Whether the disk is to be given up.
    pub(super) fn is_broken(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= MAX_FAILURES
    }
}

impl ColdProducts<Product> for PartitionCache {
    fn load(&self, subject: &Subject) -> Result<Option<Saved<Product>>, ColdError> {
        let failed = |problem: ColdError| {
            self.failures.fetch_add(1, Ordering::Relaxed);
            problem
        };
        let key = entry_key(self.partition, self.generation(), subject);
        let found = self.cache.store.get(&key).map_err(|error| failed(ColdError(error.to_string())))?;
        let Some(bytes) = found else { return Ok(None) };
        self.instruments.cold_load();
        let decode = |bytes: &[u8]| decode_state(subject.as_str(), bytes);
        Saved::decode(subject.clone(), &bytes, decode).map(Some).map_err(failed)
    }

    fn clear(&mut self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        self.instruments.cache_thrown_away("rebuilt");
    }
}

/// A snapshot on its way to the disk.
struct Job {
    shelf: PartitionCache,
    generation: u32,
    snapshot: Snapshot<Product>,
}

/// Hands snapshots to the thread that writes them. The thread ends with the last clone.
#[derive(Clone)]
pub(super) struct Saver {
    jobs: SyncSender<Job>,
}

impl Saver {
    /// The way to the thread, and what it runs.
    pub(super) fn new(
        mailboxes: Mailboxes,
        instruments: Instruments,
    ) -> (Self, impl FnOnce() -> anyhow::Result<()> + Send + 'static) {
        let (jobs, taken) = sync_channel(WAITING);
        (Self { jobs }, move || write_all(&taken, &mailboxes, &instruments))
    }

    /// Waits while too many are on their way. Does nothing once the thread has failed: then the process ends.
    pub(super) fn save(&self, of: &PartitionCache, snapshot: Snapshot<Product>) {
        let job = Job { shelf: of.clone(), generation: of.generation(), snapshot };
        if self.jobs.send(job).is_err() {
            tracing::debug!("a snapshot is not written: the cache has failed");
        }
    }
}

/// Ends with the first failure: a snapshot says what has changed since the one before it.
fn write_all(jobs: &Receiver<Job>, mailboxes: &Mailboxes, instruments: &Instruments) -> anyhow::Result<()> {
    for Job { shelf, generation, snapshot } in jobs {
        let start = Instant::now();
        let written = write(&shelf, generation, &snapshot)
            .context("the cache cannot be written: free its disk, or give another cache.dir");
        let partition = Partition(i32::from(shelf.partition));
        let outcome = written.as_ref().map(|()| snapshot.number).map_err(|problem| format!("{problem:#}"));
        mailboxes.of(partition).saved(Mail::Saved { partition, outcome });
        written?;
        instruments.cache_saved(start.elapsed());
    }
    Ok(())
}

fn write(shelf: &PartitionCache, generation: u32, snapshot: &Snapshot<Product>) -> anyhow::Result<()> {
    let mut entries = Vec::with_capacity(snapshot.products.len() + 1);
    for saved in &snapshot.products {
        entries.push((entry_key(shelf.partition, generation, saved.subject()), saved.encode(encode_state)?));
    }
    let mark = [&generation.to_be_bytes()[..], &snapshot.mark.encode()].concat();
    entries.push((mark_key(shelf.partition).to_vec(), mark));
    Ok(shelf.cache.store.write(entries)?)
}

impl PartitionCache {
    /// Its share of the memory, if there are so many partitions.
    pub(super) fn policy(&self, partitions: i32) -> SavePolicy {
        let config = &self.cache.config;
        let partitions = partitions.max(1) as usize;
        let hot = (config.hot_products / partitions).max(1);
        let (hot_bytes, most_changed) = (mib(config.hot_mib) / partitions, (hot / 2).max(100));
        SavePolicy { hot, hot_bytes, most_changed, save_ms: config.save_ms }
    }

    /// Removes what lies under other generations than the current one.
    pub(super) fn sweep(&self) -> Result<(), adapter_embedded::Error> {
        let at = |generation: u32| [&self.partition.to_be_bytes()[..], &generation.to_be_bytes()].concat();
        let (own, next) = (self.generation(), (self.partition + 1).to_be_bytes());
        self.cache.store.remove(&at(0), &at(own))?;
        own.checked_add(1).map_or(Ok(()), |above| self.cache.store.remove(&at(above), &next))
    }
}

fn entry_key(partition: u16, generation: u32, subject: &Subject) -> Vec<u8> {
    [&partition.to_be_bytes()[..], &generation.to_be_bytes(), subject.as_str().as_bytes()].concat()
}

fn mark_key(partition: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (MARKS.to_be_bytes(), partition.to_be_bytes());
    [a, b, c, d]
}
