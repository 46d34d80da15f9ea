//! A partition that waits for the registry: an effective record names a schema id not met before. Promises that what comes
//! meanwhile is kept in order, or, if it becomes too much, that the state is built again.

use std::collections::VecDeque;

use ledger::{LogRecord, Signal};

use super::driver::Driver;
use super::part::{ASK_AGAIN_MS, Part, Tail};

impl Part {
    pub(super) fn hold(&mut self, driver: &Driver, now_ms: u64, schema: u32, rest: Vec<LogRecord>) {
        tracing::warn!(
            partition = self.partition.0,
            schema.id = schema,
            "an effective record names a schema id not met before: asking the registry"
        );
        let records = rest.len();
        let rest = Signal::Records { partition: self.partition, records: rest };
        let (bytes, ask_ms) = (rest.size(), now_ms + ASK_AGAIN_MS);
        let signals = VecDeque::from([rest]);
        self.tail = Tail::Held { schema, signals, records, bytes, overflowed: false, ask_ms };
        driver.schemas.ask(schema);
    }

    pub(super) fn schemas_changed(&mut self, driver: &mut Driver, now_ms: u64) {
        let Tail::Held { schema, signals, overflowed, .. } = &mut self.tail else { return };
        if !driver.schemas.known().settles(*schema) {
            return;
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
