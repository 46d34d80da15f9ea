//! Tables of rows that have versions, all of them in one store on local disk.
//!
//! Promises: a change takes effect if and only if it is not older than what is there, by its version, in whatever order changes
//! come and however many threads make them; a delete keeps its version, so that an older put does not bring the row back, and of a
//! put and a delete with the same version the delete stays; the changes of one [`Tables::write`] are there as a whole or not at
//! all. What a crash leaves is everything up to one of the writes: whoever finds a row finds what was written before it. (Nothing
//! is synced but by [`Tables::sync`]: after a loss of power the last seconds may be missing.)
//!
//! Start at [`Tables::open`].

use std::collections::BTreeMap;
use std::ops::Bound;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Error, Store};

/// How keys and values are laid out.
const FORMAT: u32 = 1;

/// Open tables. Cheap to clone. Everything on them may block on the disk.
#[derive(Debug, Clone)]
pub struct Tables(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    /// Held from the look at what is there until the change is there.
    writing: Mutex<()>,
}

/// One of the tables. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Table {
    tables: Tables,
    /// What the table's keys begin with in the store.
    prefix: Arc<[u8]>,
}

/// A row of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub version: u64,
    pub bytes: Vec<u8>,
}

/// A row to put or to delete: see [`Table::put`] and [`Table::delete`].
#[derive(Debug, Clone)]
pub struct Change {
    key: Vec<u8>,
    stamp: Stamp,
    /// Begins with the stamp.
    value: Vec<u8>,
}

/// The order of rows, by the bytes of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// What a value begins with: its version, and whether the row is there. Its order is that of changes.
type Stamp = [u8; 9];
const PRESENT: u8 = 0;
const DELETED: u8 = 1;

impl Tables {
    /// Opens the tables in `dir`, made if it is missing. `identity` says what they are made from, and how: those of another
    /// identity, damaged ones, and those that failed when they were used last, are discarded, and the reason is returned beside
    /// the new, empty ones. `memory_bytes`: for what was read.
    ///
    /// # Errors
    /// If another process has the directory, it holds files of something else, or it cannot be worked with.
    pub fn open(dir: &Path, identity: &str, memory_bytes: u64) -> Result<(Self, Option<String>), Error> {
        let identity = format!("tables {FORMAT}, {identity}");
        let (store, discarded) = Store::open(dir, &identity, memory_bytes)?;
        Ok((Self(Arc::new(Inner { store, writing: Mutex::new(()) })), discarded))
    }

    /// The table of this name, which has no zero byte; empty, if nothing was ever written into it.
    pub fn table(&self, name: &str) -> Table {
        let prefix = [name.as_bytes(), &[0]].concat();
        Table { tables: self.clone(), prefix: prefix.into() }
    }

    /// Makes those of the changes, in any of the tables, that are not older than what is there: all of them, or (on an error)
    /// none. Of several changes of one row the newest stays.
    ///
    /// # Errors
    /// If the disk or its files fail. That stays so: the tables are to be opened again, and are empty then.
    pub fn write(&self, changes: impl IntoIterator<Item = Change>) -> Result<(), Error> {
        self.write_after(|| Ok(Some(changes))).map(drop)
    }

    /// As [`Tables::write`], of the changes that `look` returns: from the moment that it looks until they are there, nobody else
    /// writes. With `None` nothing is written. Whether there were changes.
    ///
    /// # Errors
    /// As [`Tables::write`], and those of `look`.
    pub fn write_after<C: IntoIterator<Item = Change>>(
        &self,
        look: impl FnOnce() -> Result<Option<C>, Error>,
    ) -> Result<bool, Error> {
        let _alone = self.alone();
        let Some(changes) = look()? else { return Ok(false) };
        let mut newest: BTreeMap<Vec<u8>, (Stamp, Vec<u8>)> = BTreeMap::new();
        for Change { key, stamp, value } in changes {
            let there = match newest.get(&key) {
                Some((earlier, _)) => Some(*earlier),
                None => self.get(&key)?.map(|value| self.stamp(&value)).transpose()?,
            };
            if there.is_none_or(|there| there <= stamp) {
                newest.insert(key, (stamp, value));
            }
        }
        self.trusted(self.0.store.write(newest.into_iter().map(|(key, (_, value))| (key, value))))?;
        Ok(true)
    }

    /// Everything that was written before is on the disk then, in all of the tables, also after a loss of power.
    ///
    /// # Errors
    /// As [`Tables::write`].
    pub fn sync(&self) -> Result<(), Error> {
        self.trusted(self.0.store.sync())
    }

    /// Nobody else writes meanwhile.
    fn alone(&self) -> MutexGuard<'_, ()> {
        self.0.writing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn get(&self, key: &[u8]) -> Result<Option<fjall::Slice>, Error> {
        let store = &self.0.store;
        self.trusted(store.tried("read from", || store.entries.get(key)))
    }

    fn stamp(&self, value: &[u8]) -> Result<Stamp, Error> {
        let stamp = value.first_chunk().copied();
        self.trusted(stamp.ok_or_else(|| Error::Failed {
            tried: "read from",
            dir: self.0.store.dir().to_owned(),
            problem: "a value without a version".to_owned(),
        }))
    }

    fn row(&self, value: &[u8]) -> Result<Option<Row>, Error> {
        let [version @ .., is] = self.stamp(value)?;
        let bytes = || value[size_of::<Stamp>()..].to_vec();
        Ok((is == PRESENT).then(|| Row { version: u64::from_be_bytes(version), bytes: bytes() }))
    }

    /// What failed once is made anew at the next opening: it can be, and whoever reads must not meet the same damage for ever.
    fn trusted<T>(&self, result: Result<T, Error>) -> Result<T, Error> {
        result.inspect_err(|error| self.distrust(&error.to_string()))
    }

    /// All of the tables are discarded, for this reason, when they are opened next; until then they go on as they are. For whoever
    /// finds a row whose bytes it cannot have written.
    pub fn distrust(&self, reason: &str) {
        self.0.store.distrust(reason);
    }
}

impl Table {
    /// To put a row.
    pub fn put(&self, key: &[u8], version: u64, bytes: &[u8]) -> Change {
        self.change(key, version, PRESENT, bytes)
    }

    /// To delete the row, if there is one, and every older one that comes later.
    pub fn delete(&self, key: &[u8], version: u64) -> Change {
        self.change(key, version, DELETED, &[])
    }

    fn change(&self, key: &[u8], version: u64, is: u8, bytes: &[u8]) -> Change {
        let mut stamp = [is; size_of::<Stamp>()];
        stamp[..size_of::<u64>()].copy_from_slice(&version.to_be_bytes());
        Change { key: self.key(key), stamp, value: [&stamp, bytes].concat() }
    }

    /// The row of this key.
    ///
    /// # Errors
    /// As [`Tables::write`].
    pub fn get(&self, key: &[u8]) -> Result<Option<Row>, Error> {
        let value = self.tables.get(&self.key(key))?;
        Ok(value.map(|value| self.tables.row(&value)).transpose()?.flatten())
    }

    /// Up to `limit` rows with their keys, of those with keys between the bounds; none if the bounds exclude each other. It is as
    /// it was at one moment.
    ///
    /// # Errors
    /// As [`Tables::write`].
    pub fn range(
        &self,
        bounds: (Bound<&[u8]>, Bound<&[u8]>),
        order: Order,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Row)>, Error> {
        self.while_wanted(bounds, order, |rows, _| rows < limit)
    }

    /// The first rows behind this key, in the order of the keys: as many as are asked for, and fewer as soon as they have come to so
    /// many bytes. None: there are no more.
    ///
    /// # Errors
    /// As [`Tables::write`].
    pub fn page(
        &self,
        after: Option<&[u8]>,
        limit: usize,
        bytes: usize,
    ) -> Result<Vec<(Vec<u8>, Row)>, Error> {
        let bounds = (after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        self.while_wanted(bounds, Order::Ascending, |rows, come_to| rows < limit && come_to < bytes)
    }

    /// Rows as long as more are wanted than so many, which have come to so many bytes.
    fn while_wanted(
        &self,
        (from, to): (Bound<&[u8]>, Bound<&[u8]>),
        order: Order,
        is_wanted: impl Fn(usize, usize) -> bool,
    ) -> Result<Vec<(Vec<u8>, Row)>, Error> {
        let from = match from {
            Bound::Unbounded => Bound::Included(self.prefix.to_vec()),
            bound => bound.map(|key| self.key(key)),
        };
        let to = match to {
            // The prefix ends with a zero byte, and no other table's name is between.
            Bound::Unbounded => Bound::Excluded(successor(&self.prefix)),
            bound => bound.map(|key| self.key(key)),
        };
        if is_empty(&from, &to) {
            return Ok(Vec::new());
        }
        let store = &self.tables.0.store;
        let (mut found, mut bytes) = (Vec::new(), 0);
        let mut entries = self
            .tables
            .trusted(store.tried("read from", || Ok(store.entries.range::<Vec<u8>, _>((from, to)))))?;
        while is_wanted(found.len(), bytes) {
            let entry = self.tables.trusted(store.tried("read from", || {
                let entry = match order {
                    Order::Ascending => entries.next(),
                    Order::Descending => entries.next_back(),
                };
                entry.map(fjall::Guard::into_inner).transpose()
            }))?;
            let Some((key, value)) = entry else { break };
            if let Some(row) = self.tables.row(&value)? {
                bytes += key.len() - self.prefix.len() + row.bytes.len();
                found.push((key[self.prefix.len()..].to_vec(), row));
            }
        }
        Ok(found)
    }

    /// Removes all rows, and what is remembered of deleted ones: the table is as if nothing was ever written into it. Part by part,
    /// in the order of the keys: a crash leaves the end of it. What others write into it meanwhile may stay. The disk has its room
    /// back when the files are merged next, after some megabytes of other rows.
    ///
    /// # Errors
    /// As [`Tables::write`].
    pub fn clear(&self) -> Result<(), Error> {
        let (mut from, to) = (self.prefix.to_vec(), successor(&self.prefix));
        loop {
            // Between two parts others may write: there may be many.
            let _alone = self.tables.alone();
            let removed = self.tables.trusted(self.tables.0.store.remove_some(&from, &to))?;
            let Some(last) = removed else { return Ok(()) };
            // What was removed is not looked through again.
            from = [&last[..], &[0]].concat();
        }
    }

    fn key(&self, key: &[u8]) -> Vec<u8> {
        [&self.prefix, key].concat()
    }
}

/// The first key behind all that begin with the prefix, which ends with a zero byte.
fn successor(prefix: &[u8]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    if let Some(last) = key.last_mut() {
        *last += 1;
    }
    key
}

/// Whether no key is between the bounds.
fn is_empty(from: &Bound<Vec<u8>>, to: &Bound<Vec<u8>>) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Included(to) | Bound::Excluded(to)) => {
            from >= to
        }
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
    }
}

#[cfg(test)]
mod tests;
