//! Compaction: the record that lands twice is kept where it landed last, and its first place becomes a hole.
//!
//! The rule alone does not survive that: whoever reads from zero afterwards meets the copy at a later offset, where it may
//! have lost, or where what was decided on it comes before it. Folio's two guards are that keys are unique (the producer
//! never repeats a record) and that the topic's compaction lag is endless. Here is the exact condition under which a hole
//! is harmless; the simulation compacts only then, unless both guards are taken away to show what they are for.

use ledger::{LogRecord, Offset};
use uuid::Uuid;

use super::{Truth, Verdict, WINDOW};
use crate::violation::Checked;
use crate::violation::Invariant::{AcknowledgedIsKept, ReadersAgree};

impl Truth {
    /// Whether the log says the same without the copy at `offset`: it counts no more there, or the next copy counts in
    /// its place: that is inside the window, with no other record of the same version between them that would win then,
    /// and no record of the next version.
    pub(crate) fn is_harmless(&self, offset: Offset) -> bool {
        let Some(entry) = self.entry(offset) else { return true };
        let Some(fact) = self.standing(entry.product, entry.version, offset) else { return true };
        let Some(next) = self.next_copy(offset) else { return false };
        let in_window = |verdict| matches!(verdict, Verdict::Effective | Verdict::Stale);
        let wins_then = self.entries.iter().any(|other| {
            let is_between = offset < other.offset && other.offset < next && !other.removed;
            let is_rival = (other.product, other.version) == (entry.product, entry.version);
            is_between && is_rival && in_window(other.verdict) && other.event_id != fact.event_id
        });
        let is_followed =
            self.facts[entry.product].get(entry.version as usize).is_some_and(|after| after.stands < next);
        next - entry.basis <= WINDOW && !wins_then && !is_followed
    }

    /// Whether an effective record stands there.
    pub(crate) fn counts_at(&self, offset: Offset) -> bool {
        self.entry(offset).is_some_and(|entry| self.standing(entry.product, entry.version, offset).is_some())
    }

    /// Whether the log would say the same without the record at `offset`, by folding it anew.
    pub(crate) fn says_the_same_without(&self, offset: Offset) -> bool {
        let left = self.entries.iter().filter(|entry| !entry.removed && entry.offset != offset);
        let left = left.filter(|entry| !matches!(entry.verdict, Verdict::Garbage | Verdict::Elsewhere));
        let mut history = vec![Vec::new(); self.subjects.len()];
        for entry in left {
            judge(&mut history[entry.product], entry.offset, entry.basis, entry.version, entry.event_id);
        }
        self.is(&history)
    }

    /// The record at `offset` is gone.
    pub(crate) fn removed(&mut self, offset: Offset) {
        let next = self.next_copy(offset);
        let Ok(at) = self.entries.binary_search_by_key(&offset, |entry| entry.offset) else { return };
        self.entries[at].removed = true;
        let (product, version) = (self.entries[at].product, self.entries[at].version);
        let fact = version.checked_sub(1).and_then(|n| self.facts.get_mut(product)?.get_mut(n as usize));
        if let (Some(fact), Some(next)) = (fact.filter(|fact| fact.stands == offset), next) {
            fact.stands = next;
        }
    }

    /// Whether a copy of this record stood here before and is gone: who has not seen it may take this one for it.
    pub(crate) fn is_second_of_removed(&self, offset: Offset) -> bool {
        self.entry(offset).is_some_and(|entry| {
            self.entries.iter().any(|e| e.event_id == entry.event_id && e.removed && e.offset < offset)
        })
    }

    /// The log as it stands now, folded from zero by nothing but its keys, is what was acknowledged.
    pub(crate) fn is_what_the_log_says(&self, records: &[LogRecord]) -> Checked {
        let mut history = vec![Vec::new(); self.subjects.len()];
        let foreign = |entry: &super::Entry| matches!(entry.verdict, Verdict::Garbage | Verdict::Elsewhere);
        for record in records.iter().filter(|record| !self.entry(record.offset).is_some_and(foreign)) {
            if let Ok((product, version, basis, event_id)) = self.parse(&record.key) {
                judge(&mut history[product], record.offset, basis, version, event_id);
            }
        }
        AcknowledgedIsKept.holds(self.is(&history), || {
            "the log, read from zero, no longer says what was acknowledged".to_owned()
        })
    }

    /// Checks the condition itself: sufficient always, and necessary unless what was decided on the record landed twice
    /// as well, so that its copy follows again.
    pub(crate) fn condition_is_exact(&self, offset: Offset) -> Checked {
        let is_same = self.says_the_same_without(offset);
        let Some(entry) = self.entry(offset) else { return Ok(()) };
        let follows_again = self.facts.get(entry.product).is_some_and(|facts| {
            facts.iter().any(|fact| fact.offset > offset && self.next_copy(fact.stands).is_some())
        });
        let is_exact = if self.is_harmless(offset) { is_same } else { !is_same || follows_again };
        ReadersAgree
            .holds(is_exact, || format!("the condition for a harmless hole is wrong at offset {offset}"))
    }

    fn is(&self, history: &[Vec<Uuid>]) -> bool {
        let same = |(facts, events): (&Vec<super::Fact>, &Vec<Uuid>)| {
            facts.iter().map(|fact| fact.event_id).eq(events.iter().copied())
        };
        self.facts.iter().zip(history).all(same)
    }

    fn standing(&self, product: usize, version: u64, offset: Offset) -> Option<&super::Fact> {
        let fact = self.facts.get(product)?.get(usize::try_from(version).ok()?.checked_sub(1)?)?;
        (fact.stands == offset).then_some(fact)
    }

    fn next_copy(&self, offset: Offset) -> Option<Offset> {
        let entry = self.entry(offset)?;
        let later = self.entries.iter().filter(|other| other.offset > offset && !other.removed);
        later.filter(|other| other.event_id == entry.event_id).map(|other| other.offset).next()
    }
}

/// The rule, plainly: the product's events so far, and one more if it counts.
fn judge(events: &mut Vec<Uuid>, offset: Offset, basis: Offset, version: u64, event_id: Uuid) {
    if (0..=WINDOW).contains(&(offset - basis)) && version == events.len() as u64 + 1 {
        events.push(event_id);
    }
}
