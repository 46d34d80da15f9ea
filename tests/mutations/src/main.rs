//! Seeds one defect at a time into a copy of the tree and shows which test catches it: `make mutations [ONLY=glob]`.
//!
//! Promises: the work tree is never changed; every test that is used passes without any defect first; the run fails if a
//! patch no longer applies or compiles, if a defect survives the stage that must catch it, or if fewer than
//! [`PAST_UNIT_TESTS`] defects survive the unit tests.

#![expect(clippy::print_stdout, reason = "its output is a table for people")]

mod copy;
mod mutant;
mod programs;
mod report;
mod run;
mod servers;
mod stages;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, ensure};
use copy::Copy;
use mutant::Mutant;
use report::{Report, Row};
use stages::Stages;

/// So many defects must survive the unit tests and fall to simulation, model or real servers.
const PAST_UNIT_TESTS: usize = 12;
/// So many there must be at least.
const DEFECTS: usize = 40;

fn main() -> ExitCode {
    match work() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("mutations: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work() -> anyhow::Result<bool> {
    let root =
        Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).context("the crate lies in the tree")?;
    let all = Mutant::all(&root.join("tests/mutations"))?;
    let named: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let is_named = |mutant: &Mutant| named.iter().any(|file| file.file_name() == mutant.file.file_name());
    let everything = named.is_empty() || all.iter().all(is_named);
    let mutants: Vec<&Mutant> = all.iter().filter(|mutant| everything || is_named(mutant)).collect();
    ensure!(!mutants.is_empty(), "no patch in tests/mutations has such a name");
    ensure!(!everything || all.len() >= DEFECTS, "only {} patches, there must be {DEFECTS}", all.len());

    let copy = Copy::make(root)?;
    for mutant in &mutants {
        copy.check(mutant)?;
    }
    let mut stages = Stages::new(&copy)?;
    stages.must_pass_without_defect(&mutants)?;
    let mut report = Report::default();
    for mutant in mutants {
        let row = try_one(&copy, &mut stages, mutant)?;
        report.add(row);
    }
    drop(stages);
    report.write(&copy.out.join("report.json"))?;
    report.print();
    Ok(report.is_good(everything.then_some(PAST_UNIT_TESTS)))
}

/// Seeds the defect, runs the stages until one catches it, and mends the copy.
fn try_one(copy: &Copy, stages: &mut Stages<'_>, mutant: &Mutant) -> anyhow::Result<Row> {
    let begun = Instant::now();
    copy.apply(mutant)?;
    let fate = stages.catch(mutant);
    copy.mend(mutant)?;
    let fate = fate?;
    let row = Row::new(mutant, fate, begun.elapsed());
    println!("{}", row.line());
    Ok(row)
}
