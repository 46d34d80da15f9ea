//! Every scene explored to its end, and each law broken in turn.

mod scenes;

use ledger_sim::Law;
use stateright::{Checker, HasDiscoveries, Model};

use super::*;
use scenes::{open, scene, set};

/// Fewer distinct states in all would mean that the bounds have become too small to show much.
const AT_LEAST: usize = 1_000_000;

#[test]
fn in_every_order_every_promise_holds() {
    let mut sum = 0;
    for scene in scenes::all() {
        let checker = explore(&scene, usize::MAX, HasDiscoveries::AnyFailures);
        let (states, steps, depth) =
            (checker.unique_state_count(), checker.state_count(), checker.max_depth());
        println!("{states:>9} distinct states, {steps:>9} steps, runs of up to {depth:>2}: {}", scene.name);
        sum += states;
        let broken = Promise::ALL.into_iter().find(|promise| checker.discovery(promise.text()).is_some());
        if let Some(promise) = broken {
            panic!("{}:\n{}", scene.name, shortest(&scene, promise).unwrap_or_default());
        }
        for (sight, _) in &scene.sights {
            assert!(checker.discovery(sight).is_some(), "{}: no run shows that {sight}", scene.name);
        }
    }
    println!("{sum:>9} distinct states in all");
    assert!(sum >= AT_LEAST, "only {sum} distinct states: the scenes show too little");
}

/// Every run of the scene of fewer steps than `depth`, or enough of them.
fn explore(scene: &Scene, depth: usize, enough: HasDiscoveries) -> impl Checker<Scene> {
    scene.clone().checker().target_max_depth(depth).finish_when(enough).spawn_bfs().join()
}

/// The shortest run that breaks the promise, told.
fn shortest(scene: &Scene, promise: Promise) -> Option<String> {
    let enough = || HasDiscoveries::AnyOf([promise.text()].into());
    // The explorer's first find is not the shortest one, but bounds it.
    let found = explore(scene, usize::MAX, enough()).discovery(promise.text())?.into_vec().len();
    let run = (2..=found + 1).find_map(|depth| explore(scene, depth, enough()).discovery(promise.text()))?;
    Some(trace(scene, run))
}

/// Prints the shortest run in which the promise falls with the law.
fn falls_without(broken: Law, promise: Promise, scene: Scene) {
    let scene = Scene { broken: Some(broken), ..scene };
    let told = shortest(&scene, promise).expect("a run shows what the law is for");
    println!("Without the law {broken:?}:\n{told}");
}

#[test]
fn with_reports_taken_as_proof_a_void_record_is_acknowledged() {
    let scene = scene("a race", 2, vec![open(0, 0, "a"), open(1, 1, "a")]);
    falls_without(Law::JudgedReports, Promise::AcknowledgedIsEffective, scene);
}

#[test]
fn without_the_read_barrier_an_answer_speaks_of_a_time_before_the_question() {
    let scene = scene("a rejection elsewhere", 2, vec![open(0, 0, "a"), set(1, 1, "a", 1)]);
    falls_without(Law::ReadBarrier, Promise::AnswersAreTrue, scene);
}

#[test]
fn deciding_on_an_undecided_record_makes_an_event_of_a_state_that_never_was() {
    let requests = vec![open(0, 0, "a"), set(1, 0, "a", 1), open(2, 1, "a")];
    let scene = scene("two commands and a rival", 2, requests);
    falls_without(Law::EffectiveStateOnly, Promise::DecidedOnTheStateBefore, scene);
}

#[test]
fn without_the_version_rule_the_loser_of_a_race_is_acknowledged() {
    let scene = scene("a race", 2, vec![open(0, 0, "a"), open(1, 1, "a")]);
    falls_without(Law::Version, Promise::AcknowledgedIsEffective, scene);
}

#[test]
fn without_the_window_a_record_counts_for_its_writer_alone() {
    let mut scene = scene("a late record", 2, vec![open(0, 0, "a"), open(1, 1, "b")]);
    scene.bounds.jumps = 1;
    falls_without(Law::Window, Promise::AcknowledgedIsEffective, scene);
}
