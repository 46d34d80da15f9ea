//! Memory that requests share: how much each takes is counted, about, and who would go beyond the limit is turned away.
//! Promises that what is taken is given back when its share is dropped, and that one alone always finds room.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A number of bytes to take from. Clones are the same.
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    max: usize,
    taken: AtomicUsize,
}

/// What one request takes.
#[derive(Debug)]
pub struct Share {
    shared: Arc<Shared>,
    bytes: usize,
}

impl Memory {
    pub fn new(max: usize) -> Self {
        Self { shared: Arc::new(Shared { max, taken: AtomicUsize::new(0) }) }
    }

    /// Nothing yet: it may grow.
    pub fn empty(&self) -> Share {
        Share { shared: Arc::clone(&self.shared), bytes: 0 }
    }

    /// So many bytes, if there is room for them.
    pub fn take(&self, bytes: usize) -> Option<Share> {
        let mut share = self.empty();
        share.grow(bytes).then_some(share)
    }

    /// How much is taken now.
    pub fn taken(&self) -> usize {
        self.shared.taken.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Takes more; false if there is no room. What it has it keeps.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let before = self.shared.taken.fetch_add(bytes, Ordering::Relaxed);
        let others = before.saturating_sub(self.bytes);
        if others > 0 && before.saturating_add(bytes) > self.shared.max {
            self.shared.taken.fetch_sub(bytes, Ordering::Relaxed);
            return false;
        }
        self.bytes += bytes;
        true
    }

    /// Takes so many in all, more or less than before; false if there is no room.
    pub fn set(&mut self, bytes: usize) -> bool {
        if bytes > self.bytes {
            return self.grow(bytes - self.bytes);
        }
        self.shared.taken.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        self.bytes = bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shared.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_would_go_beyond_the_limit_is_turned_away_until_others_are_done() {
        let memory = Memory::new(100);
        let mut first = memory.take(60).unwrap();
        assert!(memory.take(41).is_none());
        let second = memory.take(40).unwrap();
        assert!(!first.grow(1));
        drop(second);
        assert!(first.grow(40) && memory.taken() == 100);
        assert!(first.set(30) && memory.taken() == 30 && first.set(31) && memory.taken() == 31);
        drop(first);
        assert_eq!(memory.taken(), 0);
        let alone = memory.take(1_000).unwrap();
        assert!(memory.take(1).is_none());
        drop(alone);
        assert_eq!(memory.taken(), 0);
    }
}
