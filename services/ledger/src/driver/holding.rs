//! A tail that waits for a schema: an effective record names one that is not known, and too much waits already. Promises that
//! what comes meanwhile is kept in order, or, if it becomes too much, that the state is built again.

use std::collections::{BTreeMap, VecDeque};

use super::{ASK_AGAIN_MS, Decoder, Held, PartitionDriver, SchemaStanding, Tail};
use crate::laws::Laws;
use crate::{Aggregate, LogRecord, Offset, Output, Signal};

/// How many records are remembered that nobody can read.
const MAX_REFUSED: usize = 100_000;

/// Where effective records stand whose schemas nobody knows, so that a state that is built again does not wait for the same
/// answer again: whoever was asked may have forgotten it by then. The first ones are kept.
#[derive(Debug, Default)]
pub(super) struct Refused(BTreeMap<Offset, u32>);

impl Refused {
    fn add(&mut self, offset: Offset, schema: u32) {
        if self.0.len() < MAX_REFUSED {
            self.0.insert(offset, schema);
        }
    }

    fn has(&self, offset: Offset, schema: u32) -> bool {
        self.0.get(&offset) == Some(&schema)
    }
}

/// What waits, from the record on that cannot be read yet.
#[derive(Debug)]
pub(super) struct Holding {
    offset: Offset,
    pub(super) schema: u32,
    signals: VecDeque<Signal>,
    records: usize,
    bytes: usize,
    /// From here on signals are missing: only a rebuild makes it whole again.
    overflowed: bool,
    /// When to ask again.
    pub(super) ask_ms: u64,
}

impl Holding {
    pub(super) fn keep(&mut self, signal: Signal, held: Held) {
        self.records += if let Signal::Records { records, .. } = &signal { records.len() } else { 1 };
        self.bytes += signal.size();
        self.overflowed |= self.records > held.records || self.bytes > held.bytes;
        if self.overflowed {
            self.signals.clear();
        } else {
            self.signals.push_back(signal);
        }
    }
}

impl<A: Aggregate, X, L: Laws> PartitionDriver<A, X, L> {
    /// The schema without which the record cannot be applied: its own, or what a record of its product before it waits for.
    /// Judged first: a record that counts for nothing is not worth a question, let alone a wait.
    pub(super) fn lacks(&mut self, record: &LogRecord, decoder: &impl Decoder<A>) -> Option<u32> {
        let waits_for = self.withheld.waits_for(record);
        let is_known = |schema| decoder.standing(schema) == SchemaStanding::Known;
        if waits_for.is_none() && decoder.schema_of(record).is_none_or(is_known)
            || !self.sequencer.needs_value(record.offset, &record.key)
        {
            return None;
        }
        waits_for.or_else(|| self.awaits(record, decoder))
    }

    /// The schema without which an effective record cannot be read, unless nobody has it.
    pub(super) fn awaits(&mut self, record: &LogRecord, decoder: &impl Decoder<A>) -> Option<u32> {
        let schema = decoder.schema_of(record)?;
        match decoder.standing(schema) {
            SchemaStanding::Known => None,
            _ if self.refused.has(record.offset, schema) => None,
            SchemaStanding::Unknown => Some(schema),
            SchemaStanding::Refused => {
                // However long it takes to come here again.
                self.refused.add(record.offset, schema);
                None
            }
        }
    }

    pub(super) fn hold(&mut self, offset: Offset, schema: u32, rest: Vec<LogRecord>) {
        let records = rest.len();
        let rest = Signal::Records { partition: self.sequencer.partition(), records: rest };
        let (bytes, ask_ms) = (rest.size(), self.now_ms + ASK_AGAIN_MS);
        let signals = VecDeque::from([rest]);
        self.tail =
            Tail::Held(Holding { offset, schema, signals, records, bytes, overflowed: false, ask_ms });
        self.outputs.push_back(Output::AskSchema { schema, again: false });
    }

    /// More is known of the schemas than before.
    pub fn schemas_changed(&mut self, now_ms: u64, decoder: &impl Decoder<A>) {
        self.passes(now_ms);
        self.tell_withheld(decoder);
        let Tail::Held(holding) = &mut self.tail else { return };
        match decoder.standing(holding.schema) {
            SchemaStanding::Unknown => return,
            // However long it takes to come here again.
            SchemaStanding::Refused => self.refused.add(holding.offset, holding.schema),
            SchemaStanding::Known => {}
        }
        if holding.overflowed {
            return self.rebuild("more records came than can wait for a schema id".to_owned());
        }
        let signals = std::mem::take(&mut holding.signals);
        self.tail = Tail::Following;
        for signal in signals {
            // One of them may hold the tail again; then the others are kept there.
            self.signal(now_ms, signal, decoder);
        }
    }
}
