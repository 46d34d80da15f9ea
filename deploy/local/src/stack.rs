//! All four servers together. Promises that they start in parallel, that `state.json` tells the next process where they
//! are, and that stopping goes by what runs under the folder, not by what a file remembers.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::installation::Installation;
use super::kafka::KafkaCluster;
use super::server::{Kind, Running};
use super::{files, process};

/// Generous: four JVMs start on two cores, beside a build.
const READY: Duration = Duration::from_mins(3);
const STATE: &str = "state.json";

/// Where the servers are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// `host:port` of the brokers, with commas between.
    pub kafka_bootstrap: String,
    /// `host:port`.
    pub cql_contact_point: String,
    pub elasticsearch_url: String,
    /// Where the Confluent API begins: the base to which `/subjects` is added.
    pub registry_url: String,
}

/// The four servers, started.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stack {
    pub addresses: Addresses,
    pub kafka: KafkaCluster,
    pub cassandra: Running,
    pub elasticsearch: Running,
    pub registry: Running,
    /// The folder of all of them. Absolute.
    pub dir: PathBuf,
}

impl Stack {
    /// Starts the four in parallel in the new folder `dir` and waits until all can be used.
    ///
    /// # Errors
    /// If one cannot be started or does not become ready; the others are then stopped, their logs stay in `dir`.
    pub fn start(installation: &Installation, dir: &Path) -> anyhow::Result<Self> {
        let dir = files::make_dir(dir)?;
        let begin = Instant::now();
        let started = Self::start_all(installation, &dir);
        if started.is_err() {
            process::kill_under(&dir)?;
        }
        let stack = started?;
        stack.save()?;
        report(format_args!("all servers are ready after {:.1} s", begin.elapsed().as_secs_f64()));
        Ok(stack)
    }

    fn start_all(installation: &Installation, dir: &Path) -> anyhow::Result<Self> {
        let start = |kind: Kind| {
            let dir = dir.join(kind.name());
            move || ready(kind, installation, &dir)
        };
        let (kafka, cassandra, elasticsearch, registry) = std::thread::scope(|scope| {
            // The slowest first.
            let cassandra = scope.spawn(start(Kind::Cassandra));
            let registry = scope.spawn(start(Kind::Registry));
            let elasticsearch = scope.spawn(start(Kind::Elasticsearch));
            let kafka = scope.spawn(start(Kind::Kafka));
            (join(kafka), join(cassandra), join(elasticsearch), join(registry))
        });
        let (kafka, cassandra, elasticsearch, registry) = (kafka?, cassandra?, elasticsearch?, registry?);
        let addresses = Addresses {
            kafka_bootstrap: kafka.address(),
            cql_contact_point: cassandra.address(),
            elasticsearch_url: format!("http://{}", elasticsearch.address()),
            registry_url: format!("http://{}/apis/ccompat/v7", registry.address()),
        };
        let kafka = KafkaCluster { brokers: vec![kafka] };
        Ok(Self { addresses, kafka, cassandra, elasticsearch, registry, dir: dir.to_owned() })
    }

    /// Whether `dir` holds the state of a started stack.
    pub fn exists(dir: &Path) -> bool {
        dir.join(STATE).is_file()
    }

    /// The stack that was started in `dir`; its processes may have ended since.
    ///
    /// # Errors
    /// If there is none, or its state cannot be read.
    pub fn load(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(STATE);
        let state = files::read(&path).context("looking for started servers")?;
        serde_json::from_str(&state)
            .with_context(|| format!("reading the servers' state in {}", path.display()))
    }

    fn save(&self) -> anyhow::Result<()> {
        let state = serde_json::to_string_pretty(self).context("writing the servers' state as JSON")?;
        files::replace(&self.dir.join(STATE), &state)
    }

    /// Every process of the stack.
    pub fn servers(&self) -> impl Iterator<Item = &Running> {
        self.kafka.brokers.iter().chain([&self.cassandra, &self.elasticsearch, &self.registry])
    }

    /// Starts again, with their data and ports, those that are not running, and waits until all can be used.
    ///
    /// # Errors
    /// If one cannot be started or does not become ready.
    pub fn start_dead_ones(&mut self) -> anyhow::Result<()> {
        let (brokers, rest) =
            (&mut self.kafka.brokers, [&mut self.cassandra, &mut self.elasticsearch, &mut self.registry]);
        for server in brokers.iter_mut().chain(rest).filter(|server| !server.is_running()) {
            report(format_args!("{} was not running any more, starting it again", server.kind.title()));
            server.start_again()?;
        }
        self.save()?;
        self.servers().try_for_each(|server| server.wait_ready(READY).map(drop))
    }

    /// Stops the servers and removes their folder with all data.
    ///
    /// # Errors
    /// If a process survives SIGKILL, or the folder cannot be removed.
    pub fn stop(&self) -> anyhow::Result<()> {
        stop_under(&self.dir)
    }
}

/// Kills all servers whose folders lie under `dir`, whether a state file knows them or not, and removes `dir`. (There is
/// nothing to flush: their data go too.)
pub(super) fn stop_under(dir: &Path) -> anyhow::Result<()> {
    process::kill_under(dir)?;
    files::remove_dir(dir)
}

fn ready(kind: Kind, installation: &Installation, dir: &Path) -> anyhow::Result<Running> {
    let begin = Instant::now();
    let server = Running::start(kind, installation, dir)?;
    server.wait_ready(READY)?;
    let (address, seconds) = (server.address(), begin.elapsed().as_secs_f64());
    report(format_args!("{} {} is ready on {address} after {seconds:.1} s", kind.title(), kind.version()));
    Ok(server)
}

fn join<T>(thread: std::thread::ScopedJoinHandle<'_, anyhow::Result<T>>) -> anyhow::Result<T> {
    thread.join().map_err(|_| anyhow::anyhow!("starting a server panicked"))?
}

/// A line of progress for people. Standard error: standard output is for what a program reads.
pub(super) fn report(line: std::fmt::Arguments<'_>) {
    eprintln!("{line}");
}
