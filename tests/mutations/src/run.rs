//! Runs a test program until it ends, fails, or hangs.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ran {
    Passed,
    /// The first test that failed, or how the program ended.
    Failed(String),
    Hung,
}

/// Runs the command in its own process group, with its output in `log`. At the first failed test it is killed if
/// `at_first`, and at the latest after `patience`.
pub(crate) fn run(
    command: &mut Command,
    log: &Path,
    patience: Duration,
    at_first: bool,
) -> anyhow::Result<Ran> {
    let file = File::create(log).with_context(|| format!("making {}", log.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    let group = Pid::from_raw(i32::try_from(child.id())?);
    let until = Instant::now() + patience;
    loop {
        let ended = child.try_wait()?;
        let failed = || fs::read(log).ok().and_then(|said| first_failed(&String::from_utf8_lossy(&said)));
        if let Some(status) = ended {
            return Ok(if status.success() {
                Ran::Passed
            } else {
                Ran::Failed(failed().unwrap_or_else(|| format!("({status})")))
            });
        }
        let failure = if at_first { failed() } else { None };
        if failure.is_some() || Instant::now() >= until {
            // It may have ended meanwhile.
            killpg(group, Signal::SIGKILL).ok();
            child.wait()?;
            return Ok(failure.map_or(Ran::Hung, Ran::Failed));
        }
        std::thread::sleep(LOOK);
    }
}

/// The first failed test in libtest's output.
fn first_failed(said: &str) -> Option<String> {
    let tests = said.lines().filter_map(|line| line.strip_prefix("test "));
    tests.filter_map(|line| line.strip_suffix(" ... FAILED")).map(str::to_owned).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, patience_ms: u64) -> Ran {
        let log = std::env::temp_dir().join(format!("folio-mutations-{}-{patience_ms}", std::process::id()));
        let ran =
            run(Command::new("sh").args(["-c", script]), &log, Duration::from_millis(patience_ms), true);
        fs::remove_file(log).unwrap();
        ran.unwrap()
    }

    #[test]
    fn a_run_passes_fails_by_name_or_hangs() {
        assert!(matches!(sh("echo test a::b ... ok", 60_000), Ran::Passed));
        let failed = "echo test a::b ... ok; echo test a::c ... FAILED; sleep 600";
        assert!(matches!(sh(failed, 60_001), Ran::Failed(name) if name == "a::c"));
        assert!(matches!(sh("exit 3", 60_002), Ran::Failed(how) if how.contains('3')));
        assert!(matches!(sh("sleep 600 & sleep 600", 200), Ran::Hung));
    }
}
