//! The products of a partition: those in use in memory, the others where they were saved, if there is such a place.
//! Promises that a product leaves memory only when it is saved as it is, and that nobody who needs it meets a gap.

use std::collections::VecDeque;

use ahash::AHashMap;

use super::product::{Product, Remembered};
use crate::{ColdError, ColdProducts, Saved, Subject};

/// How many products are looked at for one input when there are too many. An input brings one at most, and each is
/// passed over once if it was used since, so this keeps up; more would cost more when most cannot go yet.
const LOOKS: usize = 4;
/// The same while there are too many bytes: one huge product may take the place of many small ones. Fewer
/// if one after another is not saved yet.
const LOOKS_FOR_BYTES: usize = 32;

pub(super) struct Products<S> {
    hot: AHashMap<Subject, Hot<S>>,
    cold: Option<Cold<S>>,
    size: fn(&S) -> usize,
    /// How many commands of a product are remembered.
    remembered: usize,
}

struct Hot<S> {
    product: Product<S>,
    /// Used since it was last considered for leaving.
    touched: bool,
    /// Changed since the last snapshot.
    changed: bool,
    /// The last snapshot it is in.
    snapshot: u64,
    /// How much it was counted for.
    bytes: usize,
}

struct Cold<S> {
    products: Box<dyn ColdProducts<S>>,
    /// How many products may stay in memory, and how many bytes of them.
    limit: usize,
    max_bytes: usize,
    /// About how much the hot products take, and how much of it has changed since the last snapshot.
    bytes: usize,
    changed_bytes: usize,
    /// Every hot product, in the order in which they are considered for leaving.
    clock: VecDeque<Subject>,
    /// Those changed since the last snapshot, in the order they changed.
    changed: Vec<Subject>,
    /// The number of the last snapshot that was taken, and of the last one known to be written.
    taken: u64,
    saved: u64,
}

impl<S> Hot<S> {
    /// Counts it again, and returns how much it took before.
    fn count(&mut self, size: fn(&S) -> usize) -> usize {
        let state = self.product.state.as_deref().map_or(0, size);
        let commands = self.product.commands.capacity() * size_of::<Remembered>();
        std::mem::replace(&mut self.bytes, size_of::<Self>() + state + commands)
    }
}

impl<S> Products<S> {
    pub(super) fn new(size: fn(&S) -> usize, remembered: usize) -> Self {
        Self { hot: AHashMap::new(), cold: None, size, remembered }
    }

    pub(super) fn keep_cold_in(&mut self, products: Box<dyn ColdProducts<S>>, limit: usize) {
        let (clock, changed) = (VecDeque::new(), Vec::new());
        self.cold = Some(Cold {
            products,
            limit,
            max_bytes: usize::MAX,
            bytes: 0,
            changed_bytes: 0,
            clock,
            changed,
            taken: 0,
            saved: 0,
        });
    }

    pub(super) fn keep_within(&mut self, max_bytes: usize) {
        if let Some(cold) = &mut self.cold {
            cold.max_bytes = max_bytes;
        }
    }

    pub(super) fn has_cold(&self) -> bool {
        self.cold.is_some()
    }

    /// The product if it is in memory: so it is from [`Products::current`] on for as long as it is needed.
    pub(super) fn get(&self, subject: &str) -> Option<&Product<S>> {
        self.hot.get(subject).map(|hot| &hot.product)
    }

    /// The product's version, 0 if it has no record yet. Brings it into memory.
    pub(super) fn current(&mut self, subject: &str) -> Result<u64, ColdError> {
        if let Some(hot) = self.hot.get_mut(subject) {
            hot.touched = true;
            return Ok(hot.product.version);
        }
        let Some(cold) = &mut self.cold else { return Ok(0) };
        let subject = Subject::of_checked(subject);
        let Some(Saved(mut product)) = cold.products.load(&subject)? else { return Ok(0) };
        product.forget_beyond(self.remembered);
        let version = product.version;
        cold.clock.push_back(subject.clone());
        let mut hot = Hot { product, touched: true, changed: false, snapshot: 0, bytes: 0 };
        hot.count(self.size);
        cold.bytes += hot.bytes;
        self.hot.insert(subject, hot);
        Ok(version)
    }

    /// Looks at a product wherever it is, and leaves it there.
    pub(super) fn peek<T>(&self, subject: &Subject, look: impl FnOnce(&Product<S>) -> T) -> Option<T> {
        if let Some(hot) = self.hot.get(subject) {
            return Some(look(&hot.product));
        }
        let Saved(product) = self.cold.as_ref()?.products.load(subject).ok()??;
        Some(look(&product))
    }

    /// Changes the product, made if this is its first record: [`Products::current`] was called. The subject is copied
    /// only then.
    pub(super) fn change<T>(&mut self, subject: &str, change: impl FnOnce(&mut Product<S>) -> T) -> T {
        if let Some(hot) = self.hot.get_mut(subject) {
            let changed = change(&mut hot.product);
            if let Some(cold) = &mut self.cold {
                let before = hot.count(self.size);
                cold.bytes = (cold.bytes + hot.bytes).saturating_sub(before);
                if hot.changed {
                    cold.changed_bytes = (cold.changed_bytes + hot.bytes).saturating_sub(before);
                } else {
                    hot.changed = true;
                    cold.changed.push(hot.product.subject.clone());
                    cold.changed_bytes += hot.bytes;
                }
            }
            return changed;
        }
        let subject = Subject::of_checked(subject);
        let mut product = Product::new(subject.clone());
        let changed = change(&mut product);
        let mut hot = Hot { product, touched: false, changed: true, snapshot: 0, bytes: 0 };
        if let Some(cold) = &mut self.cold {
            cold.clock.push_back(subject.clone());
            cold.changed.push(subject.clone());
            hot.count(self.size);
            cold.bytes += hot.bytes;
            cold.changed_bytes += hot.bytes;
        }
        self.hot.insert(subject, hot);
        changed
    }

    /// Lets products leave memory while there are more than may stay, but none that is not saved or is needed.
    pub(super) fn evict(&mut self, is_needed: impl Fn(&Subject) -> bool) {
        let Some(cold) = &mut self.cold else { return };
        let mut unsaved = 0;
        for look in 0..LOOKS_FOR_BYTES {
            let (too_many, too_large) = (self.hot.len() > cold.limit, cold.bytes > cold.max_bytes);
            if !too_large && (!too_many || look >= LOOKS) {
                return;
            }
            let Some(subject) = cold.clock.pop_front() else { return };
            let Some(hot) = self.hot.get_mut(&subject) else { continue };
            unsaved = if hot.changed || hot.snapshot > cold.saved { unsaved + 1 } else { 0 };
            let stays = hot.touched || hot.changed || hot.snapshot > cold.saved || is_needed(&subject);
            if stays {
                hot.touched = false;
                cold.clock.push_back(subject);
            } else {
                cold.bytes = cold.bytes.saturating_sub(hot.bytes);
                self.hot.remove(&subject);
            }
            if unsaved >= LOOKS {
                // Most wait for the next snapshot: more looks would find nothing.
                return;
            }
        }
    }

    /// The products changed since the last snapshot, and the number of this one.
    pub(super) fn take_changed(&mut self) -> Option<(u64, Vec<Saved<S>>)> {
        let cold = self.cold.as_mut()?;
        cold.taken += 1;
        cold.changed_bytes = 0;
        let (number, changed) = (cold.taken, std::mem::take(&mut cold.changed));
        let products = changed.into_iter().filter_map(|subject| {
            let hot = self.hot.get_mut(&subject)?;
            (hot.changed, hot.snapshot) = (false, number);
            Some(Saved(hot.product.clone()))
        });
        Some((number, products.collect()))
    }

    /// The snapshot, and all before it, are written.
    pub(super) fn saved(&mut self, number: u64) {
        if let Some(cold) = &mut self.cold {
            cold.saved = cold.saved.max(number.min(cold.taken));
        }
    }

    pub(super) fn changed(&self) -> usize {
        self.cold.as_ref().map_or(0, |cold| cold.changed.len())
    }

    pub(super) fn changed_bytes(&self) -> usize {
        self.cold.as_ref().map_or(0, |cold| cold.changed_bytes)
    }

    pub(super) fn hot(&self) -> usize {
        self.hot.len()
    }

    pub(super) fn hot_bytes(&self) -> usize {
        self.cold.as_ref().map_or(0, |cold| cold.bytes)
    }

    pub(super) fn clear(&mut self) {
        self.hot = AHashMap::new();
        if let Some(cold) = &mut self.cold {
            cold.products.clear();
            (cold.clock, cold.changed) = (VecDeque::new(), Vec::new());
            (cold.bytes, cold.changed_bytes) = (0, 0);
        }
    }
}
