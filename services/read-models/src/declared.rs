//! What each read model declares beside its fold: its name, and the tables or the index that hold its rows.
//!
//! Promise: whatever lies in a store is named by a [`Generation`] that somebody passed in, and by nothing else.

use std::fmt;

use adapter_cql::Schema;
use adapter_search::Index;

/// One build of a read model: part of the names of its tables or index, of its positions and of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(u32);

impl Generation {
    /// The only one there is yet.
    pub const FIRST: Self = Self(1);

    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

/// What a read model is called, and where its rows lie on servers.
#[derive(Debug)]
pub struct Declared {
    /// Used in group ids, configuration and `projector --read-model`.
    pub name: &'static str,
    /// Without the one of its positions.
    pub tables: &'static [Table],
    pub on: On,
}

/// A table, or the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Without keyspace or prefix and generation.
    pub name: &'static str,
    pub holds: Holds,
}

/// What there is a row of, when all of the log is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holds {
    /// Every product, deleted ones too.
    Products,
    /// Every effective event.
    Events,
    /// What has no number known beforehand.
    Some,
}

/// The server and what is declared there, the table or index of the read model's own positions included.
#[derive(Debug, Clone, Copy)]
pub enum On {
    /// ScyllaDB: tables keyed by products, whose text names each of them as [`Table::on_cql`] does.
    Cql(Schema),
    /// Elasticsearch: one index, and the one of the positions.
    Search { index: Index, positions: Index },
}

impl Table {
    /// The table's name in its keyspace.
    pub fn on_cql(&self, generation: Generation) -> String {
        format!("{}_{generation}", self.name)
    }
}

impl On {
    /// The server's section of a configuration, which names it in readiness too.
    pub const fn section(self) -> &'static str {
        match self {
            Self::Cql(_) => "cql",
            Self::Search { .. } => "search",
        }
    }
}
