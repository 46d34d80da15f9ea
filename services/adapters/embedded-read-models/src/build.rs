//! One build of a read model in tables, open.
//!
//! Promises: as long as the build is there, its rows are; once it is dropped, nothing is read or written through what was opened
//! before, also if a build with the same number is made again.

use std::sync::{Arc, OnceLock};

use adapter_embedded::Error as DiskError;
use adapter_embedded::tables::{Change, Table, Tables};
use read_models::{Error, Generation, ReadModel};

use crate::bytes::Unreadable;
use crate::disk::{failed, unreadable};

/// Whether a build is still there: shared by all who hold it open.
#[derive(Debug, Default)]
pub(crate) struct Presence(OnceLock<String>);

/// A build of a read model in tables. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Build {
    tables: Tables,
    generation: Generation,
    presence: Arc<Presence>,
}

impl Presence {
    /// It is gone, for ever: this one.
    pub(crate) fn end(&self, read_model: ReadModel, generation: Generation) {
        // Of two who say so the first is right.
        drop(self.0.set(called(read_model, generation)));
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.0.get().is_some()
    }

    /// [`Error::NoBuild`] if it is gone.
    pub(crate) fn check(&self) -> Result<(), Error> {
        self.0.get().map_or(Ok(()), |what| Err(Error::NoBuild(what.clone())))
    }
}

/// What a build is called in errors.
pub(crate) fn called(read_model: ReadModel, generation: Generation) -> String {
    format!("build {generation} of {read_model}")
}

impl Build {
    pub(crate) fn new(tables: &Tables, generation: Generation, presence: Arc<Presence>) -> Self {
        Self { tables: tables.clone(), generation, presence }
    }

    /// One of its tables, named as on servers.
    pub(crate) fn table(&self, name: &str) -> Table {
        self.tables.table(&format!("{name}_{}", self.generation))
    }

    pub(crate) fn is_there(&self) -> Result<(), Error> {
        self.presence.check()
    }

    /// What is read is of a build that is there.
    pub(crate) fn read<T>(&self, read: impl FnOnce() -> Result<T, DiskError>) -> Result<T, Error> {
        let read = read();
        // Afterwards: it is said that a build is gone before the first of its rows is.
        self.presence.check()?;
        read.map_err(|error| failed(&error))
    }

    /// Makes the changes, as [`Tables::write`].
    pub(crate) fn write(&self, changes: Vec<Change>) -> Result<(), Error> {
        // Where rows are removed nobody writes: after it no row comes any more.
        let written = self.tables.write_after(|| Ok((!self.presence.is_gone()).then_some(changes)));
        if written.map_err(|error| failed(&error))? { Ok(()) } else { self.presence.check() }
    }

    /// What was written before is on the disk then.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        self.tables.sync().map_err(|error| failed(&error))
    }

    /// See [`crate::disk::unreadable`].
    pub(crate) fn unreadable(&self, table: &str, row: &str, problem: &Unreadable) -> Error {
        unreadable(&self.tables, table, row, problem)
    }
}
