//! A catalog of one test's own on the real servers: topic, schemas, stores, and services as processes or not at all.
//! Promises that services end with the value, and that what they logged is shown if the test failed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use adapter_kafka::{Profile, Topics};
use anyhow::Context;
use cli::commands::{schemas, stores, topics};
use cli::config::Config;
use cli::system::{Listens, Names, Plan, Planner, Service};
use local_servers::Addresses;

use crate::servers::{servers, test_prefix};

/// How long anything on these two shared cores may take.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// The catalog of one test.
#[derive(Debug)]
pub struct System {
    pub planner: Planner,
    pub config: Config,
    running: Vec<Service>,
    dir: PathBuf,
    keeps_logs: bool,
}

/// A service of the catalog.
#[derive(Clone, Debug)]
pub struct Started {
    pub service: Service,
    pub listens: Listens,
}

impl Started {
    /// Base address of its HTTP API.
    pub fn url(&self) -> String {
        format!("http://{}", self.listens.http)
    }

    /// Base address of its gRPC API.
    pub fn grpc(&self) -> String {
        format!("http://{}", self.listens.grpc)
    }

    /// Base address of `/readyz` and `/metrics`.
    pub fn ops(&self) -> String {
        format!("http://{}", self.listens.ops)
    }

    /// Everything it logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.service.plan.log_path()).unwrap_or_default()
    }
}

impl System {
    /// Topic (6 partitions), schemas, tables and indices, on the shared servers. No service yet.
    ///
    /// # Errors
    /// If a server cannot be reached.
    pub async fn prepare() -> anyhow::Result<Self> {
        let stack = tokio::task::spawn_blocking(servers).await?;
        Self::prepare_on(stack.addresses.clone()).await
    }

    /// The same on servers of the test's choice.
    ///
    /// # Errors
    /// If a server cannot be reached.
    pub async fn prepare_on(addresses: Addresses) -> anyhow::Result<Self> {
        let system = Self::named(addresses)?;
        let topics = topics::declared(&system.prefix())?;
        system.prepared(&topics, Profile::Local).await
    }

    /// The same on three brokers or more, with the replication that is declared for them.
    ///
    /// # Errors
    /// If a server cannot be reached.
    pub async fn prepare_replicated(addresses: Addresses, partitions: i32) -> anyhow::Result<Self> {
        let system = Self::named(addresses)?;
        let topics = topics::declared(&system.prefix())?.with_partitions(partitions);
        system.prepared(&topics, Profile::Default).await
    }

    async fn prepared(self, topics: &Topics, profile: Profile) -> anyhow::Result<Self> {
        let system = self;
        topics::run(&system.config.kafka, topics, profile, true).await?;
        schemas::register(&system.config).await?;
        stores::apply(&system.config).await?;
        Ok(system)
    }

    /// Names only: nothing is made on the servers.
    ///
    /// # Errors
    /// If the binaries cannot be found.
    pub fn named(addresses: Addresses) -> anyhow::Result<Self> {
        let prefix = test_prefix();
        let dir = std::env::temp_dir().join(format!("folio-{prefix}"));
        let names = Names::prefixed(&prefix);
        let config = Config::local(&addresses, &names);
        let planner = Planner::new(addresses, names, &dir)?;
        Ok(Self { planner, config, running: Vec::new(), dir, keeps_logs: false })
    }

    /// Where the services' logs are; they stay there from now on.
    pub fn keep_logs(&mut self) -> &Path {
        self.keeps_logs = true;
        &self.dir
    }

    /// What the names of this catalog's topics begin with.
    pub fn prefix(&self) -> String {
        self.planner.names.topic.strip_suffix(contract::topics::EVENTS).unwrap_or_default().to_owned()
    }

    /// The name of the topic that holds the events.
    pub fn topic(&self) -> &str {
        &self.planner.names.topic
    }

    /// Starts a command service and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn command_service(&mut self) -> anyhow::Result<Started> {
        self.command_service_with(&[]).await
    }

    /// The same with settings of its own: names without `FOLIO__`.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn command_service_with(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<Started> {
        let (mut plan, listens) = self.planner.command_service(self.running.len())?;
        plan.environment.extend(settings.iter().map(variable));
        self.start_ready((plan, listens)).await
    }

    /// Starts a projector and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn projector(&mut self, read_model: &str) -> anyhow::Result<Started> {
        let plan = self.planner.projector(read_model, self.running.len())?;
        self.start_ready(plan).await
    }

    /// Starts a projector for each read model.
    ///
    /// # Errors
    /// If one does not become ready.
    pub async fn projectors(&mut self) -> anyhow::Result<Vec<Started>> {
        self.projectors_with(&[]).await
    }

    /// The same with settings of its own: names without `FOLIO__`.
    ///
    /// # Errors
    /// If one does not become ready.
    pub async fn projectors_with(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<Vec<Started>> {
        let mut started = Vec::new();
        for read_model in read_models::ALL {
            let (mut plan, listens) = self.planner.projector(read_model, self.running.len())?;
            plan.environment.extend(settings.iter().map(variable));
            started.push(self.start((plan, listens))?);
        }
        for one in &started {
            one.service.wait_ready(PATIENCE).await?;
        }
        Ok(started)
    }

    /// Starts a query gateway and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn query_gateway(&mut self) -> anyhow::Result<Started> {
        let plan = self.planner.query_gateway(self.running.len())?;
        self.start_ready(plan).await
    }

    /// Starts what was planned, and does not wait.
    ///
    /// # Errors
    /// If the binary is not there: `cargo build --workspace --bins` makes it.
    pub fn start(&mut self, (plan, listens): (Plan, Listens)) -> anyhow::Result<Started> {
        let service = plan.start().context("`make test` builds the binaries first")?;
        self.running.push(service.clone());
        Ok(Started { service, listens })
    }

    async fn start_ready(&mut self, plan: (Plan, Listens)) -> anyhow::Result<Started> {
        let started = self.start(plan)?;
        started.service.wait_ready(PATIENCE).await?;
        Ok(started)
    }

    /// Starts a service again at the same addresses, after it was killed or stopped, and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn again(&mut self, started: &Started) -> anyhow::Result<Started> {
        self.start_ready((started.service.plan.clone(), started.listens.clone())).await
    }
}

/// A setting as a variable.
fn variable((name, value): &(&str, &str)) -> (String, String) {
    (format!("FOLIO__{name}"), (*value).to_owned())
}

impl Drop for System {
    fn drop(&mut self) {
        for service in &self.running {
            service.kill();
        }
        if self.keeps_logs || std::thread::panicking() {
            eprintln!("the logs of the test's services are in {}", self.dir.display());
        } else if self.dir.exists() && std::fs::remove_dir_all(&self.dir).is_err() {
            eprintln!("{} could not be removed", self.dir.display());
        }
    }
}
