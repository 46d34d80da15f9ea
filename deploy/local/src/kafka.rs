//! A Kafka cluster of one broker or several, each both broker and controller, all on this machine.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use serde::{Deserialize, Serialize};

use super::installation::Installation;
use super::process::{Launch, run};
use super::server::{Kind, Running, configure};
use super::{files, ports};

/// The brokers of one cluster, by node id from 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KafkaCluster {
    pub brokers: Vec<Running>,
}

/// A second port for clients, which sends them elsewhere: a proxy stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Door {
    /// Where the broker listens.
    pub port: u16,
    /// What it tells the clients that come in here to connect to.
    pub advertised: u16,
}

/// What a broker is told beyond the configuration in `deploy/local/kafka`.
#[derive(Clone, Copy, Debug)]
pub struct Beyond<'a> {
    /// Names of listeners for clients beside the plain one, each on a free port.
    pub listeners: &'a [&'a str],
    /// Lines of `server.properties`: what stands in them wins.
    pub lines: &'a str,
    /// Users for SCRAM, as the tool that formats a broker's folder takes them.
    pub scram: &'a [&'a str],
}

struct Node {
    id: i32,
    client: u16,
    controller: u16,
    door: Option<Door>,
    /// Further listeners for clients: their names and ports.
    beyond: Vec<(String, u16)>,
}

impl Node {
    fn new(id: i32, door: Option<Door>) -> anyhow::Result<Self> {
        Ok(Self {
            id,
            client: ports::free_port()?,
            controller: ports::free_port()?,
            door,
            beyond: Vec::new(),
        })
    }

    /// Where it listens for clients, and what it advertises. Brokers among themselves never use the door.
    fn listeners(&self, host: Ipv4Addr) -> (String, String) {
        let mut own = format!("PLAINTEXT://{host}:{}", self.client);
        for (name, port) in &self.beyond {
            own = format!("{own},{name}://{host}:{port}");
        }
        let door = |port| format!("{own},PROXIED://{host}:{port}");
        self.door.map_or_else(|| (own.clone(), own.clone()), |it| (door(it.port), door(it.advertised)))
    }
}

impl KafkaCluster {
    /// Formats and starts `brokers` nodes in the new folder `dir`; internal topics are replicated to up to three.
    ///
    /// # Errors
    /// If `brokers` is zero, formatting fails, or a process cannot be started.
    pub fn start(installation: &Installation, dir: &Path, brokers: u8) -> anyhow::Result<Self> {
        let nodes = (1..=i32::from(brokers)).map(|id| Node::new(id, None));
        Self::start_nodes(installation, dir, &nodes.collect::<anyhow::Result<Vec<_>>>()?, None)
    }

    /// The same with as many nodes as there are doors, each with its own.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with_doors(installation: &Installation, dir: &Path, doors: &[Door]) -> anyhow::Result<Self> {
        let nodes = (1..).zip(doors).map(|(id, door)| Node::new(id, Some(*door)));
        Self::start_nodes(installation, dir, &nodes.collect::<anyhow::Result<Vec<_>>>()?, None)
    }

    /// Starts one broker that is told more than the others. Returns also the ports of its further listeners.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_told(
        installation: &Installation,
        dir: &Path,
        beyond: Beyond<'_>,
    ) -> anyhow::Result<(Self, Vec<u16>)> {
        let mut node = Node::new(1, None)?;
        for name in beyond.listeners {
            node.beyond.push(((*name).to_owned(), ports::free_port()?));
        }
        let ports = node.beyond.iter().map(|(_, port)| *port).collect();
        Ok((Self::start_nodes(installation, dir, &[node], Some(beyond))?, ports))
    }

    /// Runs a tool of Kafka's, such as `org.apache.kafka.tools.AclCommand`, and waits until it has ended.
    ///
    /// # Errors
    /// If it fails: what it said.
    pub fn tool(&self, installation: &Installation, class: &str, arguments: &[&str]) -> anyhow::Result<()> {
        let log = self.brokers.first().map(|it| it.dir().join("tool.log")).unwrap_or_default();
        let mut command = Command::new("java");
        command.args(["-XX:TieredStopAtLevel=1", "-XX:-UsePerfData"]);
        command.args(["-cp", &installation.class_path(Kind::Kafka), class]).args(arguments);
        run(&mut command, &log)
    }

    fn start_nodes(
        installation: &Installation,
        dir: &Path,
        nodes: &[Node],
        beyond: Option<Beyond<'_>>,
    ) -> anyhow::Result<Self> {
        ensure!(!nodes.is_empty(), "starting Kafka: a cluster needs a broker");
        let dir = files::make_dir(dir)?;
        let voters: Vec<String> =
            nodes.iter().map(|node| format!("{}@127.0.0.1:{}", node.id, node.controller)).collect();
        let replication = nodes.len().min(3);
        let cluster = cluster_id();
        let prepare = |node: &Node| {
            let (listeners, advertised) = node.listeners(installation.host());
            let values = [
                ("node_id", &*node.id.to_string()),
                ("voters", &*voters.join(",")),
                ("listeners", &*listeners),
                ("advertised", &*advertised),
                ("controller_port", &*node.controller.to_string()),
                ("replication", &*replication.to_string()),
                ("min_insync", &*replication.saturating_sub(1).max(1).to_string()),
            ];
            // A cluster of one lies in `dir` itself.
            let dir = match nodes.len() {
                1 => dir.clone(),
                _ => files::make_dir(&dir.join(format!("broker-{}", node.id)))?,
            };
            let written = configure(installation, Kind::Kafka, &dir, "server.properties", &values)?;
            if let Some(beyond) = beyond {
                files::append(&written, beyond.lines)?;
            }
            format(installation, &dir, &cluster, beyond.map_or(&[], |it| it.scram))?;
            let at = SocketAddrV4::new(installation.host(), node.client);
            Running::spawn(Kind::Kafka, node.id, at, launch(installation, &dir))
        };
        let brokers = nodes.iter().map(prepare).collect::<anyhow::Result<_>>()?;
        Ok(Self { brokers })
    }

    /// `host:port` of every broker, with commas between.
    pub fn bootstrap(&self) -> String {
        self.brokers.iter().map(Running::address).collect::<Vec<_>>().join(",")
    }

    /// Waits until every broker takes requests.
    ///
    /// # Errors
    /// As [`Running::wait_ready`].
    pub fn wait_ready(&self, timeout: Duration) -> anyhow::Result<()> {
        for broker in &self.brokers {
            broker.wait_ready(timeout)?;
        }
        Ok(())
    }
}

fn launch(installation: &Installation, dir: &Path) -> Launch {
    let what = [
        "-cp".to_owned(),
        installation.class_path(Kind::Kafka),
        "kafka.Kafka".to_owned(),
        dir.join("server.properties").display().to_string(),
    ];
    let arguments = installation.java_options(Kind::Kafka).into_iter().chain(what).collect();
    Launch { arguments, dir: dir.to_owned() }
}

/// Writes the empty metadata log; it must be the tool, which knows the feature levels of its version.
fn format(installation: &Installation, dir: &Path, cluster: &str, scram: &[&str]) -> anyhow::Result<()> {
    let mut command = Command::new("java");
    command
        .args(installation.archive_option(Kind::Kafka))
        .args([
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
        ])
        .args(["-cp", &installation.class_path(Kind::Kafka)])
        .args(["kafka.tools.StorageTool", "format", "-t", cluster, "-c"])
        .arg(dir.join("server.properties"));
    for user in scram {
        command.args(["--add-scram", user]);
    }
    run(&mut command, &dir.join("format.log"))
}

/// A random cluster id: 16 bytes in URL-safe base64, here only of letters and digits, with zeros as its last four bits.
fn cluster_id() -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |_| char::from(ALPHABET[(ports::random() % ALPHABET.len() as u64) as usize]);
    (0..21).map(letter).chain(['A']).collect()
}
