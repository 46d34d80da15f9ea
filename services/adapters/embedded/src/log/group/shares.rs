//! Which member of a group has which partition, within this process.
//!
//! Promises: each partition has one holder at most, and a member gets one only when whoever held it has given it back; members have equal shares, give or take
//! one partition; a partition moves only if shares would be unequal otherwise.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

/// Names a member of one group.
pub(super) type MemberId = u64;

/// The members of one group, and what they hold.
#[derive(Debug)]
pub(in super::super) struct Shares(Mutex<State>);

#[derive(Debug)]
struct State {
    joined: MemberId,
    members: BTreeMap<MemberId, Thread>,
    /// Who shall have each partition.
    wanted: Vec<Option<MemberId>>,
    /// Who has it, until it is given back.
    holders: Vec<Option<MemberId>>,
}

/// What a member is to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Changes {
    /// These are its own from now on.
    pub(super) take: Vec<i32>,
    /// These go to others as soon as it gives them back.
    pub(super) give: Vec<i32>,
}

impl Shares {
    pub(in super::super) fn new(partitions: i32) -> Self {
        let none = vec![None; partitions.unsigned_abs() as usize];
        let (wanted, holders) = (none.clone(), none);
        Self(Mutex::new(State { joined: 0, members: BTreeMap::new(), wanted, holders }))
    }

    /// A new member, whose thread is this one.
    pub(super) fn join(&self) -> MemberId {
        let mut state = self.lock();
        state.joined += 1;
        let member = state.joined;
        state.members.insert(member, std::thread::current());
        state.share();
        member
    }

    pub(super) fn changes(&self, member: MemberId) -> Changes {
        let mut state = self.lock();
        let State { wanted, holders, .. } = &mut *state;
        let mut changes = Changes { take: Vec::new(), give: Vec::new() };
        for ((partition, wanted), holder) in (0..).zip(wanted).zip(holders) {
            if *holder == Some(member) && *wanted != Some(member) {
                changes.give.push(partition);
            } else if holder.is_none() && *wanted == Some(member) {
                *holder = Some(member);
                changes.take.push(partition);
            }
        }
        changes
    }

    /// The member no longer reads these.
    pub(super) fn give_back(&self, member: MemberId, partitions: &[i32]) {
        let mut state = self.lock();
        for partition in partitions {
            let holder = state.holders.get_mut(partition.unsigned_abs() as usize);
            if let Some(holder) = holder.filter(|holder| **holder == Some(member)) {
                *holder = None;
            }
        }
        state.wake();
    }

    /// The member will take nothing any more; what it holds is still its own.
    pub(super) fn retire(&self, member: MemberId) {
        let mut state = self.lock();
        state.members.remove(&member);
        state.share();
    }

    /// The member has ended, with everything it held.
    pub(super) fn leave(&self, member: MemberId) {
        let mut state = self.lock();
        state.members.remove(&member);
        for holder in state.holders.iter_mut().filter(|holder| **holder == Some(member)) {
            *holder = None;
        }
        state.share();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn share(&mut self) {
        let members: Vec<_> = self.members.keys().copied().collect();
        share(&members, &mut self.wanted);
        self.wake();
    }

    fn wake(&self) {
        self.members.values().for_each(Thread::unpark);
    }
}

/// Shares the partitions among `members`, who are in order, with as few moves as can be.
fn share(members: &[MemberId], wanted: &mut [Option<MemberId>]) {
    let counted = members.len().max(1);
    let (each, mut larger) = (wanted.len() / counted, wanted.len() % counted);
    let mut room = BTreeMap::new();
    // Who has most keeps most: those may have the larger shares.
    let mut by_holding = members.to_vec();
    let has = |member: &MemberId| wanted.iter().filter(|wanted| **wanted == Some(*member)).count();
    by_holding.sort_by_key(|member| std::cmp::Reverse(has(member)));
    for member in by_holding {
        room.insert(member, each + usize::from(larger > 0));
        larger = larger.saturating_sub(1);
    }
    for wanted in &mut *wanted {
        match wanted.and_then(|member| room.get_mut(&member)).filter(|room| **room > 0) {
            Some(room) => *room -= 1,
            None => *wanted = None,
        }
    }
    let free = wanted.iter_mut().filter(|wanted| wanted.is_none());
    let takers = room.into_iter().flat_map(|(member, room)| std::iter::repeat_n(member, room));
    free.zip(takers).for_each(|(wanted, member)| *wanted = Some(member));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(members: &[MemberId], wanted: &[Option<MemberId>]) -> Vec<usize> {
        members.iter().map(|m| wanted.iter().filter(|wanted| **wanted == Some(*m)).count()).collect()
    }

    #[test]
    fn shares_are_equal_and_move_no_more_than_they_must() {
        for partitions in [1, 2, 7, 12] {
            let mut wanted = vec![None; partitions];
            let mut members: Vec<MemberId> = Vec::new();
            for member in 1..=9 {
                let before = wanted.clone();
                members.push(member);
                share(&members, &mut wanted);
                let counts = counts(&members, &wanted);
                assert_eq!(counts.iter().sum::<usize>(), partitions);
                assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
                let moved = before.iter().zip(&wanted).filter(|(before, after)| before != after).count();
                let new = counts[members.len() - 1];
                assert_eq!(moved, if member == 1 { partitions } else { new }, "only what the new one gets");
            }
            while members.len() > 1 {
                let gone = members.remove(members.len() / 2);
                let before = wanted.clone();
                share(&members, &mut wanted);
                let counts = counts(&members, &wanted);
                assert_eq!(counts.iter().sum::<usize>(), partitions);
                assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
                let stays = |(before, after): (&Option<MemberId>, &Option<MemberId>)| {
                    before == after || *before == Some(gone)
                };
                assert!(before.iter().zip(&wanted).all(stays), "{gone}: {before:?} {wanted:?}");
            }
            share(&[], &mut wanted);
            assert!(wanted.iter().all(Option::is_none));
        }
    }

    #[test]
    fn a_partition_has_one_holder_until_it_is_given_back() {
        let shares = Shares::new(2);
        let first = shares.join();
        assert_eq!(shares.changes(first), Changes { take: vec![0, 1], give: vec![] });
        let second = shares.join();
        assert_eq!(shares.changes(second), Changes { take: vec![], give: vec![] });
        let Changes { take, give } = shares.changes(first);
        assert!(take.is_empty() && give.len() == 1, "{give:?}");
        shares.give_back(second, &give);
        assert!(shares.changes(second).take.is_empty(), "it was not the second's to give back");
        shares.give_back(first, &give);
        assert_eq!(shares.changes(second).take, give);
        shares.retire(second);
        assert!(shares.changes(first).take.is_empty(), "who retires still holds");
        shares.leave(second);
        assert_eq!(shares.changes(first).take, give);
    }
}
