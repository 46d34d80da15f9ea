//! Switches back and forth between two builds of each read model, all three at once, while changes are read back: how long what is
//! read stands still.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, ensure};
use cli::commands::rebuild::{decide, open};
use cli::config::Config;
use read_models::control::{Step, Turn};
use read_models::{Generation, ReadModel};

use super::PATIENCE;
use super::build::Build;
use super::live::Doors;
use crate::moving::{Probe, Reads};
use crate::pairs;
use crate::read_side::ReadSide;
use crate::report::Row;

/// How often each read model is switched.
const SWITCHES: usize = 34;
/// How often it is looked.
const LOOK: Duration = Duration::from_millis(10);
/// What is read goes on for so long between two of them: projectors look ten times a second.
const BETWEEN: Duration = Duration::from_millis(400);
/// A hold that takes so long is nobody's.
const MAX_HOLD: Duration = Duration::from_mins(2);

/// Holds in milliseconds, and how many were given up.
#[derive(Default)]
struct Held {
    times: Vec<f64>,
    given_up: usize,
}

pub(super) fn measure(
    side: &mut ReadSide<'_>,
    (commands, queries): Doors<'_>,
    reads: &mut Reads,
) -> anyhow::Result<Vec<Row>> {
    let builds: Vec<Build> =
        ReadModel::ALL.iter().map(|it| Build::begin(side, *it)).collect::<anyhow::Result<_>>()?;
    let ends = side.ends()?;
    let mut others = Vec::new();
    for mut build in builds {
        build.caught_up(side, &ends)?;
        build.compared(side)?;
        others.push((build.read_model, build.generation));
    }
    let (ended, probe) = (AtomicBool::new(false), Probe::open(commands, queries)?);
    let config = &side.catalog.config;
    let (switched, read_back) = std::thread::scope(|scope| {
        let probing = scope.spawn(|| probe.until(&ended, ReadModel::ALL));
        let switching = others.iter().map(|(read_model, to)| Box::pin(switched(config, *read_model, *to)));
        let switched = side.bench.runtime.block_on(futures::future::try_join_all(switching));
        ended.store(true, Ordering::Relaxed);
        (switched, probing.join())
    });
    let (switched, read_back) = (switched?, read_back.map_err(|_| anyhow!("reading back panicked"))??);
    reads.asked += read_back.times.len() as u64;
    reads.failed += read_back.failed;
    reads.older += read_back.older;
    side.catalog.acknowledged.extend(read_back.events);
    let given_up: usize = switched.iter().map(|it| it.given_up).sum();
    let mut times: Vec<f64> = switched.into_iter().flat_map(|it| it.times).collect();
    let (p50, p99) = (pairs::quantile(&mut times, 0.5), pairs::quantile(&mut times, 0.99));
    let row = |name, value: f64, target| Row::cost(name, "ms", &pairs::alone(&[value]), target);
    let note = format!(
        "{} switches, three read models at once; from the decision to hold until what is read goes on; {given_up} were given up",
        times.len()
    );
    Ok(vec![
        row("hold for a switch, p50", p50, None),
        row("hold for a switch, p99", p99, Some(2_000.0)).noting(note),
    ])
}

/// Switches to the other build, and back again, and so on; how long each hold took.
async fn switched(config: &Config, read_model: ReadModel, other: Generation) -> anyhow::Result<Held> {
    let mut desk = open(config).await?;
    let (mut to, mut held) = (other, Held::default());
    let begun_all = Instant::now();
    while held.times.len() < SWITCHES {
        ensure!(
            begun_all.elapsed() < PATIENCE && held.given_up <= SWITCHES,
            "{read_model}: too many given up"
        );
        decide(&mut desk, read_model, |_| Step::Hold { to, force: false }).await?;
        let begun = Instant::now();
        loop {
            desk.look().await?;
            let builds = desk.builds(read_model);
            if builds.turn == Turn::Steady && builds.read == to {
                held.times.push(begun.elapsed().as_secs_f64() * 1e3);
                to = builds.previous().context("a way back")?;
                break;
            }
            if builds.turn == Turn::Steady && builds.released.is_some() {
                eprintln!("  {read_model}: {:?}", builds.released);
                held.given_up += 1;
                break;
            }
            ensure!(begun.elapsed() < MAX_HOLD, "{read_model}: {builds:?}");
            tokio::time::sleep(LOOK).await;
        }
        if held.times.len().is_multiple_of(10) {
            eprintln!("  {read_model}: {} switches", held.times.len());
        }
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(held)
}
