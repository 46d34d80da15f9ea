//! The log's files: opened with what they are checked for, read in stretches, written a group at a time. Blocks on the disk.
//!
//! Promises: what [`Store::write`] has returned is on the disk (unless the log is not durable), as a whole and before anybody can
//! read it; what was written and not returned is there as a whole or not at all when the log is opened again; what was acknowledged is never
//! removed; a record comes back as it was written, or there is an error that names it.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fjall::config::{BlockSizePolicy, CompressionPolicy, FilterPolicy};
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};
use ledger::{LogRecord, Offset, Partition};
use uuid::Uuid;

use super::form::{self, Key, position_key, record_key};
use super::journal;
use super::{LogError, LogOptions};
use crate::fjall_files::{self, Problem};

/// Writes are kept in memory up to this size, then sorted into files.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;
/// The journal of writes that are not in files yet, which a start reads again: the least there is.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;
/// Memory for what was read. A log is read from one end to the other: there is little to remember.
const CACHE_BYTES: u64 = 4 * 1024 * 1024;
/// Records are read in stretches: larger blocks are fewer reads.
const BLOCK_BYTES: u32 = 16 * 1024;
const OPEN_FILES: usize = 256;
/// One writes files while the other merges some: a write never waits for a merge.
const WORKERS: usize = 2;
/// At so many of these fjall would halt a write within it, for ever if what should make room has failed meanwhile.
const UNWRITTEN_MEMTABLES: usize = 3;
const UNMERGED_FILES: usize = 25;
const ROOM_LOOK: Duration = Duration::from_millis(2);
/// Records at the end of each partition that an opening reads.
const CHECKED_RECORDS: Offset = 64;
/// What a full disk has no room for: the next file.
const PROBE_BYTES: usize = MEMTABLE_BYTES as usize;

/// Everything of the log but the lock. It is made under the other name, so that it is there as a whole or not at all.
const LOG: &str = "log";
const UNFINISHED: &str = "log.unfinished";
const IDENTITY: &str = "identity";
const DATA: &str = "data";

/// How much one read takes at most. Bytes are of keys and values, and the last record may exceed them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// Where a partition ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    pub(super) offset: Offset,
    /// Of its last record, in milliseconds since 1970.
    pub(super) timestamp_ms: i64,
}

/// What one write brings.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) records: Vec<(Key, Vec<u8>)>,
    pub(super) positions: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(super) struct Store {
    database: Database,
    entries: Keyspace,
    dir: PathBuf,
    identity: String,
    durable: bool,
    /// Held until the last, so that nobody opens what is still being closed.
    _lock: File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the log in `dir`, made if it is missing; where each partition ends.
    pub(super) fn open(dir: &Path, options: &LogOptions) -> Result<(Self, Vec<End>), LogError> {
        let unusable = |tried| move |error: io::Error| unusable(tried, dir, error);
        make_dir(dir).map_err(unusable("make the directory"))?;
        let lock = lock(dir)?;
        let (log, wanted) = (dir.join(LOG), described(options));
        if !log.try_exists().map_err(unusable("look into the directory"))? {
            make(dir, &format!("{wanted}\n{}\n", Uuid::new_v4()))?;
        }
        let refused = |untouched| {
            move |problem: Problem| match problem {
                Problem::Damage(what) => LogError::Damaged { dir: dir.to_owned(), what, untouched },
                Problem::Io(error) => unusable("open the log in")(error),
            }
        };
        let path = log.join(IDENTITY);
        let identity =
            fs::read_to_string(&path).map_err(|error| refused(true)(Problem::of(&path, &error)))?;
        let identity = identity.trim_end();
        match identity.rsplit_once('\n') {
            Some((found, _)) if found == wanted => {}
            Some((found, _)) => {
                return Err(LogError::Other { dir: dir.to_owned(), found: found.to_owned(), wanted });
            }
            None => {
                let what = format!("{LOG}/{IDENTITY} is \"{identity}\"");
                return Err(refused(true)(Problem::Damage(what)));
            }
        }
        let identity = identity.replace('\n', ", ");
        let data = log.join(DATA);
        fjall_files::check(&data).map_err(refused(true))?;
        let cut = journal::check(&data).map_err(refused(true))?;
        if cut > 0 {
            tracing::info!(dir = %dir.display(), cut_bytes = cut, "cut off a write that was not finished");
        }
        // From here on fjall may have changed something.
        let refused = refused(false);
        let opened = open_data(&data).map_err(|failure| failure.at(&format!("{LOG}/{DATA}")));
        let (database, entries) = opened.map_err(refused)?;
        if !fjall_files::has_ours(&data).map_err(refused)? {
            return Err(refused(Problem::Damage(format!("{LOG}/{DATA} has lost its records"))));
        }
        let (dir, durable) = (dir.to_owned(), options.durable);
        let store = Self { database, entries, dir, identity, durable, _lock: lock };
        let ends = (0..options.partitions).map(|partition| store.check_end(Partition(partition)));
        let ends = ends.collect::<Result<_, _>>().map_err(refused)?;
        Ok((store, ends))
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn identity(&self) -> &str {
        &self.identity
    }

    /// Where the partition ends, after a look at its beginning and its last records.
    fn check_end(&self, partition: Partition) -> Result<End, Problem> {
        let range = record_key(partition, 0)..record_key(Partition(partition.0 + 1), 0);
        let edge = |guard: Option<fjall::Guard>| guard.map(fjall::Guard::key).transpose();
        let place = format!("partition {partition}");
        let (first, last) = tried_with(|| {
            let first = edge(self.entries.range(range.clone()).next())?;
            Ok((first, edge(self.entries.range(range).next_back())?))
        })
        .map_err(|failure| failure.at(&place))?;
        let (Some(first), Some(last)) = (first, last) else { return Ok(End::default()) };
        let first = form::place(&first).map(|(_, offset)| offset);
        let Some((_, last)) = form::place(&last) else {
            return Err(Problem::Damage(format!("{place}: a key is not one of a record")));
        };
        if first != Some(0) {
            let what = format!("{place}, offset 0: there is no record, but there are later ones");
            return Err(Problem::Damage(what));
        }
        let from = (last + 1 - CHECKED_RECORDS).max(0);
        let all = Limit { records: usize::MAX, bytes: usize::MAX };
        let records = self.read_stretch(partition, from, last + 1, all)?;
        let timestamp_ms = records.last().map_or(0, |record| record.timestamp_ms);
        Ok(End { offset: last + 1, timestamp_ms })
    }

    /// The records at `from..to`, all of which must be there, as far as `limit` allows: at least one, unless the limit is zero or
    /// there are none to read. The error names the place.
    pub(super) fn read(
        &self,
        partition: Partition,
        from: Offset,
        to: Offset,
        limit: Limit,
    ) -> Result<Vec<LogRecord>, String> {
        self.read_stretch(partition, from, to, limit).map_err(|problem| problem.to_string())
    }

    fn read_stretch(
        &self,
        partition: Partition,
        from: Offset,
        to: Offset,
        limit: Limit,
    ) -> Result<Vec<LogRecord>, Problem> {
        let (mut records, mut bytes) = (Vec::new(), 0);
        let mut next = from;
        let place = |offset| format!("partition {partition}, offset {offset}");
        let damage = |offset, problem: &str| Problem::Damage(format!("{}: {problem}", place(offset)));
        let mut stretch = None;
        while next < to && records.len() < limit.records && bytes < limit.bytes {
            let entry = tried_with(|| {
                let range = || self.entries.range(record_key(partition, from)..record_key(partition, to));
                stretch.get_or_insert_with(range).next().map(fjall::Guard::into_inner).transpose()
            });
            let entry = entry.map_err(|failure| failure.at(&place(next)))?;
            let Some((key, value)) = entry.filter(|(key, _)| key[..] == record_key(partition, next)) else {
                return Err(damage(next, "there is no record, but there are later ones"));
            };
            let record = form::read_record(&key, &value).map_err(|problem| damage(next, problem))?;
            bytes += record.key.len() + record.value.as_ref().map_or(0, bytes::Bytes::len);
            records.push(record);
            next += 1;
        }
        Ok(records)
    }

    /// What the group has committed for the partition.
    pub(super) fn position(&self, group: &str, partition: Partition) -> Result<Option<Offset>, String> {
        let key = position_key(group, partition);
        let Some(value) = tried(|| self.entries.get(&key))? else { return Ok(None) };
        let read = form::read_position(&key, &value).map(Some);
        read.map_err(|problem| format!("the position of group {group} in partition {partition}: {problem}"))
    }

    /// Writes all of it, and waits until it is on the disk. After an error nothing can be written any more: what was tried may or may
    /// not be there when the log is opened again.
    pub(super) fn write(&self, group: Group) -> Result<(), String> {
        let written = self.wait_for_room().and_then(|()| {
            tried_with(|| {
                let mode = if self.durable { PersistMode::SyncData } else { PersistMode::Buffer };
                let number = group.records.len() + group.positions.len();
                let batch = fjall::OwnedWriteBatch::with_capacity(self.database.clone(), number);
                let mut batch = batch.durability(Some(mode));
                for (key, value) in group.records {
                    batch.insert(&self.entries, key, value);
                }
                for (key, value) in group.positions {
                    batch.insert(&self.entries, key, value);
                }
                batch.commit()
            })
        });
        written.map_err(|failure| self.describe(&failure))
    }

    /// Waits while what was written earlier has to be sorted into files first.
    fn wait_for_room(&self) -> Result<(), Failure> {
        while self.entries.sealed_memtable_count() >= UNWRITTEN_MEMTABLES
            || self.entries.l0_table_count() >= UNMERGED_FILES
        {
            // Fails if the thread that makes room has.
            tried_with(|| self.database.persist(PersistMode::Buffer))?;
            std::thread::sleep(ROOM_LOOK);
        }
        Ok(())
    }

    fn describe(&self, failure: &Failure) -> String {
        let dir = self.dir.display();
        let is_full = match failure {
            Failure::Fjall(fjall::Error::Io(error)) => error.kind() == io::ErrorKind::StorageFull,
            // Another thread met the cause, and told nobody.
            Failure::Fjall(fjall::Error::Poisoned) => is_full(&self.dir),
            Failure::Fjall(_) | Failure::Panic => false,
        };
        if is_full {
            return format!("no space left on {dir}: free some, then start again");
        }
        format!("cannot write to the log in {dir}: {failure}: look after its disk, then start again")
    }
}

/// Takes the log for this process, or says that another one has it.
fn lock(dir: &Path) -> Result<File, LogError> {
    let taken = crate::lock::take(dir).map_err(|error| unusable("lock the directory", dir, error))?;
    taken.ok_or_else(|| LogError::InUse { dir: dir.to_owned() })
}

/// Makes the directory and those above it that are missing, so that they are still there after a loss of power.
fn make_dir(dir: &Path) -> io::Result<()> {
    let is_missing = |dir: &&Path| !dir.as_os_str().is_empty() && !dir.exists();
    let made: Vec<_> = dir.ancestors().take_while(is_missing).collect();
    fs::create_dir_all(dir)?;
    for dir in made {
        let above = dir.parent().filter(|above| !above.as_os_str().is_empty());
        File::open(above.unwrap_or(Path::new(".")))?.sync_all()?;
    }
    Ok(())
}

/// Makes an empty log, as a whole.
fn make(dir: &Path, identity: &str) -> Result<(), LogError> {
    let unfinished = dir.join(UNFINISHED);
    let make = || {
        if unfinished.try_exists()? {
            fs::remove_dir_all(&unfinished)?;
        }
        fs::create_dir_all(&unfinished)?;
        drop(open_data(&unfinished.join(DATA)).map_err(io::Error::other)?);
        let path = unfinished.join(IDENTITY);
        fs::write(&path, identity)?;
        File::open(&path)?.sync_all()?;
        File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, dir.join(LOG))?;
        File::open(dir)?.sync_all()
    };
    make().map_err(|error| unusable("make a log in", dir, error))
}

/// What a log is for, for people to read and for an opening to compare.
fn described(options: &LogOptions) -> String {
    format!("topic {} of {} partitions, in format 1", options.topic, options.partitions)
}

fn unusable(tried: &'static str, dir: &Path, error: impl std::fmt::Display) -> LogError {
    LogError::Unusable { tried, dir: dir.to_owned(), problem: error.to_string() }
}

fn open_data(dir: &Path) -> Result<(Database, Keyspace), Failure> {
    tried_with(|| {
        let database = Database::builder(dir)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .max_cached_files(Some(OPEN_FILES))
            .worker_threads(WORKERS)
            .open()?;
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .data_block_size_policy(BlockSizePolicy::all(BLOCK_BYTES))
                .data_block_compression_policy(CompressionPolicy::disabled())
                // Filters answer whether a key is there: nobody asks that of a log.
                .filter_policy(FilterPolicy::disabled())
        };
        let entries = database.keyspace("log", options)?;
        Ok((database, entries))
    })
}

/// Whether the disk has no room for the next file.
fn is_full(dir: &Path) -> bool {
    let probe = dir.join("probe");
    let written = fs::write(&probe, vec![1; PROBE_BYTES]);
    // It may not be there.
    drop(fs::remove_file(&probe));
    written.is_err_and(|error| error.kind() == io::ErrorKind::StorageFull)
}

/// Why fjall did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{}", said(.0))]
    Fjall(fjall::Error),
    /// It asserts in places that its files are as it wrote them.
    #[error("its files are damaged")]
    Panic,
}

impl Failure {
    /// What it means for who reads or opens what lies at `place`.
    fn at(self, place: &str) -> Problem {
        let is_damage = match &self {
            Self::Fjall(fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error))) => {
                fjall_files::is_damage(error)
            }
            Self::Fjall(fjall::Error::Locked | fjall::Error::Poisoned) => false,
            Self::Fjall(_) | Self::Panic => true,
        };
        let what = format!("{place}: {self}");
        if is_damage { Problem::Damage(what) } else { Problem::Io(io::Error::other(what)) }
    }
}

fn said(error: &fjall::Error) -> String {
    match error {
        fjall::Error::Io(error) | fjall::Error::Storage(fjall::LsmError::Io(error)) => error.to_string(),
        fjall::Error::Poisoned => "an earlier write failed".to_owned(),
        other => other.to_string(),
    }
}

fn tried<T>(work: impl FnOnce() -> fjall::Result<T>) -> Result<T, String> {
    tried_with(work).map_err(|failure| failure.to_string())
}

fn tried_with<T>(work: impl FnOnce() -> fjall::Result<T>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(Failure::Fjall(error)),
        Err(_) => Err(Failure::Panic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_says_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let options = LogOptions { topic: "events".to_owned(), partitions: 1, durable: false };
        let (store, _) = Store::open(dir.path(), &options).unwrap();
        let full = io::Error::from(io::ErrorKind::StorageFull);
        let said = store.describe(&Failure::Fjall(fjall::Error::Io(full)));
        let expected = format!("no space left on {}: free some, then start again", dir.path().display());
        assert_eq!(said, expected);
        let said = store.describe(&Failure::Fjall(fjall::Error::Poisoned));
        assert!(said.contains("an earlier write failed: look after its disk"), "{said}");
        assert!(!dir.path().join("probe").exists());
    }
}
