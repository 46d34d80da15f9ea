//! One further build of a read model, from the decision to make it until it is dropped.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cli::commands::rebuild::{decide, open};
use read_models::control::{Builds, Desk, Stage, Step, Switch};
use read_models::{Generation, ReadModel};

use crate::reached::{Came, Reached};
use crate::read_side::{PATIENCE, ReadSide};

/// How often it is looked what was decided.
const LOOK: Duration = Duration::from_millis(20);

/// A build that nobody switches to by itself.
pub(super) struct Build {
    pub(super) read_model: ReadModel,
    pub(super) generation: Generation,
    /// When it was decided.
    pub(super) decided: Instant,
    desk: Desk,
    reached: Reached,
}

impl Build {
    /// Has it decided.
    pub(super) fn begin(side: &ReadSide<'_>, read_model: ReadModel) -> anyhow::Result<Self> {
        side.bench.runtime.block_on(async {
            let mut desk = open(&side.catalog.config).await?;
            let format = read_model.declared().format;
            let step =
                |builds: &Builds| Step::Build { generation: builds.next(), format, switch: Switch::ByHand };
            let Step::Build { generation, .. } = decide(&mut desk, read_model, step).await? else {
                anyhow::bail!("something else was decided about {read_model}")
            };
            let reached = side.reached(read_model, generation);
            Ok(Self { read_model, generation, decided: Instant::now(), desk, reached })
        })
    }

    /// Waits until it has applied everything below these offsets.
    pub(super) fn caught_up(&mut self, side: &ReadSide<'_>, ends: &[i64]) -> anyhow::Result<Came> {
        side.bench.runtime.block_on(self.reached.wait(ends, PATIENCE))
    }

    /// Whether it has, now.
    pub(super) fn has_caught_up(&mut self, side: &ReadSide<'_>, ends: &[i64]) -> anyhow::Result<bool> {
        let applied = side.bench.runtime.block_on(self.reached.applied(ends.len()))?;
        Ok(applied.iter().zip(ends).all(|(applied, end)| applied >= end))
    }

    /// Waits until it was compared with what is read; how many rows it has.
    ///
    /// # Errors
    /// If a row differs: then nothing that was measured counts.
    pub(super) fn compared(&mut self, side: &ReadSide<'_>) -> anyhow::Result<u64> {
        side.bench.runtime.block_on(self.compared_in_time())
    }

    async fn compared_in_time(&mut self) -> anyhow::Result<u64> {
        let until = Instant::now() + PATIENCE;
        loop {
            self.desk.look().await?;
            let build = self.desk.builds(self.read_model).get(self.generation);
            let build = build.with_context(|| format!("{} was dropped", self.generation))?;
            if let Stage::Compared { rows, differences, told } = &build.stage {
                ensure!(*differences == 0, "{differences} products of {} differ: {told:?}", self.read_model);
                return Ok(*rows);
            }
            ensure!(Instant::now() < until, "{} is not compared: {build:?}", self.generation);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Drops it, and waits until its rows are gone.
    pub(super) fn end(mut self, side: &ReadSide<'_>) -> anyhow::Result<()> {
        let (read_model, generation) = (self.read_model, self.generation);
        side.bench.runtime.block_on(async {
            decide(&mut self.desk, read_model, |_| Step::Drop { generation }).await?;
            let until = Instant::now() + PATIENCE;
            loop {
                match side.stores.builds(read_model).await {
                    Ok(all) if all.iter().all(|it| it.generation != generation) => return Ok(()),
                    // What is going has no answer for a moment.
                    Err(error) if !error.is_transient() => return Err(error.into()),
                    Ok(_) | Err(_) => {}
                }
                ensure!(Instant::now() < until, "{generation} of {read_model} is not gone");
                tokio::time::sleep(LOOK * 10).await;
            }
        })
    }
}
