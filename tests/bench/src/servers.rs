//! Kafka and the registry, alone, with the ordinary optimising compiler: what the write side needs and no more. They, what is
//! started beside them, and services end with this process, however it ends.

use std::path::Path;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use local_servers::{Addresses, Installation, Kind, Running, Watchdog, project_root};

use crate::guard::Guard;

const READY: Duration = Duration::from_mins(3);

/// The running servers.
pub(crate) struct Servers {
    /// The broker.
    pub kafka: Running,
    registry: Running,
    installation: Installation,
    watchdog: Watchdog,
    /// Of the services.
    guard: Guard,
}

impl Servers {
    /// Starts both and waits until they can be used.
    pub(crate) fn start() -> anyhow::Result<Self> {
        let project = project_root()?;
        let installation = Installation::prepare(&project)?;
        let watchdog = Watchdog::over(&project.join(format!("target/bench/run-{}", std::process::id())))?;
        let guard = Guard::over(watchdog.dir())?;
        let start = |kind| start(kind, &installation, watchdog.dir());
        let (kafka, registry) = std::thread::scope(|scope| {
            let registry = scope.spawn(|| start(Kind::Registry));
            (start(Kind::Kafka), registry.join())
        });
        let (kafka, registry) = (kafka?, registry.map_err(|_| anyhow!("starting the registry panicked"))??);
        Ok(Self { kafka, registry, installation, watchdog, guard })
    }

    /// Starts one more server and waits until it can be used. Whoever does not stop it has it until the run ends.
    pub(crate) fn beside(&self, kind: Kind) -> anyhow::Result<Running> {
        start(kind, &self.installation, self.dir())
    }

    /// What services are told, so that none is left.
    pub(crate) fn mark(&self) -> (String, String) {
        self.guard.mark()
    }

    /// Where they are. There are no stores.
    pub(crate) fn addresses(&self) -> Addresses {
        Addresses {
            kafka_bootstrap: self.kafka.address(),
            cql_contact_point: String::new(),
            elasticsearch_url: String::new(),
            registry_url: format!("http://{}/apis/ccompat/v7", self.registry.address()),
        }
    }

    /// Bytes of a topic's log on the broker's disk, without its indexes.
    ///
    /// # Errors
    /// If there is no such topic, or its files cannot be listed.
    pub(crate) fn log_bytes(&self, topic: &str) -> anyhow::Result<u64> {
        let (mut bytes, mut folders) = (0, vec![self.dir().join(Kind::Kafka.name())]);
        while let Some(folder) = folders.pop() {
            let partition_of = |name: &str| Some(name.rsplit_once('-')?.0.to_owned());
            let named = folder.file_name().and_then(|name| partition_of(name.to_str()?));
            for entry in std::fs::read_dir(&folder)? {
                let path = entry?.path();
                if path.is_dir() {
                    folders.push(path);
                } else if named.as_deref() == Some(topic) && path.extension().is_some_and(|it| it == "log") {
                    bytes += path.metadata()?.len();
                }
            }
        }
        ensure!(bytes > 0, "the broker has no log of {topic}");
        Ok(bytes)
    }

    /// A folder of this run, removed at its end.
    pub(crate) fn dir(&self) -> &Path {
        self.watchdog.dir()
    }
}

fn start(kind: Kind, installation: &Installation, dir: &Path) -> anyhow::Result<Running> {
    let server = Running::start(kind, installation, &dir.join(kind.name()))?;
    let after = server.wait_ready(READY)?;
    eprintln!("{} {} is ready after {after:.1?}", kind.title(), kind.version());
    Ok(server)
}
