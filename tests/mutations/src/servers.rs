//! The real servers, started once for a run, and what a test that was killed leaves behind.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, ensure};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The variable that names the servers to tests.
pub(crate) const STACK_VARIABLE: &str = "FOLIO_TEST_STACK";

/// Running servers. They end with the value, or with this process, however it ends.
#[derive(Debug)]
pub(crate) struct Servers {
    holder: Child,
    /// The folder that tests find them by.
    pub(crate) stack: String,
}

impl Servers {
    /// Starts them with the copy's `with-servers`, which blocks for a minute or so.
    pub(crate) fn start(build: &Path, tree: &Path) -> anyhow::Result<Self> {
        let mut holder = Command::new(build.join("debug/with-servers"))
            .args(["sh", "-c", &format!("echo ${STACK_VARIABLE}; read -r _")])
            .current_dir(tree)
            // Ends when its input does.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .context("starting with-servers")?;
        let mut stack = String::new();
        let stdout = holder.stdout.take().context("its output is a pipe")?;
        BufReader::new(stdout).read_line(&mut stack)?;
        let stack = stack.trim().to_owned();
        ensure!(!stack.is_empty(), "the real servers did not start");
        Ok(Self { holder, stack })
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        if let Err(error) = self.holder.wait() {
            eprintln!("waiting for the servers to end: {error}");
        }
    }
}

/// Ends the copy's services that a killed test could not end itself. They are known by their binaries: nobody else starts
/// those of the copy.
pub(crate) fn end_services(build: &Path) {
    let services = ["command-service", "projector", "query-gateway"].map(OsStr::new);
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Ok(binary) = fs::read_link(process.path().join("exe")) else { continue };
        if binary.starts_with(build) && binary.file_name().is_some_and(|name| services.contains(&name)) {
            // It may have ended meanwhile.
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
    }
}
