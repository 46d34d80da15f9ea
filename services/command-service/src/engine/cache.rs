//! Where products lie that are not in memory: a store on local disk that several threads read and one writes.
//!
//! Promises: a snapshot is written as a whole or not at all; a partition that is discarded is found empty at once,
//! whatever the disk says; that a product cannot be read is believed only of the build that said so; a disk that cannot be
//! used any more ends the process, for memory alone may not hold all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Instant;

use adapter_embedded::Store;
use anyhow::Context;
use contract::avro::{STATE_FORMAT, decode_state, encode_state, known_schemas};
use domain::Product;
use ledger::{ColdError, ColdProducts, Mark, Partition, SAVED_FORMAT, SavePolicy, Saved, Snapshot, Subject};
use uuid::Uuid;

use super::instruments::Instruments;
use super::mailbox::{Mail, Mailboxes};
use crate::config::{CacheConfig, mib};

/// Snapshots that may wait to be written; whoever has one more waits.
const WAITING: usize = 2;
/// How often saved products of a partition may be unreadable before the disk is given up.
const MAX_FAILURES: u32 = 3;
/// Keys of entries begin with their partition, and topics have fewer partitions than this.
const MARKS: u16 = u16::MAX;
/// Beside the marks: which build could not read what of the partition, if one could not.
const UNREADABLES: u16 = MARKS - 1;

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
        let (store, discarded) = Store::open(dir, &identity, config.memory_mib * 1024 * 1024)?;
        if let Some(reason) = discarded {
            instruments.cache_discarded("opened");
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
        let found = self.mark(partition).and_then(|found| match found {
            Some((generation, _)) if self.may_be_read_now(partition, generation)? => {
                Err("it holds products that another build could not read".to_owned())
            }
            found => Ok(found),
        });
        let (generation, mark) = match found {
            Ok(found) => found.map_or((0, None), |(generation, mark)| (generation, Some(mark))),
            // Then nothing of this process may be taken for what lies there: no generation is that high by itself.
            Err(problem) => {
                instruments.cache_discarded("opened");
                tracing::warn!(partition = partition.0, problem, "the cache of a partition is discarded");
                (Uuid::new_v4().as_u128() as u32 | 1 << 31, None)
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

    /// Whether products of the partition could not be read by whoever saved them, and this build may be able to.
    fn may_be_read_now(&self, partition: Partition, generation: u32) -> Result<bool, String> {
        let key = special_key(UNREADABLES, partition.0 as u16);
        let found = self.store.get(&key).map_err(|error| error.to_string())?;
        let of_another = |found: Vec<u8>| {
            found.split_first_chunk().is_some_and(|(of, by)| {
                u32::from_be_bytes(*of) == generation && by != this_build().as_bytes().as_slice()
            })
        };
        Ok(found.is_some_and(of_another))
    }

    fn mark(&self, partition: Partition) -> Result<Option<(u32, Mark)>, String> {
        let key = special_key(MARKS, partition.0 as u16);
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
        self.instruments.cache_discarded("rebuilt");
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
    if snapshot.products.iter().any(Saved::is_unreadable) {
        let by = [&generation.to_be_bytes()[..], this_build().as_bytes()].concat();
        entries.push((special_key(UNREADABLES, shelf.partition).to_vec(), by));
    }
    let mark = [&generation.to_be_bytes()[..], &snapshot.mark.encode()].concat();
    entries.push((special_key(MARKS, shelf.partition).to_vec(), mark));
    Ok(shelf.cache.store.write(entries)?)
}

impl PartitionCache {
    /// Its share of the memory, if there are so many partitions.
    pub(super) fn policy(&self, partitions: i32) -> SavePolicy {
        let config = &self.cache.config;
        let partitions = partitions.max(1) as usize;
        let hot = (config.hot_products / partitions).max(1);
        let (hot_bytes, max_changed) = (mib(config.hot_mib) / partitions, (hot / 2).max(100));
        SavePolicy { hot, hot_bytes, max_changed, save_ms: config.save_ms }
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

/// Of what is kept once for each partition.
fn special_key(kind: u16, partition: u16) -> [u8; 4] {
    let ([a, b], [c, d]) = (kind.to_be_bytes(), partition.to_be_bytes());
    [a, b, c, d]
}

/// Another one may read what this one cannot: its version, and the schemas that it knows.
fn this_build() -> Uuid {
    let schemas = known_schemas().iter().flat_map(|it| [it.fqn, it.text]);
    let all: Vec<&str> = std::iter::once(env!("CARGO_PKG_VERSION")).chain(schemas).collect();
    Uuid::new_v5(&Uuid::NAMESPACE_OID, all.join("\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use toolkit::telemetry::Telemetry;

    use super::*;

    #[test]
    fn that_a_product_cannot_be_read_is_believed_only_of_the_build_that_said_so() {
        let dir = std::env::temp_dir().join(format!("folio-cache-{}", Uuid::new_v4()));
        let config = CacheConfig { dir: Some(dir.clone()), ..CacheConfig::default() };
        let instruments = Instruments::new(&Telemetry::detached("tester").unwrap().meter());
        let cache = Cache::open(&config, "a log", &instruments).unwrap().unwrap();
        // By their flags: one is whole, and of the other a record could not be read.
        let product = |id: &str, flags: u8| {
            let subject = Subject::parse(id).unwrap();
            Saved::decode(subject.clone(), &[flags, 1, 0], |bytes| decode_state(subject.as_str(), bytes))
        };
        let mark = Mark { next: 2, last: 1, key: bytes::Bytes::from_static(b"key") };
        let (readable, unreadable) = (Partition(0), Partition(1));
        for (partition, flags) in [(readable, 0), (unreadable, 1)] {
            let (shelf, found) = cache.shelf(partition, &instruments);
            assert_eq!(found, None);
            let products = vec![product("a", flags).unwrap()];
            let snapshot = Snapshot { number: 1, mark: mark.clone(), products };
            write(&shelf, shelf.generation(), &snapshot).unwrap();
        }
        let found = |partition| cache.shelf(partition, &instruments).1;
        assert_eq!([found(readable), found(unreadable)], [Some(mark.clone()), Some(mark.clone())]);
        for partition in [readable, unreadable] {
            // As another build would have written it, of a generation that is no more, and then of this one.
            let key = special_key(UNREADABLES, partition.0 as u16).to_vec();
            for (generation, is_believed) in [(7_u32, true), (0, false)] {
                let by = [&generation.to_be_bytes()[..], Uuid::nil().as_bytes()].concat();
                cache.store.write([(key.clone(), by)]).unwrap();
                assert_eq!(found(partition), is_believed.then(|| mark.clone()), "{partition:?} {generation}");
            }
        }
        drop(cache);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
