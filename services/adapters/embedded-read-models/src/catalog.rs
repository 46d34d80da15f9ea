//! Which builds of the read models there are, which is read, and which have names: in tables beside the rows.
//!
//! Promises: what is told here is neither ahead of the rows nor behind them, whatever a crash leaves; of two that were told the one
//! that was decided later stays.

use std::collections::BTreeSet;
use std::ops::Bound;

use adapter_embedded::tables::{Order, Row, Table, Tables};
use read_models::publication::PublishedBuild;
use read_models::{Error, Generation, ReadModel};

use crate::build::called;
use crate::bytes::{Reader, Unreadable, Writer, key_of};
use crate::disk::{failed, unreadable};

/// By read model and number.
const BUILDS: &str = "builds";
/// By what is told: see [`read_by_all`] and [`named`]. A row's version is the order in which it was told.
const PUBLISHED: &str = "published";

const DROPPED: &[u8] = &[0];
const THERE: &[u8] = &[1];

/// The tables that tell of builds.
#[derive(Debug)]
pub(crate) struct Catalog {
    tables: Tables,
    builds: Table,
    published: Table,
}

impl Catalog {
    pub(crate) fn new(tables: &Tables) -> Self {
        Self { tables: tables.clone(), builds: tables.table(BUILDS), published: tables.table(PUBLISHED) }
    }

    /// The first is there though nobody made it, until it is dropped.
    pub(crate) fn is_there(&self, read_model: ReadModel, generation: Generation) -> Result<bool, Error> {
        let row = self.builds.get(&build_key(read_model, generation)).map_err(|error| failed(&error))?;
        Ok(row.map_or(generation == Generation::FIRST, |row| row.bytes == THERE))
    }

    /// [`Error::NoBuild`] if it is not there.
    pub(crate) fn require(&self, read_model: ReadModel, generation: Generation) -> Result<(), Error> {
        if self.is_there(read_model, generation)? {
            Ok(())
        } else {
            Err(Error::NoBuild(called(read_model, generation)))
        }
    }

    pub(crate) fn all(&self, read_model: ReadModel) -> Result<BTreeSet<Generation>, Error> {
        let first = build_key(read_model, Generation::FIRST);
        let last = [&key_of(read_model.name())[..], &u32::MAX.to_be_bytes()].concat();
        let bounds = (Bound::Included(&first[..]), Bound::Included(&last[..]));
        let rows = self.builds.range(bounds, Order::Ascending, usize::MAX).map_err(|error| failed(&error))?;
        let mut all = BTreeSet::from([Generation::FIRST]);
        for (key, row) in rows {
            let generation =
                key.last_chunk().and_then(|it| Generation::try_from(u32::from_be_bytes(*it)).ok());
            let Some(generation) = generation else { continue };
            if row.bytes == THERE {
                all.insert(generation);
            } else {
                all.remove(&generation);
            }
        }
        Ok(all)
    }

    pub(crate) fn made(&self, read_model: ReadModel, generation: Generation) -> Result<(), Error> {
        self.record(read_model, generation, THERE)
    }

    /// It stays told: the first is there where nothing is told.
    pub(crate) fn dropped(&self, read_model: ReadModel, generation: Generation) -> Result<(), Error> {
        self.record(read_model, generation, DROPPED)
    }

    fn record(&self, read_model: ReadModel, generation: Generation, is: &[u8]) -> Result<(), Error> {
        // Always the same version: the last one stays. Whoever makes or drops a build is alone with it.
        let change = self.builds.put(&build_key(read_model, generation), 0, is);
        self.tables.write([change]).map_err(|error| failed(&error))
    }

    /// What was told under this name.
    pub(crate) fn told(&self, name: &str) -> Result<Option<Generation>, Error> {
        let row = self.published.get(name.as_bytes()).map_err(|error| failed(&error))?;
        let read =
            |row: Row| read(&row).map_err(|problem| unreadable(&self.tables, PUBLISHED, name, &problem));
        row.map(read).transpose()
    }

    /// Tells it, in this order: without effect if something was told that was decided later.
    pub(crate) fn tell(&self, name: &str, generation: Generation, order: u64) -> Result<(), Error> {
        let mut row = Writer::default();
        row.count(generation.get() as usize);
        let change = self.published.put(name.as_bytes(), order, row.bytes());
        self.tables.write([change]).map_err(|error| failed(&error))
    }

    /// The build that is read, and in which order that was told.
    pub(crate) fn published(&self, read_model: ReadModel) -> Result<PublishedBuild, Error> {
        let name = read_by_all(read_model);
        let generation = self.told(name)?.unwrap_or(Generation::FIRST);
        let row = self.published.get(name.as_bytes()).map_err(|error| failed(&error))?;
        Ok(PublishedBuild { generation, order: row.map_or(0, |row| row.version) })
    }
}

/// Under which name it is told what is read without one.
pub(crate) fn read_by_all(read_model: ReadModel) -> &'static str {
    read_model.name()
}

/// Under which name the build of this name is told.
pub(crate) fn named(read_model: ReadModel, name: &str) -> String {
    format!("{read_model}@{name}")
}

fn build_key(read_model: ReadModel, generation: Generation) -> Vec<u8> {
    [&key_of(read_model.name())[..], &generation.get().to_be_bytes()].concat()
}

fn read(row: &Row) -> Result<Generation, Unreadable> {
    let mut fields = Reader::of(row);
    let generation = fields.count()? as u32;
    fields.end()?;
    Generation::try_from(generation).map_err(|_| Unreadable::Generation)
}
