//! What is parked of one partition, and what that means for its next records. No I/O.
//!
//! Promises: a record of a product that is parked follows it, and those of all others flow; what came before the product's first
//! letter is applied, however often it comes again; a record that has its letter needs no second one; what a redrive has applied
//! has no letter, and what it has not keeps its own.
//!
//! Memory: eight bytes for each letter, and what is known of the first of each product.

use std::collections::BTreeMap;

use toolkit::dead_letters::Outline;

/// The products that are parked.
#[derive(Debug, Default)]
pub(crate) struct Parked {
    products: BTreeMap<String, Held>,
    records: usize,
    /// Products that were given up.
    discarded: usize,
}

/// What is parked of one product.
#[derive(Debug, Clone)]
pub(crate) struct Held {
    first: Outline,
    /// Of all its letters, in order.
    offsets: Vec<i64>,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sorted {
    /// It is applied.
    Flows,
    /// It has its letter.
    Parked,
    /// It gets one, because its product is parked.
    Follows,
    /// Its product was given up.
    Dropped,
}

impl Held {
    pub(crate) fn first(&self) -> &Outline {
        &self.first
    }

    pub(crate) fn offsets(&self) -> &[i64] {
        &self.offsets
    }

    pub(crate) fn has(&self, offset: i64) -> bool {
        self.offsets.binary_search(&offset).is_ok()
    }

    fn last(&self) -> i64 {
        self.offsets.last().copied().unwrap_or(self.first.offset)
    }
}

impl Parked {
    /// What these letters say.
    pub(crate) fn of(letters: Vec<Outline>) -> Self {
        let mut parked = Self::default();
        for letter in letters {
            parked.park(letter);
        }
        parked
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.products.is_empty()
    }

    /// How many products are parked, and how many letters they have. One that was given up is neither: nobody has to do anything.
    pub(crate) fn counts(&self) -> (usize, usize) {
        // Its marker is the one letter that it has.
        (self.products.len() - self.discarded, self.records.saturating_sub(self.discarded))
    }

    pub(crate) fn get(&self, product: &str) -> Option<&Held> {
        self.products.get(product)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&String, &Held)> {
        self.products.iter()
    }

    /// What becomes of an effective record.
    pub(crate) fn sort(&self, product: &str, offset: i64) -> Sorted {
        match self.products.get(product) {
            None => Sorted::Flows,
            Some(held) if offset < held.first.offset => Sorted::Flows,
            Some(held) if held.has(offset) => Sorted::Parked,
            Some(held) if held.first.is_discarded => Sorted::Dropped,
            Some(_) => Sorted::Follows,
        }
    }

    /// A letter is there, in place of one of the same record.
    pub(crate) fn park(&mut self, letter: Outline) {
        let offset = letter.offset;
        let Some(held) = self.products.get_mut(&letter.subject) else {
            self.discarded += usize::from(letter.is_discarded);
            self.products.insert(letter.subject.clone(), Held { first: letter, offsets: vec![offset] });
            self.records += 1;
            return;
        };
        if let Err(at) = held.offsets.binary_search(&offset) {
            held.offsets.insert(at, offset);
            self.records += 1;
        }
        if offset <= held.first.offset {
            self.discarded += usize::from(letter.is_discarded);
            self.discarded -= usize::from(held.first.is_discarded);
            held.first = letter;
        }
    }

    /// Whether everything that is parked of a product lies below this position: what came before its letters is applied then.
    pub(crate) fn is_below(&self, product: &str, position: i64) -> bool {
        self.products.get(product).is_none_or(|held| held.last() < position)
    }

    /// The letters of a product were applied, in their order: all of them, or those before the one that `failed` again. The offsets of
    /// those that are to be resolved.
    pub(crate) fn redriven(&mut self, product: &str, failed: Option<Outline>) -> Vec<i64> {
        let Some(held) = self.products.get_mut(product) else { return Vec::new() };
        self.discarded -= usize::from(held.first.is_discarded);
        let Some(failed) = failed else {
            let held = self.products.remove(product);
            let resolved = held.map(|it| it.offsets).unwrap_or_default();
            self.records -= resolved.len();
            return resolved;
        };
        let stay = held.offsets.partition_point(|offset| *offset < failed.offset);
        let resolved: Vec<i64> = held.offsets.drain(..stay).collect();
        self.records -= resolved.len();
        if held.offsets.first() != Some(&failed.offset) {
            held.offsets.insert(0, failed.offset);
            self.records += 1;
        }
        self.discarded += usize::from(failed.is_discarded);
        held.first = failed;
        resolved
    }

    /// The product is given up: the marker, which keeps it out and is to be parked, and then the letters to be resolved.
    pub(crate) fn discard(&mut self, product: &str, acted: u64) -> Option<(Outline, Vec<i64>)> {
        let held = self.products.get_mut(product)?;
        self.discarded += usize::from(!held.first.is_discarded);
        held.first.is_discarded = true;
        held.first.acted = held.first.acted.max(acted);
        let resolved = held.offsets.split_off(1);
        self.records -= resolved.len();
        Some((held.first.clone(), resolved))
    }
}

#[cfg(test)]
mod tests;
