//! Positions in tables, beside the rows that they speak of.
//!
//! Promises: a stored position never goes back. It is written after its rows into the same journal, of which a crash or a loss of
//! power leaves a beginning: a position that is there speaks of rows that are. So all of it is durable as far as it is applied,
//! and a start goes on there, not a durability window before.

use adapter_embedded::tables::Table;
use read_models::model::{Position, Positions, Starts};
use read_models::{Error, LogId, ReadModel};

use crate::build::Build;
use crate::bytes::key_of;
use crate::disk::blocking;

/// How far groups have come with one read model.
#[derive(Debug, Clone)]
pub struct TablePositions {
    build: Build,
    /// By group and partition; a row's version is the position, and what it holds is which log it is of.
    positions: Table,
}

impl TablePositions {
    pub(crate) fn new(build: &Build, read_model: ReadModel) -> Self {
        Self { build: build.clone(), positions: build.table(&table(read_model)) }
    }

    pub(crate) fn get(&self, group: &str, partition: i32) -> Result<Option<Position>, Error> {
        let row = self.build.read(|| self.positions.get(&key(group, partition)))?;
        let log = |bytes: &[u8]| LogId::from_number(u64::from_be_bytes(bytes.try_into().ok()?));
        Ok(row.map(|row| {
            let at = row.version as i64;
            Position { applied: at, durable: at, log: log(&row.bytes) }
        }))
    }
}

impl Positions for TablePositions {
    async fn read(&self, group: &str, partition: i32) -> Result<Option<Position>, Error> {
        self.get(group, partition)
    }

    /// What the caller knows to be durable is less than what is.
    async fn write(&self, group: &str, partition: i32, position: Position) -> Result<(), Error> {
        let log = position.log.map(|log| log.number().to_be_bytes());
        let log = log.as_ref().map_or(&[][..], |log| log);
        let change = self.positions.put(&key(group, partition), position.applied as u64, log);
        let build = self.build.clone();
        blocking(move || build.write(vec![change])).await
    }

    /// Tables are there as long as the build is.
    async fn is_there(&self) -> Result<(), Error> {
        self.build.is_there()
    }

    /// No process but this one holds the rows, and it is not started anew while it asks.
    async fn starts(&self) -> Result<Option<Starts>, Error> {
        Ok(Some(Starts::new()))
    }
}

/// The table of the positions of a read model.
pub(crate) fn table(read_model: ReadModel) -> String {
    format!("{read_model}_positions")
}

fn key(group: &str, partition: i32) -> Vec<u8> {
    [&key_of(group)[..], &partition.to_be_bytes()].concat()
}
