//! The log decides, under every fault, in 20,000 simulated histories; and each rule of the design is needed for it.

#![expect(
    clippy::print_stdout,
    reason = "how often what happened, and which seed shows what, is for whoever looks"
)]

use std::process::{Command, Output};

use folio_sim::{Counts, Trace, Weakening, explain, run};

const SEEDS: u64 = 20_000;
/// How many seeds a broken rule may stay unseen.
const SEEDS_TO_SHOW: u64 = 2_000;

#[test]
fn the_log_decides() {
    let mut sum = Counts::default();
    for seed in 0..SEEDS {
        let run = run(seed, None, Trace::Off);
        if let Err(violation) = run.outcome {
            panic!("{}", explain(seed, None, &violation));
        }
        sum.add(&run.counts);
    }
    println!("{SEEDS} seeds:\n{sum}");
    // The runs must be worth something: everything that can happen happens.
    let rare = sum.rarer_than(5);
    assert!(rare.is_empty(), "too rare in {SEEDS} seeds: {rare:?}\n{sum}");
}

#[test]
fn the_same_seed_is_the_same_run() {
    let mut seen = std::collections::HashSet::new();
    for seed in 0..200 {
        let hash = || match run(seed, None, Trace::hash()).trace {
            Trace::Hash(hash) => hash,
            other => panic!("{other:?}"),
        };
        let first = hash();
        assert_eq!(first, hash(), "seed {seed} has two traces");
        assert!(seen.insert(first), "seed {seed} is another seed's run");
    }
}

/// The first seed that shows the broken rule.
#[track_caller]
fn is_found(weakening: Weakening) {
    let found = (0..SEEDS_TO_SHOW)
        .find_map(|seed| Some((seed, run(seed, Some(weakening), Trace::Off).outcome.err()?)));
    let (seed, violation) = found.unwrap_or_else(|| {
        panic!("without the rule `{}` nothing is broken in {SEEDS_TO_SHOW} seeds", weakening.name())
    });
    println!("without the rule `{}` seed {seed} breaks a promise: {violation}", weakening.name());
}

#[test]
fn without_the_version_rule_a_promise_breaks() {
    is_found(Weakening::Version);
}

#[test]
fn without_the_window_a_promise_breaks() {
    is_found(Weakening::Window);
}

#[test]
fn with_reports_taken_as_proof_a_promise_breaks() {
    is_found(Weakening::Reports);
}

#[test]
fn without_the_read_barrier_a_promise_breaks() {
    is_found(Weakening::ReadBarrier);
}

#[test]
fn deciding_on_an_undecided_record_breaks_a_promise() {
    is_found(Weakening::UndecidedState);
}

#[test]
fn believing_any_snapshot_breaks_a_promise() {
    is_found(Weakening::Snapshot);
}

#[test]
fn compaction_of_records_that_landed_twice_breaks_a_promise() {
    is_found(Weakening::Compaction);
}

fn folio_sim(arguments: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } =
        Command::new(env!("CARGO_BIN_EXE_folio-sim")).args(arguments).output().expect("folio-sim runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (status.code().expect("an exit code"), text(stdout), text(stderr))
}

#[test]
fn a_seed_prints_its_trace() {
    let (code, trace, _) = folio_sim(&["--seed", "7"]);
    assert_eq!(code, 0);
    assert!(trace.starts_with("seed 7: ") && trace.ends_with("seed 7: every promise holds\n"), "{trace}");
    assert_eq!(trace, folio_sim(&["--seed", "7"]).1);
}

#[test]
fn many_seeds_print_what_happened() {
    let (code, counts, progress) = folio_sim(&["--seeds", "20", "--from", "100"]);
    assert_eq!(code, 0);
    assert!(counts.ends_with("seeds 100..120: every promise holds\n"), "{counts}");
    assert!(progress.starts_with("20 of 20 seeds"), "{progress}");
}

#[test]
fn a_broken_promise_names_its_seed_and_how_to_see_it() {
    let (code, told, _) = folio_sim(&["--seeds", "0..2000", "--weaken", "version"]);
    assert_eq!(code, 1);
    assert!(told.contains("breaks a promise"), "{told}");
    let again = told.rsplit("cargo run -p folio-sim -- ").next().expect("how to see it");
    let (code, trace, _) = folio_sim(&again.split_whitespace().collect::<Vec<_>>());
    assert_eq!(code, 1);
    assert!(trace.contains("VIOLATION"), "{trace}");
}

#[test]
fn wrong_arguments_are_explained() {
    for (arguments, problem) in [
        (&[][..], "required"),
        (&["--seed", "x"], "invalid digit"),
        (&["--seeds", "5..5"], "A below B"),
        (&["--seeds", "0"], "above 0"),
        (&["--seed", "1", "--seeds", "2"], "cannot be used with"),
        (&["--seeds", "1", "--weaken", "gravity"], "read-barrier"),
    ] {
        let (code, _, told) = folio_sim(arguments);
        assert_eq!(code, 2, "{arguments:?}: {told}");
        assert!(told.contains(problem), "{arguments:?}: {told}");
    }
}
