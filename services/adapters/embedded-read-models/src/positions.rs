//! Positions in tables, beside the rows that they speak of.
//!
//! Promises: a stored position never goes back. It is written after its rows into the same journal, of which a crash or a loss of
//! power leaves a beginning: a position that is there speaks of rows that are. So all of it is durable as far as it is applied,
//! and a start goes on there, not a durability window before.

use adapter_embedded::tables::{Table, Tables};
use read_models::model::{Position, Positions, Starts};
use read_models::{Error, Generation};

use crate::bytes::key_of;
use crate::disk::{blocking, failed};

/// How far groups have come with one read model.
#[derive(Debug, Clone)]
pub struct TablePositions {
    tables: Tables,
    /// By group and partition; a row's version is the position, and says all.
    positions: Table,
}

impl TablePositions {
    pub(crate) fn new(tables: &Tables, read_model: &str, generation: Generation) -> Self {
        let positions = tables.table(&format!("{read_model}_positions_{generation}"));
        Self { tables: tables.clone(), positions }
    }

    pub(crate) fn get(&self, group: &str, partition: i32) -> Result<Option<Position>, Error> {
        let row = self.positions.get(&key(group, partition)).map_err(|error| failed(&error))?;
        Ok(row.map(|row| Position { applied: row.version as i64, durable: row.version as i64 }))
    }
}

impl Positions for TablePositions {
    async fn read(&self, group: &str, partition: i32) -> Result<Option<Position>, Error> {
        self.get(group, partition)
    }

    /// What the caller knows to be durable is less than what is.
    async fn write(&self, group: &str, partition: i32, position: Position) -> Result<(), Error> {
        let change = self.positions.put(&key(group, partition), position.applied as u64, &[]);
        let tables = self.tables.clone();
        blocking(move || tables.write([change]).map_err(|error| failed(&error))).await
    }

    /// Tables are there when they are open.
    async fn is_there(&self) -> Result<(), Error> {
        Ok(())
    }

    /// No process but this one holds the rows, and it is not started anew while it asks.
    async fn starts(&self) -> Result<Option<Starts>, Error> {
        Ok(Some(Starts::new()))
    }
}

fn key(group: &str, partition: i32) -> Vec<u8> {
    [&key_of(group)[..], &partition.to_be_bytes()].concat()
}
