//! Runs each build that this process is to make.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::Generation;
use read_models::control::{Builds, Stage};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::Dependency;

use crate::watch::Progress;

/// How long a build that failed is left alone, unless it is the one that is read.
const AGAIN: Duration = Duration::from_secs(5);

/// What one run of a build is told.
#[derive(Clone, Debug)]
pub(crate) struct Running {
    pub(crate) generation: Generation,
    pub(crate) builds: watch::Receiver<Builds>,
    /// Whether it is the one that is read: readiness speaks of that one alone.
    pub(crate) is_read: Arc<AtomicBool>,
    pub(crate) progress: Progress,
    /// Tells it to finish its batches and end.
    pub(crate) stop: CancellationToken,
}

/// Runs a build until it is told to stop.
pub(crate) type Runner = Box<dyn Fn(Running) -> BoxFuture<'static, anyhow::Result<()>> + Send + Sync>;

/// What this process makes, and how.
pub(crate) struct Makes {
    /// Builds of other formats are left alone.
    pub(crate) format: u32,
    pub(crate) run: Runner,
    /// Down while what is read has another format: who replaces an old release by this one has to wait.
    pub(crate) health: Dependency,
}

/// How far the builds have come that this process makes.
pub(crate) type Made = Arc<Mutex<BTreeMap<Generation, Progress>>>;

/// Runs all builds of this process's format that are not paused, until `shutdown`, and then until each has ended.
pub(crate) async fn supervise(
    mut builds: watch::Receiver<Builds>,
    Makes { format, run, health }: Makes,
    made: Made,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let mut runs: BTreeMap<Generation, Running> = BTreeMap::new();
    let mut tasks: JoinSet<(Generation, anyhow::Result<()>)> = JoinSet::new();
    let mut is_told = false;
    loop {
        let decided = builds.borrow_and_update().clone();
        for (generation, run) in &runs {
            run.is_read.store(*generation == decided.read, Ordering::Release);
            if !is_run(&decided, *generation, format) {
                run.stop.cancel();
            }
        }
        if let Some(read) = decided.get(decided.read).filter(|it| it.format != format) {
            let is_made =
                decided.all().any(|(_, it)| it.format == format && !matches!(it.stage, Stage::AsOf(_)));
            let next = if is_made {
                "`folio read-models list` tells how far it is"
            } else {
                "`folio rebuild` begins one"
            };
            let problem = format!(
                "{}, which is read, has rows of format {}, and this release makes those of format {format}: whoever makes the others has \
                 to go on until a build of format {format} is read; {next}",
                decided.read, read.format
            );
            if !std::mem::replace(&mut is_told, true) {
                tracing::warn!("{problem}");
            }
            // Whoever makes what is read says what becomes of it, from the moment that it is read.
            health.down(problem);
        }
        let wanted = decided.all().map(|(generation, _)| generation);
        for generation in wanted.filter(|it| is_run(&decided, *it, format)) {
            if runs.contains_key(&generation) || shutdown.is_cancelled() {
                continue;
            }
            let one = Running {
                generation,
                builds: builds.clone(),
                is_read: Arc::new(AtomicBool::new(generation == decided.read)),
                progress: Progress::default(),
                stop: shutdown.child_token(),
            };
            at(&made).insert(generation, one.progress.clone());
            let (running, this) = (AssertUnwindSafe(run(one.clone())).catch_unwind(), one.clone());
            tasks.spawn(async move {
                let outcome = running.await.unwrap_or_else(|_| Err(anyhow::anyhow!("it panicked")));
                (generation, this.ended(outcome).await)
            });
            runs.insert(generation, one);
        }
        tokio::select! {
            changed = builds.changed(), if !shutdown.is_cancelled() => {
                if changed.is_err() && !shutdown.is_cancelled() {
                    anyhow::bail!("what is decided about builds is no longer heard");
                }
            }
            ended = tasks.join_next(), if !tasks.is_empty() => {
                let Some(ended) = ended else { continue };
                let (generation, outcome) = ended?;
                at(&made).remove(&generation);
                outcome?;
                runs.remove(&generation);
            }
            () = shutdown.cancelled(), if tasks.is_empty() => return Ok(()),
        }
    }
}

fn is_run(builds: &Builds, generation: Generation, format: u32) -> bool {
    builds.get(generation).is_some_and(|build| {
        // Nothing is added to it any more.
        let is_done = matches!(&build.stage, Stage::AsOf(as_of) if as_of.is_complete);
        build.format == format && !build.is_paused && !is_done
    })
}

fn at(made: &Made) -> std::sync::MutexGuard<'_, BTreeMap<Generation, Progress>> {
    made.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether this process makes this build, and has its first partition.
pub(crate) fn has_first(made: &Made, generation: Generation) -> bool {
    at(made).get(&generation).is_some_and(|progress| progress.holds(0))
}

impl Running {
    /// What the end of a run means: an error for the whole process, or that the build may be begun again.
    async fn ended(self, outcome: anyhow::Result<()>) -> anyhow::Result<()> {
        let (generation, was_told) = (self.generation, self.stop.is_cancelled());
        match outcome {
            Ok(()) if was_told => Ok(()),
            Ok(()) => anyhow::bail!("the build {generation} ended by itself"),
            Err(error) if self.is_read.load(Ordering::Acquire) => Err(error),
            Err(error) => {
                tracing::error!("the build {generation}, which is not read, failed: {error:#}");
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => {}
                    () = self.stop.cancelled() => {}
                }
                Ok(())
            }
        }
    }
}
