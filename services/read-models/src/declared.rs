//! What each read model declares beside its fold: its name, and the tables or the index that hold its rows.
//!
//! Promise: whatever lies in a store is named by a [`Generation`] that somebody passed in, and by nothing else.

use std::fmt;
use std::str::FromStr;

use adapter_cql::Schema;
use adapter_search::Index;
use serde::{Deserialize, Serialize};

/// One build of a read model: part of the names of its tables or index, of its positions and of its group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Generation(u32);

/// Generations are counted from 1.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no generation: give a whole number from 1")]
pub struct NoGeneration(String);

impl Generation {
    /// The one that an installation begins with.
    pub const FIRST: Self = Self(1);

    pub const fn get(self) -> u32 {
        self.0
    }

    /// The one after it.
    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Default for Generation {
    fn default() -> Self {
        Self::FIRST
    }
}

impl TryFrom<u32> for Generation {
    type Error = NoGeneration;

    fn try_from(number: u32) -> Result<Self, NoGeneration> {
        if number == 0 { Err(NoGeneration(number.to_string())) } else { Ok(Self(number)) }
    }
}

impl From<Generation> for u32 {
    fn from(generation: Generation) -> Self {
        generation.0
    }
}

impl FromStr for Generation {
    type Err = NoGeneration;

    /// `2`, or `g2` as names have it.
    fn from_str(text: &str) -> Result<Self, NoGeneration> {
        let number = text.strip_prefix('g').unwrap_or(text).parse::<u32>();
        number.ok().and_then(|it| Self::try_from(it).ok()).ok_or_else(|| NoGeneration(text.to_owned()))
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
    /// Counts the shapes that its rows have had: whoever changes what the fold makes of the same events, or a table, adds one.
    pub format: u32,
    /// Without those of its positions and marks.
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

/// The server and what is declared there, the tables or indices of the read model's own positions and marks included.
#[derive(Debug, Clone, Copy)]
pub enum On {
    /// ScyllaDB: tables keyed by products, whose text names each of them as [`Table::on_cql`] does.
    Cql(Schema),
    /// Elasticsearch: one index, the one of the positions, and the one of what is parked.
    Search { index: Index, positions: Index, parked: Index },
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_are_read_as_people_and_names_write_them() {
        assert_eq!("2".parse(), Ok(Generation(2)));
        assert_eq!("g12".parse(), Ok(Generation(12)));
        for wrong in ["", "0", "g0", "-1", "g", "two", "1.5", "4294967296"] {
            assert_eq!(wrong.parse::<Generation>(), Err(NoGeneration(wrong.to_owned())));
        }
        assert_eq!(serde_json::from_str::<Generation>("3").unwrap(), Generation(3));
        assert!(serde_json::from_str::<Generation>("0").unwrap_err().to_string().contains("from 1"));
        assert_eq!(serde_json::to_string(&Generation::FIRST).unwrap(), "1");
    }
}
