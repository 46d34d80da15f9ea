//! One service of Folio as a process of its own: started with an environment, watched until ready, stopped by its pid.
//! Promises never to signal a process it did not start: the command line of the pid must still be ours.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use local_servers::detached::{self, Stat, command_line, last_words, reap};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// What to start: the binary beside our own, its arguments and its environment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    /// A name for people and for the log file, unique in its folder.
    pub name: String,
    pub binary: PathBuf,
    pub arguments: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// Where `/readyz` and `/metrics` are.
    pub ops: String,
    /// Where the log file goes.
    pub dir: PathBuf,
}

/// A started service.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    pub plan: Plan,
    pub pid: i32,
}

impl Plan {
    pub fn log_path(&self) -> PathBuf {
        self.dir.join(format!("{}.log", self.name))
    }

    /// Starts the process in a group of its own, so that it outlives the terminal's Ctrl-C and the CLI.
    ///
    /// # Errors
    /// If the log file cannot be made or the binary cannot be started (is it built?).
    pub fn start(self) -> anyhow::Result<Service> {
        std::fs::create_dir_all(&self.dir).with_context(|| format!("making {}", self.dir.display()))?;
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments).envs(self.environment.iter().cloned());
        let child = detached::start(&mut command, &self.log_path())?;
        let pid = i32::try_from(child.id()).context("a pid that fits")?;
        reap(child);
        Ok(Service { plan: self, pid })
    }
}

impl Service {
    /// Is the process there, and still the one we started? True until it holds nothing any more, its ports included.
    pub fn is_running(&self) -> bool {
        let binary = self.plan.binary.as_os_str().as_encoded_bytes();
        let ours = |line: Vec<u8>| line.is_empty() || line.starts_with(binary);
        Stat::of(self.pid).is_some_and(|stat| !stat.has_ended()) && command_line(self.pid).is_some_and(ours)
    }

    /// Waits until `/readyz` answers 200.
    ///
    /// # Errors
    /// After `timeout`, or at once if the process ended: with what it said last.
    pub async fn wait_ready(&self, timeout: Duration) -> anyhow::Result<()> {
        let until = Instant::now() + timeout;
        let url = format!("http://{}/readyz", self.plan.ops);
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).build()?;
        let mut said = String::from("no answer");
        while Instant::now() < until {
            if !self.is_running() {
                bail!("{} ended before it was ready; its log {}", self.plan.name, self.last_words());
            }
            match client.get(&url).send().await {
                Ok(answer) if answer.status().is_success() => return Ok(()),
                Ok(answer) => said = answer.text().await.unwrap_or_default(),
                Err(error) => said = error.to_string(),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bail!("{} was not ready after {timeout:?}: {said}; its log {}", self.plan.name, self.last_words())
    }

    /// SIGTERM, then SIGKILL after `grace`. True if it ended by itself.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.signal(Signal::SIGTERM);
        let ended = self.wait_ended(grace).await;
        if !ended {
            self.signal(Signal::SIGKILL);
            self.wait_ended(Duration::from_secs(10)).await;
        }
        ended
    }

    /// `kill -9`.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    /// Sends `signal`, if the process is still ours.
    pub fn signal(&self, signal: Signal) {
        if self.is_running() && kill(Pid::from_raw(self.pid), signal).is_err() {
            tracing::debug!(service = %self.plan.name, pid = self.pid, "the process ended before its signal");
        }
    }

    /// Waits until the process is gone; false after `timeout`.
    pub async fn wait_ended(&self, timeout: Duration) -> bool {
        let until = Instant::now() + timeout;
        while self.is_running() {
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        true
    }

    fn last_words(&self) -> String {
        last_words(&self.plan.log_path())
    }
}

/// The folder our binaries are in: beside the running one, or its parent's for test binaries in `deps/`.
///
/// # Errors
/// If the running binary's own path cannot be found.
pub fn binaries() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe().context("finding the running binary")?;
    let dir = own.parent().unwrap_or(Path::new("."));
    Ok(if dir.ends_with("deps") { dir.parent().unwrap_or(dir).to_owned() } else { dir.to_owned() })
}
