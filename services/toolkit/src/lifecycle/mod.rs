//! The life of a process: supervised tasks, readiness that tells the truth, and an orderly end.
//!
//! Promises: a task that ends early, fails or panics ends the process with an error; at the end the process first says
//! that it is not ready, then stops taking work, then finishes what it has, then stops what the work needed; and it
//! ends in bounded time whatever its tasks do.

mod readiness;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::config::ShutdownConfig;

pub use readiness::{Dependency, Readiness, Status};

/// How many ended tasks may wait to be seen; the supervisor does nothing else.
const ENDED: usize = 64;

/// Supervises the tasks of a process. Cheap to clone; [`Lifecycle::run`] is called once.
#[derive(Clone, Debug)]
pub struct Lifecycle {
    shared: Arc<Shared>,
    readiness: Readiness,
    /// What the names of tasks begin with.
    prefix: String,
}

#[derive(Debug)]
struct Shared {
    shutdown: CancellationToken,
    drained: CancellationToken,
    /// Tasks in flight that take or finish work, and tasks that the work needs.
    working: AtomicUsize,
    supporting: AtomicUsize,
    ended: mpsc::Sender<Ended>,
    endings: Mutex<Option<mpsc::Receiver<Ended>>>,
    signals: AtomicBool,
    timing: ShutdownConfig,
}

/// Until when a task runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Until [`Lifecycle::shutdown`]: servers, and whatever takes work.
    Work,
    /// Until [`Lifecycle::drained`]: what the work needs to be finished.
    Support,
}

#[derive(Debug)]
struct Ended {
    name: String,
    phase: Phase,
    outcome: anyhow::Result<()>,
}

impl Default for Lifecycle {
    fn default() -> Self {
        Self::new()
    }
}

impl Lifecycle {
    pub fn new() -> Self {
        Self::with_timing(ShutdownConfig::default())
    }

    pub fn with_timing(timing: ShutdownConfig) -> Self {
        let (ended, endings) = mpsc::channel(ENDED);
        let shared = Shared {
            shutdown: CancellationToken::new(),
            drained: CancellationToken::new(),
            working: AtomicUsize::new(0),
            supporting: AtomicUsize::new(0),
            ended,
            endings: Mutex::new(Some(endings)),
            signals: AtomicBool::new(true),
            timing,
        };
        Self { shared: Arc::new(shared), readiness: Readiness::default(), prefix: String::new() }
    }

    /// The same lifecycle for one part of a process that has several: its tasks and dependencies are named after it.
    #[must_use]
    pub fn of_part(&self, part: &str) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            readiness: self.readiness.of_part(part),
            prefix: format!("{}{part} ", self.prefix),
        }
    }

    /// The lifecycle of a part that goes on until all work of this one is finished, and ends then, in order; if it ends
    /// earlier, so does this one. Its tasks and dependencies are named after it.
    #[must_use]
    pub fn outlasting_work(&self, part: &str) -> Self {
        let timing = ShutdownConfig { drain_delay_ms: 0, ..self.shared.timing.clone() };
        let inner = Self {
            readiness: self.readiness.of_part(part),
            prefix: format!("{}{part} ", self.prefix),
            ..Self::with_timing(timing).without_signals()
        };
        let (running, shutdown, drained) = (inner.clone(), inner.shutdown(), self.drained());
        self.spawn_support(part, async move {
            let told = async {
                drained.cancelled().await;
                shutdown.cancel();
                std::future::pending().await
            };
            tokio::select! {
                ended = running.run() => ended,
                never = told => never,
            }
        });
        inner
    }

    /// Leaves SIGTERM and SIGINT to the caller: for a service that runs inside another process (tests, `folio dev`).
    #[must_use]
    pub fn without_signals(self) -> Self {
        self.shared.signals.store(false, Ordering::Relaxed);
        self
    }

    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Cancelled when no new work may be taken. Cancelling it yourself asks the process to end.
    pub fn shutdown(&self) -> CancellationToken {
        self.shared.shutdown.clone()
    }

    /// Cancelled when all work is finished, after every task of [`Lifecycle::spawn`] ended.
    pub fn drained(&self) -> CancellationToken {
        self.shared.drained.clone()
    }

    /// Runs a task that works until [`Lifecycle::shutdown`] is cancelled, and then finishes what it has.
    pub fn spawn<F>(&self, name: impl Into<String>, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.supervise(&name.into(), Phase::Work, task);
    }

    /// Runs a task that the others need for finishing their work: it ends when [`Lifecycle::drained`] is cancelled.
    pub fn spawn_support<F>(&self, name: impl Into<String>, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.supervise(&name.into(), Phase::Support, task);
    }

    /// Like [`Lifecycle::spawn_support`], on a thread of its own, for what blocks.
    pub fn thread_support<F>(&self, name: impl Into<String>, body: F) -> std::io::Result<()>
    where
        F: FnOnce() -> anyhow::Result<()> + Send + 'static,
    {
        let name = name.into();
        let outcome = on_thread(&name, body)?;
        self.supervise(&name, Phase::Support, outcome);
        Ok(())
    }

    fn supervise<F>(&self, name: &str, phase: Phase, task: F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        self.running(phase).fetch_add(1, Ordering::SeqCst);
        let name = format!("{}{name}", self.prefix);
        let task = tokio::spawn(task);
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let outcome = match task.await {
                Ok(outcome) => outcome,
                Err(error) => Err(anyhow::anyhow!("panicked: {error}")),
            };
            // Nobody listens once `run` has ended: then the process ends anyway.
            drop(shared.ended.send(Ended { name, phase, outcome }).await);
        });
    }

    fn running(&self, phase: Phase) -> &AtomicUsize {
        match phase {
            Phase::Work => &self.shared.working,
            Phase::Support => &self.shared.supporting,
        }
    }

    /// Waits for SIGTERM, SIGINT, a cancelled [`Lifecycle::shutdown`] or the end of a task; then ends all in order.
    ///
    /// An error if a task ended early, failed or panicked, or was still running when the grace period was over. A
    /// second signal ends the waiting at once.
    pub async fn run(self) -> anyhow::Result<()> {
        self.run_until(std::future::pending()).await
    }

    /// Like [`Lifecycle::run`]; the end of `stop` does what a signal does.
    pub async fn run_until(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let endings = self.shared.endings.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut endings = endings.ok_or_else(|| anyhow::anyhow!("lifecycle is run a second time"))?;
        let mut first_failure = None;
        let mut signal = self.stop_requested()?;
        tokio::select! {
            reason = &mut signal => tracing::info!(reason, "shutting down"),
            () = stop => tracing::info!("shutting down: told to"),
            () = self.shared.shutdown.cancelled() => tracing::info!("shutting down: asked to"),
            Some(ended) = endings.recv() => first_failure = self.account(ended),
        }
        let mut again = self.stop_requested()?;
        self.readiness.shutting_down();
        if first_failure.is_none() {
            tokio::time::sleep(Duration::from_millis(self.shared.timing.drain_delay_ms)).await;
        }
        self.shared.shutdown.cancel();
        let grace = Duration::from_millis(self.shared.timing.grace_ms);
        let finish = async {
            for (phase, then) in [(Phase::Work, Some(&self.shared.drained)), (Phase::Support, None)] {
                while self.running(phase).load(Ordering::SeqCst) > 0 {
                    let Some(ended) = endings.recv().await else { break };
                    let failure = self.account(ended);
                    first_failure = first_failure.take().or(failure);
                }
                if let Some(token) = then {
                    token.cancel();
                }
            }
        };
        let unfinished = tokio::select! {
            () = finish => None,
            () = tokio::time::sleep(grace) => Some(format!("its grace period of {} ms is over", grace.as_millis())),
            reason = &mut again => Some(format!("it got {reason} a second time")),
        };
        self.shared.drained.cancel();
        let left = self.running(Phase::Work).load(Ordering::SeqCst)
            + self.running(Phase::Support).load(Ordering::SeqCst);
        match (first_failure, unfinished) {
            (Some(failure), _) => Err(failure),
            (None, Some(why)) => Err(anyhow::anyhow!("ended with {left} tasks unfinished: {why}")),
            (None, None) => Ok(()),
        }
    }

    /// Counts a task as ended; an error if it should not have ended (so).
    fn account(&self, ended: Ended) -> Option<anyhow::Error> {
        self.running(ended.phase).fetch_sub(1, Ordering::SeqCst);
        let expected = match ended.phase {
            Phase::Work => self.shared.shutdown.is_cancelled(),
            Phase::Support => self.shared.drained.is_cancelled(),
        };
        let failure = match ended.outcome {
            Ok(()) if expected => return None,
            Ok(()) => anyhow::anyhow!("task {} ended early", ended.name),
            Err(error) => error.context(format!("task {} failed", ended.name)),
        };
        tracing::error!(task = ended.name, error = format!("{failure:#}"), "a task failed: the process ends");
        Some(failure)
    }

    fn stop_requested(&self) -> anyhow::Result<Pin<Box<dyn Future<Output = &'static str> + Send>>> {
        if !self.shared.signals.load(Ordering::Relaxed) {
            return Ok(Box::pin(std::future::pending()));
        }
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        Ok(Box::pin(async move {
            tokio::select! {
                _ = term.recv() => "SIGTERM",
                _ = int.recv() => "SIGINT",
            }
        }))
    }
}

/// Runs `body` on a named thread; the future is its outcome, a panic included.
fn on_thread<F>(
    name: &str,
    body: F,
) -> std::io::Result<impl Future<Output = anyhow::Result<()>> + Send + 'static>
where
    F: FnOnce() -> anyhow::Result<()> + Send + 'static,
{
    let (sender, outcome) = tokio::sync::oneshot::channel();
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        // A panic drops the sender, which the future tells.
        drop(sender.send(body()));
    })?;
    Ok(async move { outcome.await.unwrap_or_else(|_| Err(anyhow::anyhow!("its thread panicked"))) })
}
