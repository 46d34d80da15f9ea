//! Ends services together with this process, however it ends, `kill -9` and Ctrl-C among the ways: services are in groups of their
//! own, and the watchdog of servers does not know them.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::Context;

/// The variable that a service of this run has. (Not Folio's: those begin with `FOLIO__`.)
const VARIABLE: &str = "FOLIO_BENCH_RUN";

/// Waits for the end of its input, which comes when this process is gone, and kills what was started with the mark `$1`.
const SCRIPT: &str = r#"
read -r _
for process in /proc/[0-9]*; do
  if tr '\0' '\n' < "$process/environ" 2>/dev/null | grep -qxF -- "$1"; then
    kill -9 "${process#/proc/}"
  fi
done
"#;

/// Kills the services of this run when it is dropped, or when the process is gone.
#[derive(Debug)]
pub(crate) struct Guard {
    /// The value of [`VARIABLE`].
    run: String,
    watcher: Child,
}

impl Guard {
    /// Over the services of the run that has this folder.
    pub(crate) fn over(dir: &Path) -> anyhow::Result<Self> {
        let run = dir.display().to_string();
        let watcher = Command::new("sh")
            .args(["-c", SCRIPT, "sh", &format!("{VARIABLE}={run}")])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C goes to our group.
            .process_group(0)
            .spawn()
            .context("starting what watches over the services")?;
        Ok(Self { run, watcher })
    }

    /// The variable that a service has to be given, and its value.
    pub(crate) fn mark(&self) -> (String, String) {
        (VARIABLE.to_owned(), self.run.clone())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        drop(self.watcher.stdin.take());
        if let Err(error) = self.watcher.wait() {
            eprintln!("waiting for what watches over the services: {error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_the_mark_ends_with_the_guard_and_nothing_else_does() {
        let start = |run: &str| {
            let dir = std::env::temp_dir().join(format!("guard-{}-{run}", std::process::id()));
            let guard = Guard::over(&dir).unwrap();
            let (name, value) = guard.mark();
            (guard, Command::new("sleep").arg("60").env(name, value).spawn().unwrap())
        };
        let ((guard, mut marked), (other, mut left)) = (start("one"), start("other"));
        drop(guard);
        assert!(!marked.wait().unwrap().success());
        assert!(left.try_wait().unwrap().is_none());
        drop(other);
        left.wait().unwrap();
    }
}
