//! The records of one simulated partition: in order, and with holes where offsets were passed over or compacted away.

use std::collections::HashMap;

use bytes::Bytes;

use ledger::{LogRecord, Offset};

#[derive(Debug, Default)]
pub(super) struct Records {
    records: Vec<LogRecord>,
    end: Offset,
}

impl Records {
    pub(super) fn end(&self) -> Offset {
        self.end
    }

    /// Puts a record at the end, and says where that is.
    pub(super) fn push(&mut self, mut record: LogRecord) -> Offset {
        record.offset = self.end;
        self.records.push(record);
        self.end += 1;
        self.end - 1
    }

    /// Passes over offsets, as if others had written there what nobody here looks at.
    pub(super) fn pass_over(&mut self, offsets: Offset) {
        self.end += offsets;
    }

    /// The records of [from, to).
    pub(super) fn between(&self, from: Offset, to: Offset) -> &[LogRecord] {
        let index = |offset| self.records.partition_point(|record| record.offset < offset);
        let (from, to) = (index(from), index(to));
        &self.records[from..to.max(from)]
    }

    /// Where each key stands that stands more than once: each superseded offset with the key's last.
    pub(super) fn copies(&self) -> Vec<(Offset, Offset)> {
        let mut last: HashMap<&Bytes, Offset> = HashMap::new();
        for record in &self.records {
            last.insert(&record.key, record.offset);
        }
        let all = self.records.iter().map(|record| (record.offset, last[&record.key]));
        all.filter(|(offset, last)| offset != last).collect()
    }

    /// Removes the record at `offset`, if there is one.
    pub(super) fn remove(&mut self, offset: Offset) {
        if let Ok(at) = self.records.binary_search_by_key(&offset, |record| record.offset) {
            self.records.remove(at);
        }
    }
}
