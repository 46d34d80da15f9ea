//! Random histories: real sequencers of several writers on the simulated log, with every fault it has, restarts with and
//! without snapshots, and retrying clients; then everything the design promises is checked against a model that shares no code with them.
//! Each law is broken in turn to show that the checks would find it.

mod check;
mod disks;
mod node;
mod readers;
mod shop;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::laws::Law;
use world::World;

const HISTORIES: u64 = 100_000;

/// Runs one history and checks it.
fn run(seed: u64, broken: Option<Law>) -> Result<check::Counts, String> {
    let mut world = World::new(seed, broken);
    world.play();
    world.heal()?;
    let counts = check::check(&world)?;
    readers::agree(&world.records(), world.window, world.dice())?;
    Ok(counts)
}

#[test]
fn the_log_decides() {
    let mut sum = check::Counts::default();
    for seed in 0..HISTORIES {
        match run(seed, None) {
            Ok(counts) => sum.add(&counts),
            Err(problem) => panic!("history {seed}: {problem}"),
        }
    }
    println!("{HISTORIES} histories: {sum:?}");
    // The histories must be worth something: everything that can happen happens often.
    for (what, count) in sum.each() {
        assert!(count > 100, "too few {what}: {count}");
    }
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..50 {
        let records = || {
            let mut world = World::new(seed, None);
            world.play();
            world.records()
        };
        assert_eq!(records(), records(), "history {seed}");
    }
}

/// The first of a few histories that shows the broken law, and how.
fn first_to_show(broken: Law) -> String {
    let found = (0..2_000).find_map(|seed| {
        // A broken law may also trip an assertion inside: that is found, too.
        let checked = catch_unwind(AssertUnwindSafe(|| run(seed, Some(broken))));
        checked.unwrap_or_else(|_| Err("an assertion failed".into())).err().map(|problem| (seed, problem))
    });
    let (seed, problem) = found.expect("a broken law is found");
    println!("{broken:?} in history {seed}: {problem}");
    problem
}

#[test]
fn without_the_version_rule_a_check_fails() {
    first_to_show(Law::Version);
}

#[test]
fn without_the_window_a_check_fails() {
    first_to_show(Law::Window);
}

#[test]
fn with_reports_taken_as_proof_a_check_fails() {
    first_to_show(Law::JudgedReports);
}

#[test]
fn without_the_read_barrier_a_check_fails() {
    assert!(first_to_show(Law::ReadBarrier).ends_with("a time before the question or after the answer"));
}

#[test]
fn deciding_on_an_undecided_record_fails_a_check() {
    first_to_show(Law::EffectiveStateOnly);
}

#[test]
fn believing_a_snapshot_without_proof_fails_a_check() {
    first_to_show(Law::ProvenSnapshot);
}
