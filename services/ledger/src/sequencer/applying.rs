//! Applying the partition: records of the tail and delivery reports move `next`, settle appends, and show when the
//! state is worth nothing. Promises that each offset is applied once, by the rule, whichever way it came.

use std::cmp::Ordering;

use super::pending::InFlight;
use super::product::{Product, Remembered};
use super::withholding::Value;
use super::{Answer, DecodedRecord, Output, Sequencer, Unreadable, backoff};
use crate::key::KeyRef;
use crate::laws::Laws;
use crate::{Aggregate, AppendId, Offset, RecordKey, Subject, Verdict, VoidReason, partition_of};

impl<A: Aggregate, X, L: Laws> Sequencer<A, X, L> {
    /// Whether the tail says something new with this offset. An offset ahead of `next` means a gap in the log, except
    /// after a reset: then it is the old tail speaking, until offset 0 comes.
    pub(super) fn is_news(&self, offset: Offset) -> bool {
        let is_old_tail = self.was_reset && self.next == 0 && offset > 0;
        offset >= self.next && !is_old_tail && !self.is_discarded
    }

    /// Whether [`Sequencer::record`] would call `decode` for this record if it came now: it would be effective, and another
    /// writer's. All others can be applied without knowing what they hold. Brings its product into memory.
    pub fn needs_value(&mut self, offset: Offset, key: &[u8]) -> bool {
        if self.unproven.is_some() || !self.is_news(offset) {
            return false;
        }
        let Ok(key) = KeyRef::parse(key) else { return false };
        let own = self.ids.append_of(key.event_id);
        let is_own = own.and_then(|id| self.in_flight.get(&id)).is_some_and(|append| append.is(&key));
        if is_own || partition_of(key.subject, self.partitions) != self.partition {
            return false;
        }
        // A product that cannot be loaded now may be when the record is applied.
        let Ok(current) = self.products.current(key.subject) else { return true };
        self.laws.judge(offset, key.basis, key.version, current) == Verdict::Effective
    }

    /// Applies a record of the tail.
    pub(super) fn apply(&mut self, offset: Offset, key: &[u8], value: impl FnOnce() -> Value<A::Event>) {
        let text = key;
        let key = KeyRef::parse(key);
        let own = key.ok().and_then(|key| self.ids.append_of(key.event_id));
        // A report at a lower offset, or at this one for another record: log and reports contradict each other.
        if let Some((&reported, append_id)) = self.reports.first_key_value()
            && (reported < offset || reported == offset && own != Some(*append_id))
        {
            return self.contradiction(reported);
        }
        let Ok(key) = key else { return self.pass_over(offset, text, VoidReason::Garbage) };
        if partition_of(key.subject, self.partitions) != self.partition {
            return self.pass_over(offset, text, VoidReason::WrongPartition);
        }
        if let Some(append_id) = own
            && self.in_flight.get(&append_id).is_some_and(|append| append.is(&key))
        {
            return self.apply_own(offset, append_id, false);
        }
        self.apply_foreign(offset, text, key, value);
    }

    /// A delivery report with an offset.
    pub(super) fn reported(&mut self, append_id: AppendId, offset: Offset) {
        if self.is_discarded {
            return;
        }
        let Some(append) = self.in_flight.get_mut(&append_id) else { return };
        match offset.cmp(&self.next) {
            Ordering::Less => self.contradiction(offset),
            Ordering::Equal => {
                let unjudged = !self.laws.judges_reports();
                self.apply_own(offset, append_id, unjudged);
            }
            Ordering::Greater => {
                append.reported = Some(offset);
                if self.reports.insert(offset, append_id).is_some() {
                    self.discard(format!("two appends were reported at offset {offset}"));
                }
            }
        }
    }

    /// A delivery report without an offset: the command is decided again, later each time.
    pub(super) fn outcome_unknown(&mut self, append_id: AppendId) {
        let Some(append) = self.in_flight.remove(&append_id) else { return };
        self.free(&append.subject, append_id);
        if let Some(waiting) = self.commands.get_mut(append.command) {
            let not_before_ms = self.now_ms + backoff(waiting.unknowns);
            waiting.not_before_ms = not_before_ms;
            waiting.unknowns += 1;
            self.timers.set(not_before_ms, append.command, &self.commands);
            self.first_in_line(&append.subject, append.command);
        }
        self.advance(&append.subject);
    }

    /// What follows from any input: reports whose turn has come, barriers reached, readiness, the next request.
    pub(super) fn settle(&mut self) {
        while !self.is_discarded
            && let Some((&offset, &append_id)) = self.reports.first_key_value()
            && offset <= self.next
        {
            if offset < self.next {
                self.contradiction(offset);
            } else {
                self.apply_own(offset, append_id, false);
            }
        }
        if self.is_discarded {
            return;
        }
        if !self.is_ready
            && self.unproven.is_none()
            && self.ready_at.is_some_and(|offset| self.next >= offset)
        {
            self.is_ready = true;
            self.advance_all();
        }
        while let Some(command) = self.barrier.reached(self.next) {
            self.pass_barrier(command);
        }
        if let Some(request) = self.barrier.ask(self.now_ms) {
            self.outputs.push_back(Output::AskEndOffset { request });
        }
        self.products.evict(|subject| self.lines.contains_key(subject));
    }

    fn apply_own(&mut self, offset: Offset, append_id: AppendId, unjudged: bool) {
        let Some(append) = self.in_flight.remove(&append_id) else { return };
        if let Some(reported) = append.reported {
            self.reports.remove(&reported);
        }
        let current = match self.products.current(append.subject.as_str()) {
            Ok(current) => current,
            Err(error) => return self.discard(error.to_string()),
        };
        self.next = offset + 1;
        self.newest_applied = self.newest_applied.max(Some(append_id));
        self.free(&append.subject, append_id);
        let verdict = self.laws.judge(offset, append.basis, append.version, current);
        match verdict {
            Verdict::Void(reason) if !unjudged => {
                self.count_void(offset, append.subject.as_str(), append.version, current, reason);
                if let Some(waiting) = self.commands.get_mut(append.command) {
                    waiting.voids += 1;
                    self.first_in_line(&append.subject, append.command);
                }
            }
            Verdict::Effective | Verdict::Void(_) => self.count_own(offset, &append),
        }
        self.advance(&append.subject);
        let InFlight { subject, version, basis, event_id, .. } = append;
        self.last.is_own(offset, RecordKey { subject, version, basis, event_id });
    }

    fn count_own(&mut self, offset: Offset, append: &InFlight<A>) {
        let (version, event_id) = (append.version, append.event_id);
        let record = Remembered {
            command_id: append.command_id,
            command_hash: append.command_hash,
            version,
            event_id,
            offset,
        };
        let remembered = self.limits.remembered;
        self.products
            .change(append.subject.as_str(), |product| product.accept(&append.after, record, remembered));
        self.answer(append.command, Answer::Accepted { version, event_id, offset, replayed: false });
        self.settle_relatives(append.subject.as_str(), Some(append.command_id));
    }

    fn apply_foreign(
        &mut self,
        offset: Offset,
        text: &[u8],
        key: KeyRef<'_>,
        value: impl FnOnce() -> Value<A::Event>,
    ) {
        let current = match self.products.current(key.subject) {
            Ok(current) => current,
            Err(error) => return self.discard(error.to_string()),
        };
        self.next = offset + 1;
        self.last.is(offset, text);
        // An own record may come here too: its outcome was unknown, or it landed twice.
        self.newest_applied = self.newest_applied.max(self.ids.append_of(key.event_id));
        match self.laws.judge(offset, key.basis, key.version, current) {
            Verdict::Void(reason) => self.count_void(offset, key.subject, key.version, current, reason),
            Verdict::Effective => match value() {
                Value::Here(decoded) => self.fold(offset, key, decoded),
                Value::Later => self.mark_withheld(key),
            },
        }
    }

    /// Folds an effective record.
    pub(super) fn fold(
        &mut self,
        offset: Offset,
        key: KeyRef<'_>,
        decoded: Result<DecodedRecord<A::Event>, Unreadable>,
    ) {
        let remembered = self.limits.remembered;
        let fold = |product: &mut Product<A::State>| {
            (!product.unreadable, product.fold::<A>(offset, key, decoded, remembered))
        };
        match self.products.change(key.subject, fold) {
            (_, Ok(command_id)) => self.settle_relatives(key.subject, command_id),
            (first, Err(reason)) => {
                let subject = Subject::of_checked(key.subject);
                self.outputs.push_back(Output::UnreadableRecord {
                    offset,
                    subject,
                    version: key.version,
                    reason,
                    first,
                });
            }
        }
    }

    fn count_void(&mut self, offset: Offset, subject: &str, version: u64, current: u64, reason: VoidReason) {
        self.outputs.push_back(Output::VoidRecord { offset, reason });
        if reason == VoidReason::Ahead {
            let quarantine =
                |product: &mut Product<A::State>| !std::mem::replace(&mut product.quarantined, true);
            let first = self.products.change(subject, quarantine);
            let subject = Subject::of_checked(subject);
            self.outputs.push_back(Output::Violation { offset, subject, version, current, first });
        }
    }

    fn pass_over(&mut self, offset: Offset, key: &[u8], reason: VoidReason) {
        self.next = offset + 1;
        self.last.is(offset, key);
        self.outputs.push_back(Output::VoidRecord { offset, reason });
    }

    fn contradiction(&mut self, reported: Offset) {
        self.discard(format!("an append was reported at offset {reported}, where the tail does not show it"));
    }

    pub(super) fn discard(&mut self, reason: String) {
        self.is_discarded = true;
        self.is_ready = false;
        self.outputs.push_back(Output::Discard { reason });
    }
}
