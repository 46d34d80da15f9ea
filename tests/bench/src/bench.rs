//! A run: the servers, the measures one after another, the report. And a catalog of one measure's own on the servers.

use std::path::PathBuf;
use std::time::Duration;

use adapter_kafka::bare::BareProducer;
use adapter_kafka::{Profile, describe_topic, read_topic};
use adapter_registry::HttpRegistry;
use anyhow::{Context, ensure};
use cli::commands::topics;
use cli::config::Config;
use cli::system::{Listens, Names, Plan, Planner, Service};
use contract::avro::{known_schemas, subject};
use ledger::{LogRecord, Partition};
use local_servers::{Addresses, project_root};
use read_models::{Generation, ReadModel};
use tokio::runtime::Runtime;

use crate::audit::{self, Acknowledged};
use crate::measures::{self, ALL, ONE_PROCESS, one_process, warm};
use crate::report::{self, Row};
use crate::servers::Servers;

/// How long a service may take until it is ready.
const READY: Duration = Duration::from_mins(1);
/// How often ceiling and system are measured in turn, if nothing is said,
const PAIRS: usize = 5;
/// and where a pair takes minutes.
const LONG_PAIRS: usize = 2;

/// What the measures share.
pub(crate) struct Bench {
    pub servers: Servers,
    pub runtime: Runtime,
    pub pairs: usize,
    /// The same where a pair takes minutes.
    pub long_pairs: usize,
    /// Commands of one throughput measurement.
    pub commands: usize,
    /// Settings of librdkafka beside the configuration's.
    pub(crate) kafka: Vec<(String, String)>,
}

/// Runs the named measures, or all.
pub(crate) fn run(
    only: &[String],
    pairs: Option<usize>,
    commands: usize,
    kafka: Vec<(String, String)>,
) -> anyhow::Result<()> {
    let is_asked = |name: &str| measures::is_asked(only, name);
    let (pairs, long_pairs) = (pairs.unwrap_or(PAIRS), pairs.unwrap_or(LONG_PAIRS));
    let mut rows: Vec<Row> = Vec::new();
    // First, and alone: what it does not need must not take from it.
    if is_asked(ONE_PROCESS) {
        eprintln!("measuring {ONE_PROCESS}");
        rows.extend(one_process::measure(pairs).with_context(|| format!("measuring {ONE_PROCESS}"))?);
    }
    let mut asked = ALL.into_iter().filter(|(name, _)| is_asked(name)).peekable();
    if asked.peek().is_some() {
        let (servers, runtime) = (Servers::start()?, Runtime::new()?);
        let bench = Bench { servers, runtime, pairs, long_pairs, commands, kafka };
        warm::up(&bench)?;
        for (name, measure) in asked {
            eprintln!("measuring {name}");
            rows.extend(measure(&bench).with_context(|| format!("measuring {name}"))?);
        }
    }
    report::write(&rows, &project_root()?)?;
    report::print(&rows);
    Ok(())
}

/// A topic of events and one beside it for bare records, both as declared, and the services on the first.
pub(crate) struct Catalog<'a> {
    bench: &'a Bench,
    pub config: Config,
    partitions: i32,
    planner: Planner,
    bare_topic: String,
    services: Vec<Service>,
    /// Everything that was acknowledged here.
    pub acknowledged: Acknowledged,
    dir: PathBuf,
}

impl Bench {
    /// A new catalog; `name` is the measure's.
    pub(crate) fn catalog(&self, name: &str) -> anyhow::Result<Catalog<'_>> {
        self.catalog_on(self.servers.addresses(), name)
    }

    /// The same on servers of the measure's own.
    pub(crate) fn catalog_on(&self, addresses: Addresses, name: &str) -> anyhow::Result<Catalog<'_>> {
        let names = Names::prefixed(name);
        let mut config = Config::local(&addresses, &names);
        config.kafka.properties.extend(self.kafka.iter().cloned());
        // Beside builds and tests of others the registry may take its time.
        config.registry.timeout_ms = 60_000;
        let bare_topic = format!("bare-{}", names.topic);
        let dir = self.servers.dir().join(format!("{name}-services"));
        self.runtime.block_on(async {
            for prefix in ["", "bare-"] {
                let declared = topics::declared(&format!("{prefix}{name}."))?;
                let applied = declared.apply(&config.kafka, Profile::Local).await?;
                ensure!(applied.iter().all(adapter_kafka::Applied::is_as_declared), "{applied:?}");
            }
            let registry = HttpRegistry::new(&config.registry)?;
            for schema in known_schemas() {
                registry.register(&subject(&config.topic, schema.fqn), schema.text).await?;
            }
            anyhow::Ok(())
        })?;
        let described = describe_topic(&config.kafka, &config.topic);
        let partitions = self.runtime.block_on(described)?.partitions;
        let planner = Planner::new(addresses, names, &dir)?;
        let acknowledged = Acknowledged::default();
        let services = Vec::new();
        Ok(Catalog { bench: self, config, partitions, planner, bare_topic, services, acknowledged, dir })
    }
}

impl Catalog<'_> {
    /// Starts a command service as a process of its own and waits until it is ready; where it is, and its pid.
    pub(crate) fn service(&mut self) -> anyhow::Result<(Listens, i32)> {
        self.service_with(&[])
    }

    /// The same with settings of its own, named as variables are without `FOLIO__`.
    pub(crate) fn service_with(&mut self, settings: &[(&str, String)]) -> anyhow::Result<(Listens, i32)> {
        let (mut plan, listens) = self.planner.command_service(self.services.len())?;
        plan.environment.extend(self.kafka_settings());
        plan.environment
            .extend(settings.iter().map(|(name, value)| (format!("FOLIO__{name}"), value.clone())));
        Ok((listens, self.start(plan)?))
    }

    /// Starts a projector, likewise; its pid.
    pub(crate) fn projector(&mut self, read_model: ReadModel) -> anyhow::Result<i32> {
        let (mut plan, _) = self.planner.projector(read_model, self.services.len())?;
        plan.environment.extend(self.kafka_settings());
        self.start(plan)
    }

    /// Starts a query gateway, likewise.
    pub(crate) fn query_gateway(&mut self) -> anyhow::Result<Listens> {
        let (plan, listens) = self.planner.query_gateway(self.services.len())?;
        self.start(plan)?;
        Ok(listens)
    }

    /// A variable's name cannot hold a dot.
    fn kafka_settings(&self) -> impl Iterator<Item = (String, String)> + use<'_> {
        self.bench.kafka.iter().map(|(name, value)| {
            (format!("FOLIO__KAFKA__PROPERTIES__{}", name.replace('.', "_").to_uppercase()), value.clone())
        })
    }

    fn start(&mut self, mut plan: Plan) -> anyhow::Result<i32> {
        plan.environment.push(self.bench.servers.mark());
        let service = plan.start()?;
        self.services.push(service.clone());
        self.bench.runtime.block_on(service.wait_ready(READY))?;
        Ok(service.pid)
    }

    /// The group that makes a build.
    pub(crate) fn group(&self, read_model: ReadModel, generation: Generation) -> String {
        read_model.group_id(&self.planner.names.group_prefix, generation)
    }

    /// How many the topic has.
    pub(crate) fn partitions(&self) -> i32 {
        self.partitions
    }

    /// Kills all services and waits until they are gone. The next that starts is the first again, with its cache.
    pub(crate) fn stop_services(&mut self) {
        self.end_services(Duration::ZERO);
    }

    /// Lets all services end by themselves.
    pub(crate) fn drain_services(&mut self) {
        self.end_services(READY);
    }

    fn end_services(&mut self, grace: Duration) {
        let ended = async {
            for service in self.services.drain(..) {
                if grace.is_zero() {
                    service.kill();
                    service.wait_ended(Duration::from_secs(10)).await;
                } else if !service.stop(grace).await {
                    eprintln!("{} had to be killed", service.plan.name);
                }
            }
        };
        self.bench.runtime.block_on(ended);
    }

    /// Removes what the services keep on disk. None of them may run.
    pub(crate) fn remove_caches(&self) -> anyhow::Result<()> {
        for entry in std::fs::read_dir(&self.dir)? {
            let path = entry?.path();
            if path.extension().is_some_and(|it| it == "cache") {
                std::fs::remove_dir_all(&path)?;
            }
        }
        Ok(())
    }

    /// The newest records of the topic, at most `most`, as a bare producer would send them: partitions in turn.
    pub(crate) fn sample(&self, most: usize) -> anyhow::Result<Vec<(Partition, LogRecord)>> {
        let mut records = Vec::new();
        self.bench.runtime.block_on(async {
            let log = read_topic(&self.config.kafka, &self.config.topic).await?;
            anyhow::Ok(log.read(|partition, record| records.push((partition, record))).await?)
        })?;
        ensure!(!records.is_empty(), "the topic is empty: there is nothing to measure bare records by");
        records.sort_by_key(|(partition, record)| (record.offset, partition.0));
        Ok(records.split_off(records.len().saturating_sub(most)))
    }

    /// Bytes on the broker's disk for each acknowledged command; void records and the warm-up's are among them.
    pub(crate) fn bytes_each(&self) -> anyhow::Result<f64> {
        Ok(self.bench.servers.log_bytes(&self.config.topic)? as f64 / self.acknowledged.len() as f64)
    }

    /// A producer of bare records.
    pub(crate) fn bare(&self) -> anyhow::Result<BareProducer> {
        Ok(BareProducer::open(&self.config.kafka, &self.bare_topic)?)
    }

    /// Checks that the topic holds exactly what was acknowledged, by the rule.
    ///
    /// # Errors
    /// If it does not: what was measured is then worth nothing.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        self.bench.runtime.block_on(async {
            let log = read_topic(&self.config.kafka, &self.config.topic).await?;
            audit::check(&log, &self.acknowledged).await
        })
    }
}

impl Drop for Catalog<'_> {
    fn drop(&mut self) {
        self.stop_services();
        if let Err(error) = std::fs::remove_dir_all(&self.dir)
            && self.dir.exists()
        {
            eprintln!("{} could not be removed: {error}", self.dir.display());
        }
    }
}
