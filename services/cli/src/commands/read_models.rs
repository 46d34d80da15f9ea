//! `folio read-models`: which builds there are, which is read, how far each has come; and what is to become of them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use adapter_kafka::read_topic;
use anyhow::{Context, bail};
use event_reader::LogReader;
use read_models::builds::Build;
use read_models::control::{Builds, Differed, Role, Stage, Step, Turn, adoption};
use read_models::{Generation, ReadModel, Servers};

use super::rebuild::{decide, open, wait};
use crate::args;
use crate::commands::stores::{One, servers};
use crate::config::Config;
use crate::say::say;

/// How often it is looked how a switch goes on,
const LOOK: Duration = Duration::from_millis(100);
/// and after how long a hold is nobody's: projectors give it up much sooner.
const NOBODY: Duration = Duration::from_mins(1);

/// One read model.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Of {
    #[arg(value_name = "READ_MODEL")]
    pub read_model: ReadModel,
}

/// One line of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    pub read_model: ReadModel,
    pub generation: Generation,
    /// What goes on with it.
    pub phase: String,
    /// Of each group that makes it: records of the log that it has still to apply.
    pub behind: Vec<(String, i64)>,
}

/// Does what is said.
///
/// # Errors
/// If a server cannot be reached, or it cannot be done now: why.
pub async fn run(config: &Config, action: args::ReadModels) -> anyhow::Result<()> {
    match action {
        args::ReadModels::List => list(config).await,
        args::ReadModels::Show(Of { read_model }) => show(config, read_model).await,
        args::ReadModels::Pause(One { read_model, generation }) => {
            change(config, read_model, |_| Ok(Step::Pause { generation })).await
        }
        args::ReadModels::Resume(One { read_model, generation }) => {
            change(config, read_model, |_| Ok(Step::Resume { generation })).await
        }
        args::ReadModels::Abort(Of { read_model }) => {
            change(config, read_model, |builds| Ok(builds.abort(read_model)?)).await
        }
        args::ReadModels::Retire(One { read_model, generation }) => {
            change(config, read_model, |_| Ok(Step::Drop { generation })).await
        }
        args::ReadModels::Adopt(One { read_model, generation }) => {
            let step = adoption(&servers(config), read_model, generation).await?;
            change(config, read_model, |_| Ok(step.clone())).await
        }
        args::ReadModels::Switch { one, force } => switch(config, one, force).await,
        args::ReadModels::Rollback(Of { read_model }) => {
            let desk = open(config).await?;
            let previous = desk.builds(read_model).previous();
            let generation = previous
                .with_context(|| format!("no build of {read_model} is there that was read before"))?;
            switch(config, One { read_model, generation }, false).await
        }
    }
}

async fn change(
    config: &Config,
    read_model: ReadModel,
    step: impl Fn(&Builds) -> anyhow::Result<Step>,
) -> anyhow::Result<()> {
    let mut desk = open(config).await?;
    let step = step(desk.builds(read_model))?;
    say!("{read_model}: {}", decide(&mut desk, read_model, |_| step.clone()).await?);
    Ok(())
}

/// Switches to a build, and waits until gateways read it.
async fn switch(config: &Config, one: One, force: bool) -> anyhow::Result<()> {
    let One { read_model, generation } = one;
    let mut desk = open(config).await?;
    let held = decide(&mut desk, read_model, |_| Step::Hold { to: generation, force }).await?;
    say!("{read_model}: {held}");
    let begun = Instant::now();
    loop {
        desk.look().await?;
        let builds = desk.builds(read_model);
        match builds.turn {
            Turn::Holding { .. } if begun.elapsed() > NOBODY => bail!(
                "{read_model}: nobody carries out the switch to {generation}: is a projector of {read_model} running? The first one \
                 that comes will"
            ),
            Turn::Holding { .. } => tokio::time::sleep(LOOK).await,
            Turn::Switched { .. } => return wait(config, &mut desk, read_model, generation).await,
            Turn::Steady if builds.read == generation => {
                say!("{read_model}: {}", builds.phase(generation).unwrap_or_default());
                return Ok(());
            }
            Turn::Steady => bail!(
                "{read_model}: the switch to {generation} was given up, and {} goes on: {}",
                builds.read,
                builds.released.as_deref().unwrap_or("somebody else has switched")
            ),
        }
    }
}

/// Prints every build of every read model.
///
/// # Errors
/// If a server cannot be reached.
pub async fn list(config: &Config) -> anyhow::Result<()> {
    say!("{:<12} {:<6} {:>10}  {:<24} what goes on", "read model", "build", "behind", "group");
    for line in lines(config).await? {
        let Line { read_model, generation, phase, behind } = line;
        let generation = generation.to_string();
        if behind.is_empty() {
            say!("{read_model:<12} {generation:<6} {:>10}  {:<24} {phase}", "all", "");
        }
        for (group, records) in behind {
            say!("{read_model:<12} {generation:<6} {records:>10}  {group:<24} {phase}");
        }
    }
    Ok(())
}

/// Every build of every read model, decided or only there.
///
/// # Errors
/// If a server cannot be reached.
pub async fn lines(config: &Config) -> anyhow::Result<Vec<Line>> {
    let (desk, servers) = (open(config).await?, servers(config));
    let log: LogReader = read_topic(&config.kafka, &config.topic).await?;
    let mut lines = Vec::new();
    for read_model in ReadModel::ALL {
        let decided = desk.builds(*read_model);
        let there = servers.builds(*read_model).await?;
        // After the positions: what is behind is at least so much.
        let ends = log.ends.of_all(log.partitions).await?;
        let mut all: BTreeMap<Generation, Option<&Build>> = decided.all().map(|(it, _)| (it, None)).collect();
        all.extend(there.iter().map(|build| (build.generation, Some(build))));
        for (generation, build) in all {
            let phase = decided.phase(generation).unwrap_or_else(|| "nobody makes it".to_owned());
            let groups = build.map(|it| it.groups.iter()).into_iter().flatten();
            let behind = groups.map(|(group, applied)| {
                let left =
                    |(partition, end): (i32, &i64)| (end - applied.get(&partition).unwrap_or(&0)).max(0);
                (group.clone(), (0..).zip(&ends).map(left).sum())
            });
            lines.push(Line { read_model: *read_model, generation, phase, behind: behind.collect() });
        }
    }
    Ok(lines)
}

async fn show(config: &Config, read_model: ReadModel) -> anyhow::Result<()> {
    let desk = open(config).await?;
    let builds = desk.builds(read_model);
    say!("{read_model}, revision {}", builds.revision);
    if let Some(later) = builds.later() {
        say!("a later release of Folio has decided `{later}`: use that one");
    }
    for (generation, build) in builds.all() {
        let role = match builds.role(generation) {
            Role::Live => "applies whatever comes".to_owned(),
            Role::Held(_) | Role::Waits => "stands still".to_owned(),
            Role::Follows { other, .. } => format!("applies what {other} has applied"),
            Role::Ends => "applies what was appended until then".to_owned(),
        };
        say!("{generation}  {}", builds.phase(generation).unwrap_or_default());
        say!("    {}", if build.is_paused { "stands still" } else { &role });
        if !build.by.is_empty() {
            say!("    wanted by {}", build.by);
        }
        match (&build.stage, &build.differed) {
            (Stage::Compared { told, .. }, _) if !told.is_empty() => {
                say!("    products that differ: {}", told.join(", "));
            }
            (_, Some(Differed { told, .. })) => {
                say!("    products that differed when it was compared: {}", told.join(", "));
            }
            (_, None) => {}
        }
        if generation != builds.read {
            let (done, all) = progress(&servers(config), builds, read_model, generation).await?;
            let percent = if all == 0 { 100.0 } else { done as f64 * 100.0 / all as f64 };
            say!("    {done} of {all} records of the log ({percent:.1} %)");
        }
    }
    Ok(())
}

/// How much of what the build that is read has applied this one has, in records of the log; of one as of some time, how much of
/// what was appended until then.
///
/// # Errors
/// If the store cannot be reached.
pub async fn progress(
    servers: &Servers,
    builds: &Builds,
    read_model: ReadModel,
    generation: Generation,
) -> anyhow::Result<(u64, u64)> {
    let there = servers.builds(read_model).await?;
    // Of several groups, those of tests or of other installations, the one that is furthest.
    let of = |wanted: Generation| {
        let build = there.iter().find(|it| it.generation == wanted);
        let groups = build.map(|it| it.groups.iter()).into_iter().flatten();
        let sums = groups.map(|(_, applied)| applied.values().map(|it| it.unsigned_abs()).sum::<u64>());
        sums.max().unwrap_or_default()
    };
    let ends = builds.as_of().find(|(it, _)| *it == generation);
    let ends = ends.map(|(_, as_of)| as_of.ends.iter().map(|it| it.unsigned_abs()).sum());
    let all = ends.unwrap_or_else(|| of(builds.read));
    Ok((of(generation).min(all), all))
}
