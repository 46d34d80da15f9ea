//! A catalog on the real servers: topic, schemas, stores, and each service a process of its own. Promises that it meets no
//! other catalog there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapter_kafka::{KafkaEventLog, Profile, Topics, WantedHeaders, read_topic};
use adapter_registry::{Registry, TopicSchemas};
use anyhow::{Context, ensure};
use cli::commands::{schemas, stores, topics, verify};
use cli::config::Config;
use cli::system::{Listens, Names, Plan, Planner, Service};
use event_reader::LogReader;
use ledger::{EventLog, Inbox, NewRecord};
use local_servers::Addresses;
use read_models::ReadModel;

use crate::append::append;
use crate::gate::Gate;
use crate::plain::{PlainRecord, kcat};
use crate::rows::{Rows, drop_all, rows};
use crate::scenario::caught_up;
use crate::servers::{PrivateKafka, servers, test_prefix};
use crate::system::{PARTITIONS, PATIENCE, Started, System, variable};

/// Says where a command service caches.
const CACHE_DIR: &str = "FOLIO__CACHE__DIR";

/// The catalog of one test, on the servers that all tests share unless it chose others.
#[derive(Debug)]
pub struct OnServers {
    pub planner: Planner,
    pub config: Config,
    running: Vec<Service>,
    /// The broker, if the test has one of its own.
    broker: Option<PrivateKafka>,
    dir: PathBuf,
    keeps_logs: bool,
}

impl OnServers {
    /// Topic, schemas, tables and indices on servers of the test's choice. No service yet.
    ///
    /// # Errors
    /// If a server cannot be reached.
    pub async fn prepare_on(addresses: Addresses) -> anyhow::Result<Self> {
        Self::named(addresses)?.make().await
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
        let which = stores::Which::default();
        if stores::apply(&system.config, &which).await.is_err() {
            // A change of schema waits for the disk, of which others take what they want here. Each is made only if it is not there.
            stores::apply(&system.config, &which).await?;
        }
        Ok(system)
    }

    /// Topic, schemas, tables and indices, by `config` as it is now.
    ///
    /// # Errors
    /// If a server cannot be reached.
    pub async fn make(self) -> anyhow::Result<Self> {
        let topics = topics::declared(&self.prefix())?;
        self.prepared(&topics, Profile::Local).await
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
        Ok(Self { planner, config, running: Vec::new(), broker: None, dir, keeps_logs: false })
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

    /// Puts an open gate before the registry of all services that are planned from now on; not before this process's own.
    ///
    /// # Errors
    /// If there is no address for it.
    pub async fn gate_registry(&mut self) -> anyhow::Result<Gate> {
        let url = self.config.registry.url.trim_start_matches("http://");
        let gate = Gate::to(url.split('/').next().unwrap_or_default(), true).await?;
        self.planner.addresses.registry_url = format!("http://{}/apis/ccompat/v7", gate.address());
        Ok(gate)
    }

    /// Deletes the topic of the events, with every record. Blocks for a second or two.
    ///
    /// # Errors
    /// If the log is not the test's own, or it cannot be deleted.
    pub fn delete_events(&self) -> anyhow::Result<()> {
        let broker = self.broker.as_ref().context("the broker is everybody's: see prepare_with_own_log")?;
        let (servers, topic) = (broker.bootstrap(), self.topic());
        let arguments = ["--bootstrap-server", &servers, "--delete", "--topic", topic];
        tokio::task::block_in_place(|| broker.tool("org.apache.kafka.tools.TopicCommand", &arguments))
    }

    /// Starts a projector and waits until it is ready.
    ///
    /// # Errors
    /// If it does not become ready.
    pub async fn projector(&mut self, read_model: ReadModel) -> anyhow::Result<Started> {
        let plan = self.planner.projector(read_model, self.running.len())?;
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
}

impl System for OnServers {
    const IS_IN_PARTS: bool = true;
    const NOT_GIVEN_BACK: &'static [&'static str] = &[];

    async fn prepare() -> anyhow::Result<Self> {
        let stack = tokio::task::spawn_blocking(servers).await?;
        Self::prepare_on(stack.addresses.clone()).await
    }

    async fn prepare_with_own_log() -> anyhow::Result<Self> {
        let (stack, broker) = tokio::task::spawn_blocking(|| (servers(), PrivateKafka::start())).await?;
        let (broker, mut addresses) = (broker?, stack.addresses.clone());
        addresses.kafka_bootstrap = broker.bootstrap();
        let mut system = Self::prepare_on(addresses).await?;
        system.broker = Some(broker);
        Ok(system)
    }

    async fn kill_log(&mut self) -> anyhow::Result<()> {
        let broker = self.broker.as_mut().context("the broker is everybody's: see prepare_with_own_log")?;
        tokio::task::block_in_place(|| {
            broker.kill()?;
            broker.start_again()
        })
    }

    async fn command_service_with(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<Started> {
        let (mut plan, listens) = self.planner.command_service(self.running.len())?;
        plan.environment.extend(settings.iter().map(variable));
        self.start_ready((plan, listens)).await
    }

    async fn projectors_with(&mut self, settings: &[(&str, &str)]) -> anyhow::Result<Vec<Started>> {
        let mut started = Vec::new();
        for read_model in ReadModel::ALL {
            let (mut plan, listens) = self.planner.projector(*read_model, self.running.len())?;
            plan.environment.extend(settings.iter().map(variable));
            started.push(self.start((plan, listens))?);
        }
        for one in &started {
            one.service.wait_ready(PATIENCE).await?;
        }
        Ok(started)
    }

    async fn query_gateway(&mut self) -> anyhow::Result<Started> {
        let plan = self.planner.query_gateway(self.running.len())?;
        self.start_ready(plan).await
    }

    async fn kill(&mut self, started: &Started) -> anyhow::Result<()> {
        started.service.kill();
        ensure!(started.service.wait_ended(PATIENCE).await, "{} survived kill -9", started.service.plan.name);
        Ok(())
    }

    async fn stop(&mut self, started: &Started) -> bool {
        started.service.stop(PATIENCE).await
    }

    fn start_again(&mut self, started: &Started) -> anyhow::Result<Started> {
        self.start((started.service.plan.clone(), started.listens.clone()))
    }

    fn start_beside(&mut self, started: &Started) -> anyhow::Result<Started> {
        let (mut plan, listens) = self.planner.command_service(self.running.len())?;
        let cache = self.cache_of(started)?.display().to_string();
        // The last one counts.
        plan.environment.push((CACHE_DIR.to_owned(), cache));
        self.start((plan, listens))
    }

    fn cache_of(&self, started: &Started) -> anyhow::Result<PathBuf> {
        let found = started.service.plan.environment.iter().rfind(|(name, _)| name == CACHE_DIR);
        Ok(PathBuf::from(&found.context("the service has no cache")?.1))
    }

    fn begin_at_zero(&mut self) {
        self.planner.names.group_prefix.push_str("-again");
    }

    async fn drop_read_models(&mut self) -> anyhow::Result<()> {
        // Positions go with the rows; the groups' offsets stay in Kafka.
        drop_all(&self.config).await?;
        stores::apply(&self.config, &stores::Which::default()).await
    }

    async fn caught_up(&mut self) -> anyhow::Result<()> {
        caught_up(self, &self.planner.names.group_prefix).await?;
        let counts = verify::count(&self.config, &stores::Which::default()).await?;
        ensure!(counts.agree(), "`folio verify` counts otherwise: {counts:?}");
        Ok(())
    }

    async fn rows(&mut self) -> anyhow::Result<Rows> {
        rows(&self.config).await
    }

    async fn with_log<T>(
        &mut self,
        read: impl AsyncFnOnce(LogReader) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        read(read_topic(&self.config.kafka, self.topic()).await?).await
    }

    /// By kcat, a plain consumer.
    async fn plain_records(&mut self) -> anyhow::Result<Vec<PlainRecord>> {
        PlainRecord::all(&kcat(&self.config.kafka.bootstrap_servers, self.topic()).await?)
    }

    async fn append(&mut self, records: Vec<NewRecord>) -> anyhow::Result<()> {
        let (kafka, topic) = (self.config.kafka.clone(), self.topic().to_owned());
        let open = move |inbox: Arc<dyn Inbox>| -> anyhow::Result<Arc<dyn EventLog>> {
            let wanted = WantedHeaders::All;
            Ok(Arc::new(KafkaEventLog::open_with(&kafka, &topic, PARTITIONS, wanted, inbox, None)?))
        };
        tokio::task::spawn_blocking(|| append(open, records)).await?
    }

    fn registry(&self) -> anyhow::Result<TopicSchemas> {
        Ok(Registry::new(&self.config.registry)?.of_topic(self.topic()))
    }
}

impl Drop for OnServers {
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
