//! Ends servers together with the process that needs them, even if that process is killed: tests must leave nothing.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::Context;

use super::{files, process};

/// Waits for the end of its input, which comes when the process that holds the other end is gone, however it went; then
/// kills what carries the mark of a folder below `FOLIO_DIR`, and removes the folder.
const SCRIPT: &str = r#"
read -r _
for process in /proc/[0-9]*; do
  case "$(tr '\0' '\n' < "$process/cmdline" 2>/dev/null)" in
    *"
-Dfolio.instance=$FOLIO_DIR/"*) kill -9 "${process#/proc/}" ;;
  esac
done
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$FOLIO_DIR" && exit
  sleep 0.2
done
"#;

/// A folder whose servers end, and which is removed, when this value is dropped or when the process ends.
#[derive(Debug)]
pub struct Watchdog {
    dir: PathBuf,
    watcher: Child,
}

impl Watchdog {
    /// Makes the folder `dir` and watches over all servers that will be started below it (not in it).
    ///
    /// # Errors
    /// If the folder or the watching process cannot be made.
    pub fn over(dir: &Path) -> anyhow::Result<Self> {
        let dir = files::make_dir(dir)?;
        let watcher = Command::new("sh")
            .args(["-c", SCRIPT])
            .env("FOLIO_DIR", &dir)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C goes to our group; the watcher must live on to clean up.
            .process_group(0)
            .spawn()
            .context("starting the watchdog of local servers")?;
        Ok(Self { dir, watcher })
    }

    /// The watched folder. Absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What the end of this process does: lets go of the watcher without a word.
    #[cfg(test)]
    pub(super) fn let_go(mut self) {
        drop(self.watcher.stdin.take());
        std::mem::forget(self);
    }

    fn end(&mut self) -> anyhow::Result<()> {
        process::kill_under(&self.dir)?;
        drop(self.watcher.stdin.take());
        self.watcher.wait().context("waiting for the watchdog of local servers")?;
        files::remove_dir(&self.dir)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            tracing::warn!(dir = %self.dir.display(), "cleaning up local servers: {error:#}");
        }
    }
}
