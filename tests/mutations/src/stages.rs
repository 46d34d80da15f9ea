//! The stages: which programs may catch a defect, and whether they do.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};

use crate::copy::Copy;
use crate::mutant::{Mutant, Stage};
use crate::programs::{Built, PURE, Program, Selection, build};
use crate::report::Fate;
use crate::run::{Ran, run};
use crate::servers::{STACK_VARIABLE, Servers, end_services};

const SIMULATIONS: [&str; 2] = ["tests/sim", "tests/model"];

/// Everything a run needs to try a defect.
#[derive(Debug)]
pub(crate) struct Stages<'c> {
    copy: &'c Copy,
    logs: PathBuf,
    servers: Option<Servers>,
}

/// A test program with what to run of it.
struct Task {
    program: Program,
    arguments: Vec<String>,
}

impl<'c> Stages<'c> {
    pub(crate) fn new(copy: &'c Copy) -> anyhow::Result<Self> {
        let logs = copy.out.join("logs");
        fs::create_dir_all(&logs).with_context(|| format!("making {}", logs.display()))?;
        Ok(Self { copy, logs, servers: None })
    }

    /// Runs, without any defect, all that may catch one of the mutants.
    pub(crate) fn must_pass_without_defect(&mut self, mutants: &[&Mutant]) -> anyhow::Result<()> {
        let mut seen = BTreeSet::new();
        for selection in [Selection::Pure, Selection::Whole] {
            let of_it: Vec<&&Mutant> =
                mutants.iter().filter(|mutant| needs(mutant).contains(&selection)).collect();
            if of_it.is_empty() {
                continue;
            }
            let programs = match build(self.copy, selection)? {
                Built::Tests(programs) => programs,
                Built::No(problem) => bail!("the tree does not compile:\n{problem}"),
            };
            for mutant in of_it {
                for stage in Stage::ALL.into_iter().filter(|stage| *stage <= mutant.stage) {
                    if selection_for(mutant, stage) != selection {
                        continue;
                    }
                    for task in tasks(mutant, stage, &programs)? {
                        let what = format!("{} {}", task.program.path.display(), task.arguments.join(" "));
                        if !seen.insert(what) {
                            continue;
                        }
                        match self.run(&task, "no-defect", stage)? {
                            Ran::Passed => {}
                            Ran::Failed(test) => {
                                bail!("{test} fails without any defect: see {}", self.logs.display())
                            }
                            Ran::Hung => bail!("{} hangs without any defect", task.program.name),
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Runs the stages, up to the one that must catch the defect, until one does.
    pub(crate) fn catch(&mut self, mutant: &Mutant) -> anyhow::Result<Fate> {
        let mut built: Option<(Selection, Vec<Program>)> = None;
        for stage in Stage::ALL.into_iter().filter(|stage| *stage <= mutant.stage) {
            let selection = selection_for(mutant, stage);
            let programs = match built.take() {
                Some((of, programs)) if of == selection => programs,
                _ => match build(self.copy, selection)? {
                    Built::Tests(programs) => programs,
                    Built::No(problem) => return Ok(Fate::DoesNotCompile { problem }),
                },
            };
            for task in tasks(mutant, stage, &programs)? {
                let program = task.program.name.clone();
                match self.run(&task, &mutant.name, stage)? {
                    Ran::Passed => {}
                    Ran::Failed(test) => {
                        return Ok(Fate::Caught { stage, test: format!("{program}: {test}") });
                    }
                    Ran::Hung => {
                        return Ok(Fate::Caught { stage, test: format!("{program}: hangs (time-out)") });
                    }
                }
            }
            built = Some((selection, programs));
        }
        Ok(Fate::Survived)
    }

    fn run(&mut self, task: &Task, name: &str, stage: Stage) -> anyhow::Result<Ran> {
        let Task { program, arguments } = task;
        let folder = self.copy.tree.join(&program.crate_dir);
        let mut command = Command::new(&program.path);
        command.args(arguments).current_dir(&folder).env("CARGO_MANIFEST_DIR", &folder);
        let log = self.logs.join(format!("{name}.{}.log", program.name));
        let patience = Duration::from_mins(if stage == Stage::UnitTests { 4 } else { 8 });
        if stage != Stage::RealServers {
            return run(&mut command, &log, patience, true);
        }
        if self.servers.is_none() {
            self.servers = Some(Servers::start(&self.copy.build, &self.copy.tree)?);
        }
        let stack = self.servers.as_ref().map(|servers| servers.stack.clone()).unwrap_or_default();
        // Not killed at the first failure: a test ends its services itself.
        let ran = run(command.env(STACK_VARIABLE, stack), &log, patience, false);
        end_services(&self.copy.build);
        ran
    }
}

/// What is built for a stage of the mutant.
fn selection_for(mutant: &Mutant, stage: Stage) -> Selection {
    let is_pure = |file: &PathBuf| PURE.iter().any(|(_, folder)| file.starts_with(folder));
    if stage != Stage::RealServers && mutant.touched.iter().all(is_pure) {
        Selection::Pure
    } else {
        Selection::Whole
    }
}

fn needs(mutant: &Mutant) -> Vec<Selection> {
    Stage::ALL
        .into_iter()
        .filter(|stage| *stage <= mutant.stage)
        .map(|stage| selection_for(mutant, stage))
        .collect()
}

/// What to run in a stage. A simulation that does not hold the changed crate cannot catch anything.
fn tasks(mutant: &Mutant, stage: Stage, programs: &[Program]) -> anyhow::Result<Vec<Task>> {
    let task = |program: &Program, arguments: &[&str]| Task {
        program: program.clone(),
        arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
    };
    let touches = |folder: &Path| mutant.touched.iter().any(|file| file.starts_with(folder));
    match stage {
        Stage::UnitTests => {
            let of_touched = programs.iter().filter(|program| program.is_unit && touches(&program.crate_dir));
            let tasks: Vec<Task> = of_touched.map(|program| task(program, &[])).collect();
            ensure!(!tasks.is_empty(), "{}: no unit tests hold what it changes", mutant.name);
            Ok(tasks)
        }
        Stage::Simulation if selection_for(mutant, stage) == Selection::Whole => Ok(Vec::new()),
        Stage::Simulation => {
            let is_one =
                |program: &&Program| SIMULATIONS.iter().any(|folder| program.crate_dir == Path::new(folder));
            Ok(programs.iter().filter(is_one).map(|program| task(program, &[])).collect())
        }
        Stage::RealServers => {
            let Some((name, filter)) = &mutant.test else { return Ok(Vec::new()) };
            let program = programs
                .iter()
                .find(|program| !program.is_unit && program.name == *name)
                .with_context(|| format!("{}: there is no test program {name}", mutant.name))?;
            Ok(vec![task(program, &[filter])])
        }
    }
}
