//! One running server, whichever it is: wait for it, stop it, kill it, start it again with the same data and ports.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use super::detached::last_words;
use super::installation::Installation;
use super::kafka::KafkaCluster;
use super::process::{self, Launch};
use super::{files, ports, probe};

/// How long a server may take to stop by itself before it is killed.
const GRACE: Duration = Duration::from_secs(10);

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Kafka,
    /// Apache Cassandra, in `ScyllaDB`'s place.
    Cassandra,
    Elasticsearch,
    /// The Apicurio schema registry.
    Registry,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Kafka, Self::Cassandra, Self::Elasticsearch, Self::Registry];

    /// The name of its folders and of its Maven module.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kafka => "kafka",
            Self::Cassandra => "cassandra",
            Self::Elasticsearch => "elasticsearch",
            Self::Registry => "apicurio",
        }
    }

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Kafka => "Apache Kafka",
            Self::Cassandra => "Apache Cassandra",
            Self::Elasticsearch => "Elasticsearch",
            Self::Registry => "Apicurio Registry",
        }
    }

    /// The version in `deploy/local/pom.xml` and `deploy/compose.yaml`.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Kafka => "4.3.1",
            Self::Cassandra => "5.0.4",
            Self::Elasticsearch => "7.17.29",
            Self::Registry => "3.0.9",
        }
    }
}

/// A server that was started; it outlives this value and this process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    pub kind: Kind,
    /// Kafka's node id; 1 for the others.
    pub node: i32,
    pub pid: i32,
    /// Where clients connect.
    pub port: u16,
    #[serde(default = "loopback")]
    host: Ipv4Addr,
    launch: Launch,
}

impl Running {
    /// Starts one server of a single node in the new folder `dir` on free ports. (For Kafka: a cluster of one.)
    ///
    /// # Errors
    /// If its configuration cannot be written or the process cannot be started.
    pub fn start(kind: Kind, installation: &Installation, dir: &Path) -> anyhow::Result<Self> {
        Self::start_told(kind, installation, dir, "")
    }

    /// The same, told more: `lines` are added to the server's configuration. (For Kafka: see [`KafkaCluster::start_told`].)
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_told(
        kind: Kind,
        installation: &Installation,
        dir: &Path,
        lines: &str,
    ) -> anyhow::Result<Self> {
        type Prepare = fn(&Installation, PathBuf, u16) -> anyhow::Result<Launch>;
        let (prepare, configuration): (Prepare, &str) = match kind {
            Kind::Kafka => return Ok(KafkaCluster::start(installation, dir, 1)?.brokers.remove(0)),
            Kind::Cassandra => (cassandra, "cassandra.yaml"),
            Kind::Elasticsearch => (elasticsearch, "config/elasticsearch.yml"),
            Kind::Registry => (registry, "config/application.properties"),
        };
        let port = ports::free_port()?;
        let launch = prepare(installation, files::make_dir(dir)?, port)?;
        files::append(&launch.dir.join(configuration), lines)?;
        Self::spawn(kind, 1, SocketAddrV4::new(installation.host(), port), launch)
    }

    pub(super) fn spawn(kind: Kind, node: i32, at: SocketAddrV4, launch: Launch) -> anyhow::Result<Self> {
        let pid = launch.spawn()?;
        Ok(Self { kind, node, pid, port: at.port(), host: *at.ip(), launch })
    }

    /// `host:port`.
    pub fn address(&self) -> String {
        self.socket().to_string()
    }

    fn socket(&self) -> SocketAddrV4 {
        SocketAddrV4::new(self.host, self.port)
    }

    /// The folder with its data, configuration and log.
    pub fn dir(&self) -> &Path {
        &self.launch.dir
    }

    pub fn log_path(&self) -> PathBuf {
        self.launch.log_path()
    }

    /// Whether the process is there and still the one that was started.
    pub fn is_running(&self) -> bool {
        process::is_ours(self.pid, self.dir())
    }

    /// Asks the server once, in its own protocol, whether it can be used.
    ///
    /// # Errors
    /// If it does not answer, or not yet as it should.
    pub fn probe(&self) -> std::io::Result<()> {
        match self.kind {
            Kind::Kafka => probe::kafka(self.socket(), self.node),
            Kind::Cassandra => probe::cql(self.socket()),
            Kind::Elasticsearch => probe::elasticsearch(self.socket()),
            Kind::Registry => probe::registry(self.socket()),
        }
    }

    /// Waits until the server can be used; returns how long that took.
    ///
    /// # Errors
    /// After `timeout`, or at once if the process ended: with the last lines of its log.
    pub fn wait_ready(&self, timeout: Duration) -> anyhow::Result<Duration> {
        let begin = Instant::now();
        loop {
            let running = self.is_running();
            let Err(error) = self.probe() else { return Ok(begin.elapsed()) };
            let problem = match running {
                false => "ended before it was ready".to_owned(),
                true if begin.elapsed() >= timeout => format!("was not ready after {timeout:?} ({error})"),
                true => {
                    std::thread::sleep(Duration::from_millis(50));
                    continue;
                }
            };
            bail!("{} {problem}; {}", self.kind.title(), last_words(&self.log_path()));
        }
    }

    /// SIGTERM, then SIGKILL after ten seconds; returns when the process is gone. The data stay.
    ///
    /// # Errors
    /// If it survives SIGKILL.
    pub fn stop(&self) -> anyhow::Result<()> {
        self.stop_within(GRACE).map(drop)
    }

    /// As [`stop`](Self::stop), with another time until SIGKILL; true if the server ended by itself.
    pub(super) fn stop_within(&self, grace: Duration) -> anyhow::Result<bool> {
        process::end(&[self.identity()], grace)
    }

    /// `kill -9`; returns when the process is gone. The data stay.
    ///
    /// # Errors
    /// If it survives SIGKILL.
    pub fn kill(&self) -> anyhow::Result<()> {
        process::end(&[self.identity()], Duration::ZERO).map(drop)
    }

    /// Starts a stopped or killed server with the data and the ports it had.
    ///
    /// # Errors
    /// If it still runs, or cannot be started.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        if self.is_running() {
            bail!("starting {} again: process {} still runs", self.kind.title(), self.pid);
        }
        self.pid = self.launch.spawn()?;
        Ok(())
    }

    fn identity(&self) -> (i32, PathBuf) {
        (self.pid, self.dir().to_owned())
    }
}

/// Of servers that were started before there were others.
fn loopback() -> Ipv4Addr {
    Ipv4Addr::LOCALHOST
}

/// Fills in a template of `deploy/local/<kind>` and writes it below the instance folder.
pub(super) fn configure(
    installation: &Installation,
    kind: Kind,
    dir: &Path,
    target: &str,
    values: &[(&str, &str)],
) -> anyhow::Result<PathBuf> {
    let path = dir.join(target);
    files::make_dir(path.parent().unwrap_or(dir))?;
    let name = path.file_name().and_then(|name| name.to_str()).context("a file name")?;
    let common = [
        ("dir", dir.display().to_string()),
        ("data_dir", dir.join("data").display().to_string()),
        ("host", installation.host().to_string()),
    ];
    let common = common.iter().map(|(name, value)| (*name, value.as_str()));
    let values: Vec<(&str, &str)> = values.iter().copied().chain(common).collect();
    let text = files::fill(&files::read(&installation.template(kind, name))?, &values)?;
    files::write(&path, &text)?;
    Ok(path)
}

fn cassandra(installation: &Installation, dir: PathBuf, port: u16) -> anyhow::Result<Launch> {
    let kind = Kind::Cassandra;
    let values = [("client_port", &*port.to_string()), ("storage_port", &*ports::free_port()?.to_string())];
    let yaml = configure(installation, kind, &dir, "cassandra.yaml", &values)?;
    let what = [
        format!("-Dcassandra.config=file://{}", yaml.display()),
        format!("-Dcassandra.storagedir={}", dir.join("data").display()),
        format!("-Dlogback.configurationFile={}", installation.template(kind, "logback.xml").display()),
        "-cp".to_owned(),
        installation.class_path(kind),
        "org.apache.cassandra.service.CassandraDaemon".to_owned(),
    ];
    Ok(Launch { arguments: installation.java_options(kind).into_iter().chain(what).collect(), dir })
}

fn elasticsearch(installation: &Installation, dir: PathBuf, port: u16) -> anyhow::Result<Launch> {
    let kind = Kind::Elasticsearch;
    let values = [("client_port", &*port.to_string()), ("transport_port", &*ports::free_port()?.to_string())];
    configure(installation, kind, &dir, "config/elasticsearch.yml", &values)?;
    let what = [
        format!("-Dlog4j2.configurationFile={}", installation.template(kind, "log4j2.properties").display()),
        "-cp".to_owned(),
        installation.class_path(kind),
        "Launcher".to_owned(),
        dir.display().to_string(),
    ];
    Ok(Launch { arguments: installation.java_options(kind).into_iter().chain(what).collect(), dir })
}

fn registry(installation: &Installation, dir: PathBuf, port: u16) -> anyhow::Result<Launch> {
    let kind = Kind::Registry;
    // Quarkus reads config/application.properties of its working directory.
    configure(
        installation,
        kind,
        &dir,
        "config/application.properties",
        &[("client_port", &*port.to_string())],
    )?;
    let jar = format!("apicurio-registry-app-{}-runner.jar", kind.version());
    let what = ["-jar".to_owned(), installation.home(kind).join(jar).display().to_string()];
    Ok(Launch { arguments: installation.java_options(kind).into_iter().chain(what).collect(), dir })
}
