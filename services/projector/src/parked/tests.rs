//! Any sequence of records, failures, crashes, redrives and rows that are lost, on a partition as its task works on it: in the end each effective record
//! is applied or parked, and never both, or neither.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use toolkit::dead_letters::Kind;

use super::*;

const PRODUCTS: [&str; 3] = ["a", "b", "c"];

fn letter(product: &str, offset: i64, kind: Kind) -> Outline {
    Outline {
        partition: 0,
        offset,
        subject: product.to_owned(),
        kind,
        reason: String::new(),
        attempts: 1,
        first_failed_ms: 0,
        last_failed_ms: 0,
        acted: 0,
        is_discarded: false,
    }
}

/// What somebody does. Numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Move {
    /// Somebody appends: of which product, and whether it cannot be applied.
    Append(usize, bool),
    /// A batch of so many records; it ends early after so many of its effects, if they are fewer.
    Batch { records: usize, crash_after: usize, rows_first: bool },
    /// Tries a product again, and ends early after so many effects.
    Redrive { product: usize, crash_after: usize },
    /// A release that can read what could not be read.
    Cure(usize),
    /// The process ends, and another one begins at this much less than what is settled.
    Crash(i64),
    /// What is applied is on disk; it ends early after so many letters are resolved.
    OnDisk(usize),
    /// The store is started anew, and has what was on disk.
    Lose,
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let crash_after = || prop_oneof![3 => Just(usize::MAX), 1 => 0_usize..6];
    let one = prop_oneof![
        5 => (0_usize..3, prop::bool::weighted(0.2)).prop_map(|(product, fails)| Move::Append(product, fails)),
        4 => (1_usize..8, crash_after(), any::<bool>())
            .prop_map(|(records, crash_after, rows_first)| Move::Batch { records, crash_after, rows_first }),
        2 => (0_usize..3, crash_after()).prop_map(|(product, crash_after)| Move::Redrive { product, crash_after }),
        1 => any::<usize>().prop_map(Move::Cure),
        1 => (0_i64..5).prop_map(Move::Crash),
        2 => crash_after().prop_map(Move::OnDisk),
        1 => Just(Move::Lose),
    ];
    prop::collection::vec(one, 1..120)
}

#[derive(Debug, Default)]
struct World {
    log: Vec<&'static str>,
    fails: BTreeSet<i64>,
    /// Lasting: what is applied of each product, by offset in order,
    rows: BTreeMap<&'static str, Vec<i64>>,
    letters: BTreeMap<i64, Outline>,
    settled: i64,
    /// of which this is on disk,
    kept: BTreeMap<&'static str, Vec<i64>>,
    durable: i64,
    /// and in memory.
    parked: Parked,
    position: i64,
    /// Letters to be resolved when the rows are on disk.
    resolving: Vec<i64>,
}

/// What a batch leaves behind, one after another.
enum Effect {
    Letter(Outline),
    Row(&'static str, i64),
    Resolve(i64),
    Settle(i64),
}

impl World {
    fn of(&self, product: &str) -> impl Iterator<Item = i64> {
        let product = product.to_owned();
        self.log.iter().enumerate().filter(move |(_, it)| **it == product).map(|(offset, _)| offset as i64)
    }

    /// The record's product has everything before it in its rows, and nothing after: as versions say.
    fn apply(&mut self, product: &'static str, offset: i64) {
        let before: Vec<i64> = self.of(product).filter(|it| *it < offset).collect();
        let rows = self.rows.entry(product).or_default();
        if rows.contains(&offset) {
            return;
        }
        assert_eq!(*rows, before, "{product} {offset} is applied in its turn");
        rows.push(offset);
    }

    /// Does these, up to a crash; whether it came to the end.
    fn leave(&mut self, effects: Vec<Effect>, crash_after: usize) -> bool {
        let count = effects.len();
        for effect in effects.into_iter().take(crash_after) {
            match effect {
                Effect::Letter(letter) => drop(self.letters.insert(letter.offset, letter)),
                Effect::Row(product, offset) => self.apply(product, offset),
                Effect::Resolve(offset) => drop(self.letters.remove(&offset)),
                Effect::Settle(position) => self.settled = position,
            }
        }
        if crash_after < count {
            self.begin(0);
        }
        crash_after >= count
    }

    /// Another process.
    fn begin(&mut self, back: i64) {
        self.resolving.clear();
        self.parked = Parked::of(self.letters.values().cloned().collect());
        self.position = (self.settled - back).max(0);
    }

    fn batch(&mut self, records: usize, crash_after: usize, rows_first: bool) {
        let to = (self.position + records as i64).min(self.log.len() as i64);
        let (mut rows, mut letters) = (Vec::new(), Vec::new());
        for offset in self.position..to {
            let product = self.log[offset as usize];
            let kind = match self.parked.sort(product, offset) {
                Sorted::Parked => continue,
                Sorted::Dropped => unreachable!("nothing is discarded here"),
                Sorted::Follows => Kind::Follows,
                Sorted::Flows if self.fails.contains(&offset) => Kind::Undecodable,
                Sorted::Flows => {
                    rows.push(Effect::Row(product, offset));
                    continue;
                }
            };
            self.parked.park(letter(product, offset, kind));
            letters.push(Effect::Letter(letter(product, offset, kind)));
        }
        let (mut effects, then) = if rows_first { (rows, letters) } else { (letters, rows) };
        effects.extend(then);
        effects.push(Effect::Settle(to.max(self.settled)));
        if self.leave(effects, crash_after) {
            self.position = to;
        }
    }

    fn redrive(&mut self, product: &'static str, crash_after: usize) {
        let Some(held) = self.parked.get(product).cloned() else { return };
        if !self.parked.is_below(product, self.position) {
            return;
        }
        let mut effects = Vec::new();
        let failed = held.offsets().iter().find(|it| self.fails.contains(it)).copied();
        for offset in held.offsets().iter().take_while(|it| Some(**it) != failed) {
            effects.push(Effect::Row(product, *offset));
        }
        let failed = failed.map(|offset| letter(product, offset, Kind::Undecodable));
        // The letter that stays says first what it is.
        effects.extend(failed.clone().map(Effect::Letter));
        let stays = failed.as_ref().map(|it| it.offset);
        let resolved = self.parked.redriven(product, failed);
        if self.leave(effects, crash_after) {
            self.resolving.extend(resolved);
            self.resolving.retain(|it| Some(*it) != stays);
        }
    }

    fn on_disk(&mut self, crash_after: usize) {
        (self.kept, self.durable) = (self.rows.clone(), self.settled);
        let mut resolved = std::mem::take(&mut self.resolving);
        resolved.sort_unstable_by(|one, other| other.cmp(one));
        self.leave(resolved.into_iter().map(Effect::Resolve).collect(), crash_after);
    }

    fn lose(&mut self) {
        (self.rows, self.settled) = (self.kept.clone(), self.durable);
        self.begin(0);
    }

    fn check(&self) {
        for (offset, product) in (0..self.settled).zip(&self.log) {
            let is_applied = self.rows.get(product).is_some_and(|it| it.contains(&offset));
            let is_parked = self.letters.contains_key(&offset);
            assert!(is_applied || is_parked, "{product} {offset} is lost: {self:?}");
        }
        for (offset, product) in (0..self.durable).zip(&self.log) {
            let is_kept = self.kept.get(product).is_some_and(|it| it.contains(&offset));
            let is_parked = self.letters.contains_key(&offset);
            assert!(is_kept || is_parked, "{product} {offset} can be lost: {self:?}");
        }
        let parked = Parked::of(self.letters.values().cloned().collect());
        assert_eq!(parked.counts().1, self.letters.len());
    }

    /// Nothing is under way.
    fn check_at_rest(&self) {
        self.check();
        for (offset, product) in (0..self.settled).zip(&self.log) {
            let is_applied = self.rows.get(product).is_some_and(|it| it.contains(&offset));
            assert!(is_applied != self.letters.contains_key(&offset), "{product} {offset}: {self:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn each_record_is_applied_or_parked_and_in_the_end_all_are_applied(moves in moves()) {
        let mut world = World::default();
        for one in moves {
            match one {
                Move::Append(product, fails) => {
                    let offset = world.log.len() as i64;
                    world.log.push(PRODUCTS[product]);
                    if fails {
                        world.fails.insert(offset);
                    }
                }
                Move::Batch { records, crash_after, rows_first } => world.batch(records, crash_after, rows_first),
                Move::Redrive { product, crash_after } => world.redrive(PRODUCTS[product], crash_after),
                Move::Cure(which) => {
                    let nth = which % world.fails.len().max(1);
                    if let Some(offset) = world.fails.iter().nth(nth).copied() {
                        world.fails.remove(&offset);
                    }
                }
                Move::Crash(back) => world.begin(back),
                Move::OnDisk(crash_after) => world.on_disk(crash_after),
                Move::Lose => world.lose(),
            }
            world.check();
        }
        // Whoever has the partition next comes to the end, and tries each product once.
        world.begin(3);
        world.batch(1_000, usize::MAX, true);
        for product in PRODUCTS {
            world.redrive(product, usize::MAX);
        }
        world.on_disk(usize::MAX);
        world.check_at_rest();
        // Once all of it can be applied, all of it is.
        world.fails.clear();
        for product in PRODUCTS {
            world.redrive(product, usize::MAX);
        }
        world.on_disk(usize::MAX);
        prop_assert!(world.letters.is_empty() && world.parked.is_empty());
        for product in PRODUCTS {
            let all: Vec<i64> = world.of(product).collect();
            prop_assert_eq!(world.rows.get(product).cloned().unwrap_or_default(), all);
        }
    }
}

#[test]
fn a_product_that_was_given_up_is_kept_out_by_its_marker_until_it_is_redriven() {
    let mut parked = Parked::default();
    for (offset, kind) in [(5, Kind::Gap), (7, Kind::Follows), (9, Kind::Follows)] {
        parked.park(letter("a", offset, kind));
    }
    assert_eq!(parked.discard("b", 3), None);
    let (marker, resolved) = parked.discard("a", 3).unwrap();
    assert_eq!((marker.offset, marker.is_discarded, marker.acted, resolved), (5, true, 3, vec![7, 9]));
    assert_eq!(parked.counts(), (0, 0), "nobody has to do anything about it");
    for parked in [&parked, &Parked::of(vec![marker])] {
        let sorted = [4, 5, 7, 11].map(|offset| parked.sort("a", offset));
        assert_eq!(sorted, [Sorted::Flows, Sorted::Parked, Sorted::Dropped, Sorted::Dropped]);
        assert_eq!(parked.sort("b", 11), Sorted::Flows);
    }
    assert_eq!(parked.redriven("a", None), [5]);
    assert_eq!((parked.sort("a", 11), parked.counts()), (Sorted::Flows, (0, 0)));
}

#[test]
fn a_redrive_may_fail_at_a_record_that_had_no_letter() {
    let mut parked = Parked::of(vec![letter("a", 5, Kind::Gap), letter("a", 9, Kind::Follows)]);
    assert_eq!(parked.redriven("a", Some(letter("a", 2, Kind::Undecodable))), Vec::<i64>::new());
    assert_eq!((parked.sort("a", 3), parked.counts()), (Sorted::Follows, (1, 3)));
    assert_eq!(parked.redriven("a", Some(letter("a", 7, Kind::Unfoldable))), [2, 5]);
    assert_eq!(parked.get("a").map(|it| it.offsets().to_vec()), Some(vec![7, 9]));
}
