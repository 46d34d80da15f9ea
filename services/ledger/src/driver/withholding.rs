//! Products whose next record names a schema that is not known: their records are kept here until it is, and all others go
//! on. Promises that they reach the sequencer in order, and that no more is kept than may be: then the tail waits
//! (`holding.rs`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{ASK_AGAIN_MS, Decoder, Held, PartitionDriver, SchemaStanding};
use crate::key::KeyRef;
use crate::laws::Laws;
use crate::{Aggregate, LogRecord, Output, Subject};

/// Schemas that are asked for in [`ASK_AGAIN_MS`]: whoever invents ids does not fill the queue of questions. Those that were
/// asked for the longest ago come first, so that each has its turn.
const ASKED: usize = 16;

/// The products that wait, and what for.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    products: BTreeMap<Subject, Kept>,
    /// When each schema was asked for last.
    asked: BTreeMap<u32, u64>,
    records: usize,
    bytes: usize,
}

/// The effective records of a product from the first on that cannot be read yet.
#[derive(Debug)]
struct Kept {
    schema: u32,
    records: VecDeque<LogRecord>,
}

impl Withheld {
    pub(super) fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// What the record waits for, if its product does.
    pub(super) fn waits_for(&self, record: &LogRecord) -> Option<u32> {
        if self.is_empty() {
            return None;
        }
        let key = KeyRef::parse(&record.key).ok()?;
        self.products.get(key.subject).map(|kept| kept.schema)
    }

    /// One of the schemas that are waited for.
    pub(super) fn schema(&self) -> Option<u32> {
        self.products.values().next().map(|kept| kept.schema)
    }

    fn has_room_for(&self, record: &LogRecord, held: Held) -> bool {
        self.records < held.records && self.bytes + record.size() <= held.bytes
    }

    fn keep(&mut self, schema: u32, record: LogRecord) {
        let Ok(key) = KeyRef::parse(&record.key) else { return };
        self.records += 1;
        self.bytes += record.size();
        if let Some(kept) = self.products.get_mut(key.subject) {
            kept.records.push_back(record);
        } else {
            let subject = Subject::of_checked(key.subject);
            self.products.insert(subject, Kept { schema, records: VecDeque::from([record]) });
        }
    }
}

impl<A: Aggregate, X, L: Laws> PartitionDriver<A, X, L> {
    /// Keeps the record until the schema is known, if there is room; else it is given back. Nothing can be saved while records
    /// are kept, so that there is none either once so much has changed that it should have been.
    pub(super) fn withhold(&mut self, schema: u32, record: LogRecord) -> Option<LogRecord> {
        if !self.withheld.has_room_for(&record, self.held) || self.must_save() {
            return Some(record);
        }
        self.sequencer.withhold(self.now_ms, record.offset, &record.key);
        self.withheld.keep(schema, record);
        if !self.withheld.asked.contains_key(&schema) {
            self.ask_for_withheld();
        }
        None
    }

    /// Asks for what is waited for, and again for what was not told in time.
    pub(super) fn ask_for_withheld(&mut self) {
        let Withheld { products, asked, .. } = &mut self.withheld;
        let is_recent = |at: u64| self.now_ms < at + ASK_AGAIN_MS;
        let room = ASKED.saturating_sub(asked.values().filter(|at| is_recent(**at)).count());
        if room == 0 || products.is_empty() {
            return;
        }
        let mut due: Vec<_> =
            products.values().map(|kept| (asked.get(&kept.schema).copied(), kept.schema)).collect();
        due.retain(|(at, _)| at.is_none_or(|at| !is_recent(at)));
        due.sort_unstable();
        due.dedup();
        for (at, schema) in due.into_iter().take(room) {
            asked.insert(schema, self.now_ms);
            self.outputs.push_back(Output::AskSchema { schema, again: at.is_some() });
        }
    }

    /// Gives the sequencer what can be read now, or was said to be readable by nobody.
    pub(super) fn tell_withheld(&mut self, decoder: &impl Decoder<A>) {
        let is_answered = |schema: &u32| decoder.standing(*schema) != SchemaStanding::Unknown;
        let answered: BTreeSet<_> = self.withheld.asked.keys().copied().filter(is_answered).collect();
        if answered.is_empty() {
            return;
        }
        self.withheld.asked.retain(|schema, _| !answered.contains(schema));
        let products = std::mem::take(&mut self.withheld.products);
        let (told, waiting): (BTreeMap<_, _>, _) =
            products.into_iter().partition(|(_, kept)| answered.contains(&kept.schema));
        self.withheld.products = waiting;
        for (subject, mut kept) in told {
            while let Some(record) = kept.records.pop_front() {
                if let Some(schema) = self.awaits(&record, decoder) {
                    kept.schema = schema;
                    kept.records.push_front(record);
                    break;
                }
                self.withheld.records -= 1;
                self.withheld.bytes -= record.size();
                let (value, is_last) = (decoder.decode(&record), kept.records.is_empty());
                self.sequencer.tell(self.now_ms, &record, value, is_last);
            }
            if !kept.records.is_empty() {
                self.withheld.products.insert(subject, kept);
            }
        }
        self.ask_for_withheld();
    }
}
