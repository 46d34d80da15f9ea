//! A Kafka cluster of one broker or several, each both broker and controller, all on this machine.

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

impl KafkaCluster {
    /// Formats and starts `brokers` nodes in the new folder `dir`; internal topics are replicated to up to three.
    ///
    /// # Errors
    /// If `brokers` is zero, formatting fails, or a process cannot be started.
    pub fn start(installation: &Installation, dir: &Path, brokers: u8) -> anyhow::Result<Self> {
        ensure!(brokers > 0, "starting Kafka: a cluster needs a broker");
        let dir = files::make_dir(dir)?;
        let mut nodes = Vec::new();
        for id in 1..=i32::from(brokers) {
            nodes.push((id, ports::free_port()?, ports::free_port()?));
        }
        let voters: Vec<String> =
            nodes.iter().map(|(id, _, controller)| format!("{id}@127.0.0.1:{controller}")).collect();
        let replication = brokers.min(3);
        let cluster = cluster_id();
        let prepare = |(id, client, controller): (i32, u16, u16)| {
            let values = [
                ("node_id", &*id.to_string()),
                ("voters", &*voters.join(",")),
                ("client_port", &*client.to_string()),
                ("controller_port", &*controller.to_string()),
                ("replication", &*replication.to_string()),
                ("min_insync", &*replication.saturating_sub(1).max(1).to_string()),
            ];
            // A cluster of one lies in `dir` itself.
            let dir =
                if brokers == 1 { dir.clone() } else { files::make_dir(&dir.join(format!("broker-{id}")))? };
            configure(installation, Kind::Kafka, &dir, "server.properties", &values)?;
            format(installation, &dir, &cluster)?;
            Running::spawn(Kind::Kafka, id, client, launch(installation, &dir))
        };
        let brokers = nodes.into_iter().map(prepare).collect::<anyhow::Result<_>>()?;
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
fn format(installation: &Installation, dir: &Path, cluster: &str) -> anyhow::Result<()> {
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
    run(&mut command, &dir.join("format.log"))
}

/// A random cluster id: 16 bytes in URL-safe base64, here only of letters and digits, with zeros as its last four bits.
fn cluster_id() -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    let letter = |_| char::from(ALPHABET[(ports::random() % ALPHABET.len() as u64) as usize]);
    (0..21).map(letter).chain(['A']).collect()
}
