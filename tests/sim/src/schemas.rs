//! Schemas of records: one that every writer knows, some of newer writers that the registry knows, and some that nobody
//! knows. What a writer was told it may forget again.

use std::collections::{BTreeSet, VecDeque};

use domain::Event;
use ledger::{DecodedRecord, Decoder, LogRecord, SchemaStanding, Unreadable};
use ledger_sim::SeededRng;

use crate::catalog::Catalog;
use crate::node::Written;

/// The schema that every writer knows.
const EVERYONES: u32 = 0;
/// Nobody knows this one and those above it.
const NOBODYS: u32 = 1_000;

/// The schema of a newer writer's record.
pub(crate) fn newer(dice: &mut SeededRng, nobodys: u64) -> u32 {
    let first = if dice.percent(nobodys) { NOBODYS } else { EVERYONES + 1 };
    first + dice.below(5) as u32
}

/// Whether nobody can read it.
pub(crate) fn is_strange(schema: u32) -> bool {
    schema >= NOBODYS
}

/// A record's value: its schema, and where what it holds is written down.
pub(crate) fn value(schema: Option<u32>, place: u64) -> Vec<u8> {
    [&schema.unwrap_or(EVERYONES).to_be_bytes()[..], &place.to_be_bytes()].concat()
}

/// What a writer knows.
#[derive(Debug, Default)]
pub(crate) struct Known {
    learned: BTreeSet<u32>,
    refused: BTreeSet<u32>,
    asked: VecDeque<u32>,
}

impl Known {
    pub(crate) fn ask(&mut self, schema: u32) {
        if !self.asked.contains(&schema) {
            self.asked.push_back(schema);
        }
    }

    /// The registry answers the oldest question.
    pub(crate) fn answer(&mut self) -> Option<u32> {
        let schema = self.asked.pop_front()?;
        if is_strange(schema) { &mut self.refused } else { &mut self.learned }.insert(schema);
        Some(schema)
    }

    pub(crate) fn forget(&mut self) {
        self.refused.clear();
        self.learned.clear();
    }
}

/// A writer reads.
pub(crate) struct Reading<'a> {
    pub(crate) written: &'a Written,
    pub(crate) known: &'a Known,
}

impl Decoder<Catalog> for Reading<'_> {
    fn schema_of(&self, record: &LogRecord) -> Option<u32> {
        record.value.as_deref()?.first_chunk().copied().map(u32::from_be_bytes)
    }

    fn standing(&self, schema: u32) -> SchemaStanding {
        if schema == EVERYONES || self.known.learned.contains(&schema) {
            SchemaStanding::Known
        } else if self.known.refused.contains(&schema) {
            SchemaStanding::Refused
        } else {
            SchemaStanding::Unknown
        }
    }

    fn decode(&self, record: &LogRecord) -> Result<DecodedRecord<Event>, Unreadable> {
        let schema = self.schema_of(record).filter(|schema| self.standing(*schema) == SchemaStanding::Known);
        let read = || {
            let (_, place) = schema.and(record.value.as_deref())?.split_last_chunk()?;
            self.written.at(u64::from_be_bytes(*place))
        };
        read().cloned().ok_or_else(|| Unreadable("nobody here can read it".into()))
    }
}
