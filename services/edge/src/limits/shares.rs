//! A door's room, shared by callers.
//!
//! Promises: whoever is alone may have all of it; when it is full, whoever has less than its share (the room divided by the callers in it,
//! itself among them) is let in all the same, so that a caller who floods keeps nobody out; even so there are never more than twice as many
//! inside as there is room for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::Account;

/// Who is inside. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Shares(Arc<Mutex<Inside>>);

/// One who is inside, until it is dropped.
#[derive(Debug)]
pub struct Seat {
    shares: Shares,
    of: Account,
}

#[derive(Debug, Default)]
struct Inside {
    all: usize,
    by: HashMap<u64, usize>,
}

impl Inside {
    /// Whether `who` has less than its share of a room of this size, and there are not twice as many inside.
    fn is_below_share(&self, who: u64, room: usize) -> bool {
        let its = self.by.get(&who).copied().unwrap_or_default();
        let callers = self.by.len() + usize::from(its == 0);
        // One who is alone has all of the room, and no share beside it.
        callers > 1 && its < (room / callers).max(1) && self.all < room.saturating_mul(2)
    }

    fn enter(&mut self, who: u64) {
        self.all += 1;
        *self.by.entry(who).or_default() += 1;
    }

    fn leave(&mut self, who: u64) {
        self.all -= 1;
        if let Some(its) = self.by.get_mut(&who) {
            *its -= 1;
            if *its == 0 {
                self.by.remove(&who);
            }
        }
    }
}

impl Shares {
    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets somebody in to a room of this size: if it is free there, or if `who` has less than its share.
    pub fn enter(&self, who: &Account, room: usize, is_free: bool) -> Option<Seat> {
        let mut inside = self.lock();
        if !is_free && !inside.is_below_share(who.id(), room) {
            return None;
        }
        inside.enter(who.id());
        Some(Seat { shares: self.clone(), of: who.clone() })
    }

    /// Whether somebody would be let in though the room is full.
    pub fn is_below_share(&self, who: &Account, room: usize) -> bool {
        self.lock().is_below_share(who.id(), room)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shares.lock().leave(self.of.id());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: usize = 12;

    /// Lets `who` in until it is refused; how often it was let in.
    fn fill(inside: &mut Inside, who: u64) -> usize {
        let mut entered = 0;
        while inside.all < ROOM || inside.is_below_share(who, ROOM) {
            inside.enter(who);
            entered += 1;
        }
        entered
    }

    #[test]
    fn one_alone_has_the_whole_room_and_no_more() {
        let mut inside = Inside::default();
        assert_eq!(fill(&mut inside, 1), ROOM);
        assert!(!inside.is_below_share(1, ROOM));
    }

    #[test]
    fn whoever_comes_to_a_full_room_gets_its_share_and_who_floods_gets_nothing_until_others_have_left() {
        let mut inside = Inside::default();
        fill(&mut inside, 1);
        assert_eq!(fill(&mut inside, 2), ROOM / 2);
        assert_eq!(fill(&mut inside, 3), ROOM / 3);
        assert!(!inside.is_below_share(1, ROOM), "it has more than its share");
        for _ in 0..ROOM {
            inside.leave(1);
        }
        // Ten are inside: two places are free, and its share is four.
        assert_eq!(fill(&mut inside, 1), ROOM / 3);
        for (who, its) in [(1, 4), (2, 6), (3, 4)] {
            (0..its).for_each(|_| inside.leave(who));
        }
        assert!(inside.all == 0 && inside.by.is_empty(), "nothing is kept of who has left: {inside:?}");
    }

    #[test]
    fn however_many_callers_there_are_no_more_than_twice_the_room_are_inside() {
        let mut inside = Inside::default();
        fill(&mut inside, 0);
        let entered: usize = (1..1_000).map(|who| fill(&mut inside, who)).sum();
        assert_eq!((inside.all, entered), (2 * ROOM, ROOM));
    }

    #[test]
    fn in_a_steady_state_who_floods_leaves_others_their_share() {
        // Each round the oldest are answered; one sends a hundred times as much as the other, and first.
        let (mut inside, mut queue) = (Inside::default(), std::collections::VecDeque::new());
        let (mut refused, mut answered) = ([0, 0], [0, 0]);
        for _ in 0..1_000 {
            for (who, times) in [(0, 100), (1, 1)] {
                for _ in 0..times {
                    if inside.all < ROOM || inside.is_below_share(who, ROOM) {
                        inside.enter(who);
                        queue.push_back(who);
                    } else {
                        refused[who as usize] += 1;
                    }
                }
            }
            for who in queue.drain(..ROOM / 4) {
                inside.leave(who);
                answered[who as usize] += 1;
            }
        }
        assert_eq!(refused[1], 0, "{refused:?} {answered:?}");
        assert!(answered[1] > 980, "{refused:?} {answered:?}");
    }
}
