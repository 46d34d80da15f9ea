//! Processes that outlive us. Promises that a signal goes only to a process whose command line carries the mark of its
//! instance folder, which every server gets as a system property: pids are reused, folders of instances are not.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use super::detached::{self, Identity, command_line, last_words, reap};
use super::files;

const MARK: &str = "-Dfolio.instance=";

/// How to start a Java server, again and again with the same data and ports.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Launch {
    /// Arguments of `java`, without the mark.
    pub(super) arguments: Vec<String>,
    /// The instance folder: working directory, mark, and home of data, configuration and log. Absolute.
    pub(super) dir: PathBuf,
}

impl Launch {
    pub(super) fn log_path(&self) -> PathBuf {
        self.dir.join("server.log")
    }

    /// Starts the process.
    pub(super) fn spawn(&self) -> anyhow::Result<i32> {
        // Servers unpack native libraries into their temporary folder and leave them there when they are killed.
        let temporary = files::make_dir(&self.dir.join("tmp"))?;
        let mut java = Command::new("java");
        java.arg(format!("{MARK}{}", self.dir.display()))
            .arg(format!("-Djava.io.tmpdir={}", temporary.display()))
            .arg(format!("-Djna.tmpdir={}", temporary.display()))
            .arg("-XX:-UsePerfData")
            .args(&self.arguments)
            .current_dir(&self.dir);
        let child = detached::start(&mut java, &self.log_path())?;
        let pid = i32::try_from(child.id()).context("a pid that fits")?;
        wait_for_mark(child, &self.dir)?;
        Ok(pid)
    }
}

/// Waits until the mark can be read: for a moment after exec the kernel shows an empty command line, and the process
/// would look dead. (One that ends at once is found dead by whoever asks next.)
fn wait_for_mark(mut child: Child, dir: &Path) -> anyhow::Result<()> {
    while !is_ours(child.id() as i32, dir) {
        if child.try_wait().context("asking after a started server")?.is_some() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    reap(child);
    Ok(())
}

/// Whether `pid` is a live process that was started for the instance folder `dir`.
pub(super) fn is_ours(pid: i32, dir: &Path) -> bool {
    instance_of(pid).is_some_and(|instance| instance == dir)
}

/// The instance folder in a process's command line, if it is one of ours. (A zombie's command line is empty.)
fn instance_of(pid: i32) -> Option<PathBuf> {
    let command_line = command_line(pid)?;
    let mark =
        command_line.split(|byte| *byte == 0).find_map(|argument| argument.strip_prefix(MARK.as_bytes()))?;
    Some(PathBuf::from(String::from_utf8(mark.to_vec()).ok()?))
}

/// All live processes of instance folders at or below `dir`, each with its folder, found in `/proc` and not by memory.
pub fn processes_under(dir: &Path) -> Vec<(i32, PathBuf)> {
    // The folder may be gone while its processes are not.
    let dir = dir.canonicalize().or_else(|_| std::path::absolute(dir)).unwrap_or_else(|_| dir.to_owned());
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, instance_of(pid)?)))
        .filter(|(_, instance)| instance.starts_with(&dir))
        .collect()
}

/// Sends SIGKILL to everything under `dir` and waits until it is gone.
pub(super) fn kill_under(dir: &Path) -> anyhow::Result<()> {
    end(&processes_under(dir), Duration::ZERO).map(drop)
}

/// SIGTERM to all, SIGKILL after `grace` to those left (at once if it is zero); returns when they are gone, true if none
/// had to be killed.
///
/// # Errors
/// If one survives SIGKILL for ten seconds.
pub(super) fn end(processes: &[(i32, PathBuf)], grace: Duration) -> anyhow::Result<bool> {
    let ours = processes.iter().filter(|(pid, dir)| is_ours(*pid, dir));
    let ours: Vec<Identity> = ours.filter_map(|(pid, _)| Identity::of(*pid)).collect();
    if !grace.is_zero() {
        signal(&ours, Signal::SIGTERM);
        if gone(&ours, grace) {
            return Ok(true);
        }
    }
    signal(&ours, Signal::SIGKILL);
    if !gone(&ours, Duration::from_secs(10)) {
        let left: Vec<i32> =
            ours.iter().filter(|process| process.exists()).map(|process| process.pid).collect();
        bail!("stopping servers: processes {left:?} survive SIGKILL");
    }
    Ok(ours.is_empty())
}

fn signal(processes: &[Identity], signal: Signal) {
    for process in processes.iter().filter(|process| process.exists()) {
        if kill(Pid::from_raw(process.pid), signal).is_err() {
            tracing::debug!(pid = process.pid, "the process ended before its signal");
        }
    }
}

fn gone(processes: &[Identity], timeout: Duration) -> bool {
    let until = Instant::now() + timeout;
    while processes.iter().any(Identity::exists) {
        if Instant::now() >= until {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Runs a tool to its end with its output in `log`.
///
/// # Errors
/// If it cannot be started, or fails: with the last lines of what it said.
pub(super) fn run(command: &mut Command, log: &Path) -> anyhow::Result<()> {
    let output = File::create(log).with_context(|| format!("making {}", log.display()))?;
    let name = command.get_program().to_string_lossy().into_owned();
    let status = command
        .stdin(Stdio::null())
        .stdout(output.try_clone().context("sharing the log file")?)
        .stderr(output)
        .status()
        .with_context(|| format!("running {name} (is it installed?)"))?;
    if !status.success() {
        bail!("{name} failed with {status}; {}", last_words(log));
    }
    Ok(())
}
