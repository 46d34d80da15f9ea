//! A partition that waits for the registry: an effective record names a schema id not met before. Promises that what comes
//! meanwhile is kept in order, or, if it becomes too much, that the state is built again.

use std::collections::{BTreeMap, VecDeque};

use ledger::{LogRecord, Offset, Signal};

use super::driver::Driver;
use super::part::{ASK_AGAIN_MS, Part, Tail};

/// How many records are remembered that nobody can read.
const MAX_REFUSED: usize = 100_000;

/// Where effective records stand whose schema ids the registry does not know, so that a state that is built again does not
/// wait for the same answer again: ids themselves are forgotten sooner. The first ones are kept.
#[derive(Debug, Default)]
pub(super) struct Refused(BTreeMap<Offset, u32>);

impl Refused {
    pub(super) fn add(&mut self, offset: Offset, schema: u32) {
        if self.0.len() < MAX_REFUSED {
            self.0.insert(offset, schema);
        }
    }

    pub(super) fn has(&self, offset: Offset, schema: u32) -> bool {
        self.0.get(&offset) == Some(&schema)
    }
}

impl Part {
    pub(super) fn hold(&mut self, driver: &Driver, now_ms: u64, at: (Offset, u32), rest: Vec<LogRecord>) {
        let (offset, schema) = at;
        tracing::warn!(
            partition = self.partition.0,
            schema.id = schema,
            "an effective record names a schema id not met before: asking the registry"
        );
        let records = rest.len();
        let rest = Signal::Records { partition: self.partition, records: rest };
        let (bytes, ask_ms) = (rest.size(), now_ms + ASK_AGAIN_MS);
        let signals = VecDeque::from([rest]);
        self.tail = Tail::Held { offset, schema, signals, records, bytes, overflowed: false, ask_ms };
        driver.schemas.ask(schema);
    }

    pub(super) fn schemas_changed(&mut self, driver: &mut Driver, now_ms: u64) {
        let Tail::Held { offset, schema, signals, overflowed, .. } = &mut self.tail else { return };
        let known = driver.schemas.known();
        if !known.settles(*schema) {
            return;
        }
        if known.refuses(*schema) {
            // However long it takes to come here again.
            self.refused.add(*offset, *schema);
        }
        if *overflowed {
            return self.rebuild(driver, now_ms, "more records came than can wait for a schema id");
        }
        let signals = std::mem::take(signals);
        self.tail = Tail::Following;
        for signal in signals {
            // One of them may hold the tail again; then the others are kept there.
            self.signal(driver, now_ms, signal);
        }
    }
}
