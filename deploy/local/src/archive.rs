//! Class data archives. A JVM spends most of a server's start on loading the same classes as last time; from an archive
//! of them it starts in half the time (measured: Kafka 2.6 s to 1.5 s, the registry 4.7 s to 2.3 s). Promises that a
//! server without an archive starts all the same, and that a half-written archive is never used.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};

use super::files;
use super::installation::Installation;
use super::server::{Kind, Running};

const READY: Duration = Duration::from_mins(3);
/// The archive is written while the server stops.
const WRITTEN: Duration = Duration::from_mins(1);

/// Runs each of `kinds` once to write its archive; a failure costs only time at later starts, so it is only told.
pub(super) fn record(installation: &Installation, kinds: &[Kind]) -> anyhow::Result<()> {
    let dir = installation.servers().join("recording");
    files::remove_dir(&dir)?;
    std::thread::scope(|scope| {
        for kind in kinds {
            scope.spawn(|| {
                if let Err(error) = record_one(installation, *kind, &dir.join(kind.name())) {
                    super::stack::report(format_args!("{} will start more slowly: {error:#}", kind.title()));
                }
            });
        }
    });
    super::process::kill_under(&dir)?;
    files::remove_dir(&dir)
}

fn record_one(installation: &Installation, kind: Kind, dir: &Path) -> anyhow::Result<()> {
    let archive = installation.archive(kind);
    let new = archive.with_extension("new");
    let option = format!("-XX:ArchiveClassesAtExit={}", new.display());
    let server = Running::start(kind, &installation.clone().with_java_option(&option), dir)?;
    let ready = server.wait_ready(READY);
    let stopped_by_itself = server.stop_within(WRITTEN)?;
    ready?;
    if !stopped_by_itself || !new.is_file() {
        bail!("writing the class archive {} failed", archive.display());
    }
    std::fs::rename(&new, &archive)
        .with_context(|| format!("renaming {} to {}", new.display(), archive.display()))
}

impl Installation {
    /// The archive of the classes that a server loads.
    fn archive(&self, kind: Kind) -> PathBuf {
        self.home(kind).join("classes.jsa")
    }

    /// The option that uses the archive, if there is one.
    pub(super) fn archive_option(&self, kind: Kind) -> Option<String> {
        let archive = self.archive(kind);
        archive.is_file().then(|| format!("-XX:SharedArchiveFile={}", archive.display()))
    }
}
