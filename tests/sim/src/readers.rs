//! Readers: the real ones, started at any offset without state, reading on in batches of any size. Each verdict is
//! compared with the oracle's.

use ledger::{Judgement, LogRecord, Offset, Reader, VoidReason};
use ledger_sim::{SeededRng, SimTopic};

use crate::counts::{Counts, What};
use crate::node::{P, PARTITIONS};
use crate::oracle::{Truth, Verdict, WINDOW};
use crate::violation::Checked;
use crate::violation::Invariant::ReadersAgree;

pub(crate) struct Following {
    start: Offset,
    position: Offset,
    reader: Reader,
    /// The last version of each product it took for effective, once it has seen one.
    versions: Vec<Option<u64>>,
}

impl Following {
    pub(crate) fn start(start: Offset, products: usize, counts: &mut Counts) -> Self {
        counts.count(What::Readers);
        let reader = Reader::new(P, PARTITIONS, start);
        Self { start, position: start, reader, versions: vec![None; products] }
    }

    pub(crate) fn start_offset(&self) -> Offset {
        self.start
    }

    pub(crate) fn position(&self) -> Offset {
        self.position
    }

    /// Reads up to `most` records on, or to the end if there are no more.
    pub(crate) fn read(
        &mut self,
        topic: &SimTopic,
        most: usize,
        oracle: &Truth,
        dice: &mut SeededRng,
        counts: &mut Counts,
    ) -> Checked {
        let mut batch = topic.read(P, self.position, Offset::MAX);
        let to = match batch.get(most) {
            Some(next) => next.offset,
            None => topic.end(P),
        };
        batch.truncate(most);
        self.look_back(topic, &batch, counts)?;
        for record in &batch {
            self.judge(record, oracle, counts)?;
        }
        self.position = to;
        if dice.percent(70) {
            self.reader.position(to);
        }
        Ok(())
    }

    fn look_back(&mut self, topic: &SimTopic, batch: &[LogRecord], counts: &mut Counts) -> Checked {
        let keys = batch.iter().map(|record| (record.offset, &*record.key));
        let Some(from) = self.reader.needs(keys) else { return Ok(()) };
        counts.count(What::LookBacks);
        ReadersAgree.holds(from >= self.start - WINDOW, || {
            format!("a reader from {} looks back to {from}, further than the window", self.start)
        })?;
        for record in topic.read(P, from, self.reader.floor()) {
            self.reader.look_back(record.offset, &record.key);
        }
        self.reader.looked_back_to(from);
        Ok(())
    }

    fn judge(&mut self, record: &LogRecord, oracle: &Truth, counts: &mut Counts) -> Checked {
        counts.count(What::Verdicts);
        let judgement = self.reader.judge(record.offset, &record.key);
        let start = self.start;
        let differs = |what: &str| {
            ReadersAgree.broken(format!("a reader from {start} at offset {}: {what}", record.offset))
        };
        let Some(entry) = oracle.entry(record.offset) else { return Err(differs("a record nobody wrote")) };
        let says = match &judgement {
            Judgement::Effective(_) => Verdict::Effective,
            Judgement::Void(VoidReason::Stale) => Verdict::Stale,
            Judgement::Void(VoidReason::OutsideWindow) => Verdict::OutsideWindow,
            Judgement::Void(VoidReason::WrongPartition) => Verdict::Elsewhere,
            Judgement::Garbage(_) => Verdict::Garbage,
            other => return Err(differs(&format!("{other:?}, the log says {:?}", entry.verdict))),
        };
        // Who comes after compaction takes the copy for the first.
        let may_differ = says == Verdict::Effective && oracle.is_second_of_removed(record.offset);
        if says != entry.verdict && !may_differ {
            return Err(differs(&format!("{says:?}, the log says {:?}", entry.verdict)));
        }
        if says == Verdict::Effective {
            let last = self.versions[entry.product].replace(entry.version);
            if last.is_some_and(|last| last + 1 != entry.version) {
                return Err(differs(&format!("version {} follows {last:?}", entry.version)));
            }
        }
        Ok(())
    }
}
