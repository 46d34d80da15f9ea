//! What is remembered for a while, and no more of it than was said.
//!
//! Promises: never more than the most; what is older than asked for is not given; [`Cache::forget_before`] leaves nothing older.

use std::borrow::Borrow;
use std::hash::Hash;
use std::time::Instant;

use ahash::AHashMap;

/// Values by key, with the time they were put. Of too many the half is dropped that was not put lately.
#[derive(Debug)]
pub(crate) struct Cache<K, V> {
    recent: AHashMap<K, (Instant, V)>,
    before: AHashMap<K, (Instant, V)>,
    most: usize,
}

impl<K: Eq + Hash, V> Cache<K, V> {
    /// Of at most so many, and at least two.
    pub(crate) fn of(most: usize) -> Self {
        Self { recent: AHashMap::new(), before: AHashMap::new(), most: most.max(2) }
    }

    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&(Instant, V)>
    where
        K: Borrow<Q>,
    {
        self.recent.get(key).or_else(|| self.before.get(key))
    }

    pub(crate) fn put(&mut self, key: K, at: Instant, value: V) {
        if self.recent.len() >= self.most / 2 && !self.recent.contains_key(&key) {
            self.before = std::mem::take(&mut self.recent);
        }
        self.before.remove(&key);
        self.recent.insert(key, (at, value));
    }

    /// Drops what was put before.
    pub(crate) fn forget_before(&mut self, time: Instant) {
        for half in [&mut self.recent, &mut self.before] {
            half.retain(|_, (at, _)| *at >= time);
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.recent.len() + self.before.len()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn it_holds_no_more_than_the_most_and_nothing_older_than_said() {
        let (mut cache, start) = (Cache::of(10), Instant::now());
        for n in 0..1_000_u64 {
            cache.put(n % 37, start + Duration::from_millis(n), n);
            assert!(cache.len() <= 10, "{}", cache.len());
            assert_eq!(cache.get(&(n % 37)).map(|(_, value)| *value), Some(n));
        }
        cache.forget_before(start + Duration::from_millis(998));
        assert_eq!(cache.len(), 2);
    }
}
