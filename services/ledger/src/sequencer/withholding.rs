//! Effective records whose values are not known yet. Promises that each counts for its product's version at once and is
//! folded later, in order; that until then no command on its product is decided; and that nothing is saved meanwhile.

use super::product::Product;
use super::{DecodedRecord, Sequencer, Unreadable};
use crate::key::KeyRef;
use crate::laws::Laws;
use crate::{Aggregate, LogRecord, Offset, Subject};

/// What an effective record of another writer holds.
pub(super) enum Value<E> {
    Here(Result<DecodedRecord<E>, Unreadable>),
    /// It is told later.
    Later,
}

impl<A: Aggregate, X, L: Laws> Sequencer<A, X, L> {
    /// A record of the tail that [`Sequencer::needs_value`] and whose value comes later, with [`Sequencer::tell`].
    pub fn withhold(&mut self, now_ms: u64, offset: Offset, key: &[u8]) {
        self.now_ms = self.now_ms.max(now_ms);
        if self.unproven.is_none() && self.is_news(offset) {
            self.apply(offset, key, || Value::Later);
            self.settle();
        }
    }

    /// What a withheld record holds: of each product they are told in the order of the log, from the first on, and so is
    /// every effective record that came behind one. `is_last`: no other of its product is withheld.
    pub fn tell(
        &mut self,
        now_ms: u64,
        record: &LogRecord,
        decoded: Result<DecodedRecord<A::Event>, Unreadable>,
        is_last: bool,
    ) {
        self.now_ms = self.now_ms.max(now_ms);
        let Ok(key) = KeyRef::parse(&record.key) else { return };
        let Some(version) = self.products.get(key.subject).filter(|it| it.withheld).map(|it| it.version)
        else {
            debug_assert!(false, "what is told was withheld");
            return;
        };
        self.fold(record.offset, key, decoded);
        self.products.change(key.subject, |product| {
            // Folding has set it to the record's.
            product.version = version;
            product.withheld = !is_last;
        });
        if is_last {
            self.withheld -= 1;
            self.advance(&Subject::of_checked(key.subject));
        }
        self.settle();
    }

    pub(super) fn mark_withheld(&mut self, key: KeyRef<'_>) {
        let withhold = |product: &mut Product<A::State>| {
            product.version = key.version;
            std::mem::replace(&mut product.withheld, true)
        };
        if !self.products.change(key.subject, withhold) {
            self.withheld += 1;
        }
    }

    /// How many products have records whose values are told later.
    pub fn withheld_products(&self) -> usize {
        self.withheld
    }
}
