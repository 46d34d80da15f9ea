//! A later release comes, which makes other rows of `products`, and goes again: what docs/kubernetes.md ("Upgrade with a changed
//! read model") tells operators to say, but for the times.
//!
//! Promises: it fails if the old pods go before what the new ones make is read, if gateways do not follow, or if there is no way
//! back. Failed and older reads are counted by the client, as in every step.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cli::args;
use cli::commands::read_models::{self as actions, Of};
use cli::commands::rebuild;
use read_models::{Generation, ReadModel};

use super::{PATIENCE, Play};
use crate::stage::{OURS, Pod, RELEASE};

/// The read model whose rows are other ones.
const MODEL: ReadModel = ReadModel::Products;
/// Records that a projector applies in much less time than a switch may take, and that the client makes within two seconds.
const HARDLY_BEHIND: i64 = 100;
const LOOK: Duration = Duration::from_millis(500);

impl Play<'_, '_> {
    pub(super) async fn upgrade_to_other_rows(&mut self) -> anyhow::Result<()> {
        let Some(values) = self.stage.later_values() else {
            self.report.skip(
                "no read model was changed by an upgrade: there is no image of a later release (KUBE_LATER_IMAGE)",
            );
            return Ok(());
        };
        let (first, second) = (Generation::FIRST, Generation::try_from(2)?);
        let before = self.stage.pods(OURS).await?;
        self.stage.helm_with_values("upgrade", &["--values", &values]).await?;
        self.until_read(second, &before).await?;
        let projectors = format!("deployment/{RELEASE}-projector-{MODEL}");
        self.stage.kubectl(&["rollout", "status", &projectors, "--timeout=3m"]).await?;
        let upgraded = self.others_than(&before).await?;
        self.is_decided(first, second).await?;
        self.only_read_of(true).await?;
        self.goes_on().await?;
        self.done(&format!("helm upgrade, other rows of {MODEL} built beside"));

        self.stage.helm(&["rollback", RELEASE, "--timeout", "5m"]).await?;
        self.until_hardly_behind(first).await?;
        self.switch_back().await?;
        self.others_than(&upgraded).await?;
        self.is_decided(second, first).await?;
        self.only_read_of(false).await?;
        self.goes_on().await?;
        self.done("helm rollback, folio read-models rollback");
        Ok(())
    }

    /// Waits until the build of the new pods is read. Until then one of `before` has to be there: it makes what is read.
    async fn until_read(&self, new: Generation, before: &[Pod]) -> anyhow::Result<()> {
        let selector = format!("{OURS},app.kubernetes.io/component=projector-{MODEL}");
        let mut desk = rebuild::open(&self.stage.config()?).await?;
        let until = Instant::now() + PATIENCE;
        loop {
            // Before it is asked what is read: these were there when it was not yet the new one.
            let pods = self.stage.pods(&selector).await?;
            desk.look().await?;
            let builds = desk.builds(MODEL);
            if builds.read == new {
                return Ok(());
            }
            ensure!(
                pods.iter().any(|pod| before.contains(pod)),
                "the old pods of {MODEL} went before {new} was read: {pods:?}; {builds:?}"
            );
            ensure!(Instant::now() < until, "{new} of {MODEL} is not read after {PATIENCE:?}: {builds:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// What `folio read-models show` tells: which build was read, and which is.
    async fn is_decided(&self, previous: Generation, read: Generation) -> anyhow::Result<()> {
        let desk = rebuild::open(&self.stage.config()?).await?;
        let builds = desk.builds(MODEL);
        let is_so =
            builds.read == read && builds.previous() == Some(previous) && builds.candidate().is_none();
        ensure!(is_so, "{read} of {MODEL} should be read, after {previous}: {builds:?}");
        Ok(())
    }

    /// Waits until whatever is read of products are rows of the one release, whichever gateway is asked.
    async fn only_read_of(&mut self, later: bool) -> anyhow::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let before = self.client.counts();
            self.goes_on().await?;
            let now = self.client.counts();
            let (of_this, of_later) = (now.of_this - before.of_this, now.of_later - before.of_later);
            let (wanted, other) = if later { (of_later, of_this) } else { (of_this, of_later) };
            if wanted > 0 && other == 0 {
                return Ok(());
            }
            ensure!(
                Instant::now() < until,
                "after {PATIENCE:?} still {of_this} products are read of this release, and {of_later} of the later one"
            );
        }
    }

    /// What `folio read-models list` is asked for before one goes back.
    async fn until_hardly_behind(&self, to: Generation) -> anyhow::Result<()> {
        let config = self.stage.config()?;
        let until = Instant::now() + PATIENCE;
        loop {
            let lines = Box::pin(actions::lines(&config)).await?;
            let line = lines.into_iter().find(|it| it.read_model == MODEL && it.generation == to);
            let line = line.with_context(|| format!("{to} of {MODEL} is not there any more"))?;
            // Without a group that makes it, all of the log is missing.
            let behind: i64 = line.behind.iter().map(|(_, records)| records).sum();
            if !line.behind.is_empty() && behind <= HARDLY_BEHIND {
                return Ok(());
            }
            ensure!(Instant::now() < until, "not after {PATIENCE:?}: {line:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Says it, and says it again if the build was too far behind.
    async fn switch_back(&self) -> anyhow::Result<()> {
        let config = self.stage.config()?;
        let until = Instant::now() + PATIENCE;
        let rollback = args::ReadModels::Rollback(Of { read_model: MODEL });
        while let Err(why) = Box::pin(actions::run(&config, rollback.clone())).await {
            ensure!(Instant::now() < until && why.to_string().contains("given up"), "{why:#}");
        }
        Ok(())
    }
}
