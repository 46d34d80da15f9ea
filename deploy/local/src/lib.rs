//! The real servers as local processes, without Docker: Apache Kafka, Apache Cassandra (in `ScyllaDB`'s place),
//! Elasticsearch and the Apicurio schema registry, from Maven Central's jars and the configuration beside this crate.
//!
//! Promises: everything listens on 127.0.0.1 only, or for clients on the one address that [`Installation::on`] was told; a
//! server is called ready when it answered in its own protocol; no process is ever signalled that was not started here;
//! stopping leaves neither processes nor files, only the jars.
//!
//! Start at [`up_servers`] and [`down_servers`], which `folio up` and `folio down` call (alone:
//! `cargo run -p local-servers --example servers -- up`). Tests start a [`Stack`] or single [`Running`] servers of their
//! own under a [`Watchdog`].

mod archive;
pub mod detached;
mod fetch;
mod files;
mod guard;
mod installation;
mod kafka;
mod ports;
mod probe;
mod process;
mod server;
mod stack;
#[cfg(test)]
mod tests;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;

pub use self::guard::Watchdog;
pub use self::installation::{Installation, project_root};
pub use self::kafka::{Beyond, Door, KafkaCluster};
pub use self::ports::free_port;
pub use self::process::processes_under;
pub use self::server::{Kind, Running};
pub use self::stack::{Addresses, Stack};

/// Starts the four servers with their data under `dir`, or finds them running there already. Servers that died are
/// started again with their data. They outlive this process.
///
/// # Errors
/// If Java or Maven is missing, the jars cannot be fetched, or a server does not become ready; what was started is
/// then stopped again, unless it ran before.
pub fn up_servers(dir: &Path) -> anyhow::Result<Stack> {
    let _lock = lock(dir)?;
    if Stack::exists(dir) {
        let mut stack = Stack::load(dir)?;
        stack.start_dead_ones()?;
        return Ok(stack);
    }
    // A start that was interrupted before it wrote its state: its servers have ports that nobody knows.
    process::kill_under(dir)?;
    files::remove_dir(dir)?;
    let installation = Installation::prepare(&project_root()?)?;
    Stack::start(&installation, dir)
}

/// Stops whatever [`up_servers`] started under `dir` and removes `dir`. Doing it twice is harmless.
///
/// # Errors
/// If a process survives SIGKILL, or the folder cannot be removed.
pub fn down_servers(dir: &Path) -> anyhow::Result<()> {
    let _lock = lock(dir)?;
    stack::stop_under(dir)?;
    std::fs::remove_file(lock_path(dir)).context("removing the lock of the servers' folder")
}

/// One `up` or `down` at a time; a second one waits.
fn lock(dir: &Path) -> anyhow::Result<File> {
    loop {
        let path = std::path::absolute(lock_path(dir)).context("resolving the servers' folder")?;
        files::make_dir(path.parent().unwrap_or(Path::new("/")))?;
        let file = File::create(&path).with_context(|| format!("making {}", path.display()))?;
        file.lock().with_context(|| format!("locking {}", path.display()))?;
        // `down` removes the file while others wait for it: a lock on a removed file holds nobody back.
        if files::is_file_at(&file, &path) {
            return Ok(file);
        }
    }
}

fn lock_path(dir: &Path) -> PathBuf {
    dir.with_extension("lock")
}
