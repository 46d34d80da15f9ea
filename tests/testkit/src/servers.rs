//! Real servers for tests. Promises that one set of them is started per process at most, or none if the runner has
//! started one already; that they end with the process, however it ends; and that tests do not meet on them, as long as
//! each names its topics, keyspaces and indices with [`test_prefix`].

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::Context;
pub use local_servers::Kind;
use local_servers::{Beyond, Door, Installation, KafkaCluster, Running, Stack, Watchdog, project_root};

use crate::kafka_proxy::Route;

/// Names the folder of a stack that the runner started before the tests; `make test` may set it.
pub const STACK_VARIABLE: &str = "FOLIO_TEST_STACK";

const READY: Duration = Duration::from_mins(3);

/// The servers of this test run. The first call starts them, which blocks for some seconds (minutes, if they must be
/// fetched first); all others wait for it.
///
/// # Panics
/// If they cannot be started, or those that the runner named do not run.
pub fn servers() -> &'static Stack {
    static STACK: OnceLock<Stack> = OnceLock::new();
    STACK.get_or_init(|| find_or_start().expect("the tests need the real servers"))
}

fn find_or_start() -> anyhow::Result<Stack> {
    let Some(dir) = std::env::var_os(STACK_VARIABLE) else {
        return Stack::start(installation()?, &process_dir().join("stack"));
    };
    let stack = Stack::load(Path::new(&dir))
        .with_context(|| format!("{STACK_VARIABLE} is set to {}", dir.display()))?;
    for server in stack.servers() {
        server.wait_ready(READY).with_context(|| format!("{STACK_VARIABLE} is set to {}", dir.display()))?;
    }
    Ok(stack)
}

fn installation() -> anyhow::Result<&'static Installation> {
    static INSTALLATION: OnceLock<Result<Installation, String>> = OnceLock::new();
    let prepare = || Installation::prepare(&project_root()?).map(Installation::for_tests);
    INSTALLATION
        .get_or_init(|| prepare().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|error| anyhow::anyhow!("{error}"))
}

/// The folder of all servers that this process starts. A watchdog removes it, and them, when the process is gone.
fn process_dir() -> &'static Path {
    static WATCHDOG: OnceLock<Watchdog> = OnceLock::new();
    let dir = || std::env::temp_dir().join(format!("folio-test-{}-{}", std::process::id(), test_prefix()));
    WATCHDOG.get_or_init(|| Watchdog::over(&dir()).expect("a watchdog for the tests' servers")).dir()
}

/// A short name that no other test gets, in this process or another: lower case letters and digits, first a letter, so
/// that it fits in the names of topics, keyspaces, tables and indices.
pub fn test_prefix() -> String {
    static START: OnceLock<u32> = OnceLock::new();
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let start = START.get_or_init(|| RandomState::new().build_hasher().finish() as u32);
    format!("t{:08x}", start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)))
}

/// A Kafka cluster of a test's own, which may stop, kill and restart its brokers. Dropped, it is gone.
#[derive(Debug)]
pub struct PrivateKafka {
    cluster: KafkaCluster,
    dir: PathBuf,
}

impl PrivateKafka {
    /// Starts one broker and waits until it takes requests; blocks for some seconds.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_brokers(1)
    }

    /// Starts a cluster of `brokers` and waits until all take requests.
    ///
    /// # Errors
    /// If one cannot be started.
    pub fn start_brokers(brokers: u8) -> anyhow::Result<Self> {
        Self::start_with(|installation, dir| KafkaCluster::start(installation, dir, brokers))
    }

    /// Starts a cluster with a door for a proxy at each broker: clients that come through the proxies stay with them.
    ///
    /// # Errors
    /// If a broker cannot be started.
    pub fn start_behind(routes: &[Route]) -> anyhow::Result<Self> {
        let doors: Vec<Door> =
            routes.iter().map(|it| Door { port: it.broker, advertised: it.proxy }).collect();
        Self::start_with(|installation, dir| KafkaCluster::start_with_doors(installation, dir, &doors))
    }

    /// Starts one broker that is told more than the others; the ports of its further listeners come with it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_told(beyond: Beyond<'_>) -> anyhow::Result<(Self, Vec<u16>)> {
        let mut ports = Vec::new();
        let kafka = Self::start_with(|installation, dir| {
            let (cluster, further) = KafkaCluster::start_told(installation, dir, beyond)?;
            ports = further;
            Ok(cluster)
        })?;
        Ok((kafka, ports))
    }

    /// Runs a tool of Kafka's on it.
    ///
    /// # Errors
    /// If it fails: what it said.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> anyhow::Result<()> {
        self.cluster.tool(installation()?, class, arguments)
    }

    fn start_with(
        start: impl FnOnce(&Installation, &Path) -> anyhow::Result<KafkaCluster>,
    ) -> anyhow::Result<Self> {
        let dir = process_dir().join(format!("kafka-{}", test_prefix()));
        let cluster = start(installation()?, &dir)?;
        let kafka = Self { cluster, dir };
        kafka.cluster.wait_ready(READY)?;
        Ok(kafka)
    }

    /// `host:port` of every broker, with commas between; stays the same over restarts. Past any proxy.
    pub fn bootstrap(&self) -> String {
        self.cluster.bootstrap()
    }

    /// The brokers, by node id from 1; each can be stopped, killed and started again alone.
    pub fn brokers(&mut self) -> &mut [Running] {
        &mut self.cluster.brokers
    }

    /// `kill -9` on every broker.
    ///
    /// # Errors
    /// If one survives.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.cluster.brokers.iter().try_for_each(Running::kill)
    }

    /// SIGTERM to every broker, one after the other.
    ///
    /// # Errors
    /// If one survives.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.cluster.brokers.iter().try_for_each(Running::stop)
    }

    /// Starts all stopped or killed brokers with their data and ports, and waits until they take requests.
    ///
    /// # Errors
    /// If one cannot be started or does not become ready.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        for broker in self.cluster.brokers.iter_mut().filter(|broker| !broker.is_running()) {
            broker.start_again()?;
        }
        self.cluster.wait_ready(READY)
    }
}

impl Drop for PrivateKafka {
    fn drop(&mut self) {
        remove(self.kill(), &self.dir);
    }
}

/// Removes the folder of a test's server that was killed. The watchdog catches what this misses.
fn remove(killed: anyhow::Result<()>, dir: &Path) {
    let removed = killed.and_then(|()| std::fs::remove_dir_all(dir).context("removing a test's server"));
    if let Err(error) = removed {
        tracing::warn!("cleaning up after a test: {error:#}");
    }
}

/// A server of a test's own, which may be stopped, killed and started again. Dropped, it is gone.
#[derive(Debug)]
pub struct PrivateServer {
    running: Running,
}

impl PrivateServer {
    /// Starts one and waits until it can be used; blocks for some seconds.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(kind: Kind) -> anyhow::Result<Self> {
        let server = Self::start_told(kind, "")?;
        server.running.wait_ready(READY)?;
        Ok(server)
    }

    /// Starts one that is told more, and does not wait: it may speak otherwise than one that is not.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start_told(kind: Kind, lines: &str) -> anyhow::Result<Self> {
        let dir = process_dir().join(format!("{}-{}", kind.name(), test_prefix()));
        Ok(Self { running: Running::start_told(kind, installation()?, &dir, lines)? })
    }

    /// The last lines of its log, for the message of a test that fails.
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.running.log_path()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// `host:port`; stays the same over restarts.
    pub fn address(&self) -> String {
        self.running.address()
    }

    /// `kill -9`.
    ///
    /// # Errors
    /// If it survives.
    pub fn kill(&self) -> anyhow::Result<()> {
        self.running.kill()
    }

    /// SIGTERM.
    ///
    /// # Errors
    /// If it survives.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.running.stop()
    }

    /// Starts it again with its data and port, and waits until it can be used.
    ///
    /// # Errors
    /// If it cannot be started or does not become ready.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        self.running.start_again()?;
        self.running.wait_ready(READY).map(drop)
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        remove(self.kill(), self.running.dir());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_tests_get_the_same_prefix() {
        let prefixes: std::collections::HashSet<String> = (0..1_000).map(|_| test_prefix()).collect();
        assert_eq!(prefixes.len(), 1_000);
        assert!(prefixes.iter().all(|prefix| prefix.starts_with('t') && prefix.len() == 9));
    }
}
