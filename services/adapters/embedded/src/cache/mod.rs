//! A key-value store on local disk, in this process: for what may be discarded at any time, because it can be made again.
//!
//! Promises: what one [`Store::write`] brings is there as a whole or not at all, also after `kill -9`, and so is everything
//! that was written before it; a directory serves one process at a time; a store that cannot be read, or that was made for
//! something else, is discarded with its reason, and nothing else in the file system ever is; nothing here panics on damaged
//! files.
//!
//! Start at [`Store::open`]; [`crate::tables`] stand on it.

mod error;

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use fjall::config::CompressionPolicy;
use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

pub use error::Error;

use crate::{fjall_files, lock};

/// Writes are kept in memory up to this size, then sorted into files.
const MEMTABLE_BYTES: u64 = 8 * 1024 * 1024;
/// The journal of writes that are not in files yet, which a start reads again: the least there is.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;
const OPEN_FILES: usize = 256;
/// Entries removed at once.
const REMOVED_AT_ONCE: usize = 10_000;

/// Marks the directory as ours, and as one that backups may leave out (<https://bford.info/cachedir/>).
const TAG: (&str, &str) = (
    "CACHEDIR.TAG",
    "Signature: 8a477f597d28d172789f06886806bc55\n# A cache of Folio. May be deleted at any time.\n",
);
const IDENTITY: &str = "identity";
/// Why what lies there is not to be used again.
const DISTRUSTED: &str = "distrusted";
const DATA: &str = "data";

/// An open store. Everything on it may block on the disk.
pub struct Store {
    database: Database,
    pub(crate) entries: Keyspace,
    dir: PathBuf,
    /// Held until the last, so that nobody opens what is still being closed.
    _lock: File,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("dir", &self.dir).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `dir`, made if it is missing. `identity` says what it is for: a store of another identity, or
    /// one that cannot be read, is discarded, and the reason is returned beside the new one. `cache_bytes`: memory
    /// for what was read.
    pub fn open(dir: &Path, identity: &str, cache_bytes: u64) -> Result<(Self, Option<String>), Error> {
        let io = |tried: &'static str| {
            move |error: io::Error| Error::Unusable { tried, dir: dir.to_owned(), problem: error.to_string() }
        };
        fs::create_dir_all(dir).map_err(io("make the directory"))?;
        if !is_ours(dir).map_err(io("look into the directory"))? {
            return Err(Error::NotOurs { dir: dir.to_owned() });
        }
        let taken = lock::take(dir).map_err(io("lock the directory"))?;
        let lock = taken.ok_or_else(|| Error::InUse { dir: dir.to_owned() })?;
        let open = |lock: File| {
            let (database, entries) = open_data(&dir.join(DATA), cache_bytes)?;
            Ok::<_, String>(Self { database, entries, dir: dir.to_owned(), _lock: lock })
        };
        let mut discarded = None;
        if dir.join(DATA).exists() {
            let second = lock.try_clone().map_err(io("lock the directory"))?;
            let kept = is_of(dir, identity).and_then(|()| is_whole(dir)).and_then(|()| open(second));
            match kept {
                Ok(store) => return Ok((store, None)),
                Err(reason) => discarded = Some(reason),
            }
        }
        discard(dir).map_err(io("discard what is in the directory"))?;
        let store = open(lock).map_err(|problem| Error::Unusable {
            tried: "make a store in the directory",
            dir: dir.to_owned(),
            problem,
        })?;
        // Last: a store without its identity was never finished.
        fs::write(dir.join(IDENTITY), identity).map_err(io("write into the directory"))?;
        Ok((store, discarded))
    }

    /// The value of `key`.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.tried("read from", || self.entries.get(key).map(|value| value.map(|value| value.to_vec())))
    }

    /// Writes all of it, or nothing.
    pub fn write(&self, entries: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Result<(), Error> {
        self.tried("write into", || {
            let mut batch = self.database.batch();
            for (key, value) in entries {
                batch.insert(&self.entries, key, value);
            }
            batch.commit()
        })
    }

    /// Removes every key at `from` and below `to`, a part at a time.
    pub fn remove(&self, from: &[u8], to: &[u8]) -> Result<(), Error> {
        while self.remove_some(from, to)?.is_some() {}
        Ok(())
    }

    /// Removes some keys at `from` and below `to`, the first of them; the last that was removed. None: there are none.
    pub(crate) fn remove_some(&self, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        self.tried("remove from", || {
            let (mut batch, mut last) = (self.database.batch(), None);
            for entry in self.entries.range(from..to).take(REMOVED_AT_ONCE) {
                let key = entry.key()?;
                batch.remove(&self.entries, key.clone());
                last = Some(key);
            }
            batch.commit()?;
            Ok(last.map(|key| key.to_vec()))
        })
    }

    /// What was written before is on the disk then, also after a loss of power.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.tried("sync", || self.database.persist(PersistMode::SyncAll))
    }

    /// What lies there is discarded when it is opened next. Until then it goes on as it is.
    pub(crate) fn distrust(&self, reason: &str) {
        // On a disk that takes no file any more the same failure comes again after the next opening.
        drop(fs::write(self.dir.join(DISTRUSTED), reason));
    }

    /// Where it lies.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The library asserts in places that its files are as it wrote them: that is an error here.
    pub(crate) fn tried<T>(
        &self,
        tried: &'static str,
        work: impl FnOnce() -> fjall::Result<T>,
    ) -> Result<T, Error> {
        let problem = match catch_unwind(AssertUnwindSafe(work)) {
            Ok(Ok(done)) => return Ok(done),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "its files are damaged".to_owned(),
        };
        Err(Error::Failed { tried, dir: self.dir.clone(), problem })
    }
}

/// Whether the directory is a cache of Folio's, which it is made if it is empty.
fn is_ours(dir: &Path) -> io::Result<bool> {
    let tag = dir.join(TAG.0);
    // The tag is a standard that other programs write too: only its text says whose it is. It is empty if whoever wrote it was
    // interrupted, and then nothing but the lock was made.
    let besides: &[&str] = match fs::read(&tag) {
        Ok(found) if found == TAG.1.as_bytes() => return Ok(true),
        Ok(found) if found.is_empty() => &[TAG.0, lock::FILE],
        Ok(_) => return Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotFound => &[],
        Err(error) => return Err(error),
    };
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if !besides.iter().any(|beside| name == *beside) {
            return Ok(false);
        }
    }
    fs::write(&tag, TAG.1)?;
    Ok(true)
}

/// Removes what was there. The identity goes first, and for good: what is half removed, or half made after it, must not pass for
/// a store of that identity.
fn discard(dir: &Path) -> io::Result<()> {
    remove(fs::remove_file(dir.join(IDENTITY)))?;
    File::open(dir)?.sync_all()?;
    remove(fs::remove_dir_all(dir.join(DATA)))?;
    // It spoke of what is gone.
    remove(fs::remove_file(dir.join(DISTRUSTED)))
}

/// What was not there is removed.
fn remove(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Whether fjall can be trusted with what lies there; the error says why not.
fn is_whole(dir: &Path) -> Result<(), String> {
    fjall_files::check(&dir.join(DATA)).map_err(|problem| format!("it cannot be read: {problem}"))
}

/// Whether the store was made for `identity`; the error says why not.
fn is_of(dir: &Path, identity: &str) -> Result<(), String> {
    if dir.join(DISTRUSTED).exists() {
        let reason = fs::read_to_string(dir.join(DISTRUSTED)).unwrap_or_default();
        return Err(format!("it failed in use: {reason}"));
    }
    match fs::read_to_string(dir.join(IDENTITY)) {
        Ok(found) if found == identity => Ok(()),
        Ok(found) => Err(format!("it is of \"{found}\", not of \"{identity}\"")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err("it was never finished".to_owned()),
        Err(error) => Err(format!("its identity cannot be read: {error}")),
    }
}

fn open_data(dir: &Path, cache_bytes: u64) -> Result<(Database, Keyspace), String> {
    let open = || {
        let database = Database::builder(dir)
            .cache_size(cache_bytes)
            .max_journaling_size(JOURNAL_BYTES)
            .max_cached_files(Some(OPEN_FILES))
            .worker_threads(1)
            .open()?;
        let options = || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .data_block_compression_policy(CompressionPolicy::disabled())
        };
        let entries = database.keyspace("entries", options)?;
        Ok::<_, fjall::Error>((database, entries))
    };
    match catch_unwind(AssertUnwindSafe(open)) {
        Ok(opened) => opened.map_err(|error| format!("it cannot be read: {error}")),
        Err(_) => Err("it cannot be read: its files are damaged".to_owned()),
    }
}

#[cfg(test)]
mod tests;
