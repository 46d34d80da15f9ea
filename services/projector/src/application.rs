//! The service as a whole: what it waits for at the start, and the order in which it ends.
//!
//! Promises: it starts whatever is missing, says what, and goes on when it is there; it refuses only what trying again cannot
//! help, such as a topic that differs from its declaration.

use std::sync::Arc;
use std::time::Duration;

use adapter_kafka::{Expectation, open_group, open_ranges, verify_topic};
use adapter_registry::Registry;
use anyhow::Context;
use edge::process::Process;
use event_reader::feed::{Group, GroupOptions, RangeReader};
use event_reader::{Decoder, SchemaSource};
use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::model::{Fold, Opens, Store};
use read_models::{Adapter, ReadModel, Servers, Visitor};
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::{Dependency, Lifecycle, Readiness};
use toolkit::retry::{GaveUp, Retry};
use toolkit::telemetry::Telemetry;

use crate::config::{Config, SERVICE};
use crate::durability::Durability;
use crate::member::Member;
use crate::metrics::Metrics;
use crate::partition::Context as PartitionContext;
use crate::watch::{Progress, Watch};

/// How long something missing at the start is left alone between two attempts, at first and at most.
const ATTEMPTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A projector whose operators' port is open. It is ready when readiness says so.
#[derive(Debug)]
pub struct Application {
    pub process: Process,
}

/// What a projector is made of.
pub struct Parts<A> {
    /// Where the read models' rows lie.
    pub stores: A,
    pub schemas: Arc<dyn SchemaSource>,
    /// What readiness calls the log.
    pub log_name: &'static str,
    /// Opens the log, however long it is unavailable.
    pub log: Box<dyn FnOnce(Opening) -> BoxFuture<'static, anyhow::Result<Log>> + Send>,
}

/// A log that is open and is what it has to be.
pub struct Log {
    pub partitions: i32,
    /// Not the group's own: repairs read long stretches, and looking back must not wait for them.
    pub repairs: RangeReader,
    /// Joins the group, when all else is there.
    pub join: Box<dyn FnOnce(GroupOptions) -> anyhow::Result<Group> + Send>,
}

/// What is at hand while a projector's parts are opened.
#[derive(Clone, Debug)]
pub struct Opening {
    pub config: Config,
    pub dependencies: Dependencies,
    /// Nothing is waited for any longer.
    pub shutdown: CancellationToken,
}

/// What the projector needs, as readiness names it.
#[derive(Clone, Debug)]
pub struct Dependencies {
    pub log: Dependency,
    registry: Dependency,
    store: Dependency,
    /// Down while a partition is stopped.
    partitions: Dependency,
}

impl<A> std::fmt::Debug for Parts<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("partitions", &self.partitions).finish_non_exhaustive()
    }
}

impl Application {
    /// Starts on Kafka, the schema registry and the servers of the stores; connects to nothing yet.
    pub fn build(config: Config, lifecycle: Lifecycle) -> anyhow::Result<Self> {
        let parts = Parts {
            stores: Servers::new(&config.cql, &config.search),
            schemas: Arc::new(Registry::new(&config.registry)?.of_topic(&config.topic)),
            log_name: "kafka",
            log: Box::new(|opening| opening.kafka().boxed()),
        };
        Self::build_on(config, parts, lifecycle)
    }

    /// Opens the operators' port and starts to work on any parts, under `lifecycle`, in which nothing else runs.
    pub fn build_on<A: Adapter>(
        config: Config,
        parts: Parts<A>,
        lifecycle: Lifecycle,
    ) -> anyhow::Result<Self> {
        config.check()?;
        let process = Process::start(SERVICE, &config.telemetry, (&config.listen).into(), lifecycle, |_| ())?;
        start(config, parts, &process.lifecycle, &process.telemetry)?;
        Ok(Self { process })
    }
}

/// Starts to work on any parts under `lifecycle`: all of the projector but its port, for a process that does other things
/// beside it.
pub fn start<A: Adapter>(
    config: Config,
    parts: Parts<A>,
    lifecycle: &Lifecycle,
    telemetry: &Telemetry,
) -> anyhow::Result<()> {
    config.check()?;
    let read_model = config.read_model()?;
    let metrics = Metrics::new(telemetry, &config.read_model);
    let dependencies = Dependencies::new(lifecycle.readiness(), parts.log_name, read_model);
    let (work, shutdown) = (lifecycle.clone(), lifecycle.shutdown());
    lifecycle.spawn("projector", async move {
        let opening = Opening { config, dependencies, shutdown: shutdown.clone() };
        match read_model.visit(Build { opening, parts, metrics, lifecycle: work }).await {
            Err(_) if shutdown.is_cancelled() => Ok(()),
            ended => ended,
        }
    });
    Ok(())
}

impl Dependencies {
    fn new(readiness: &Readiness, log: &'static str, read_model: ReadModel) -> Self {
        Self {
            log: readiness.dependency(log),
            registry: readiness.dependency("registry"),
            store: readiness.dependency(read_model.declared().on.section()),
            partitions: readiness.dependency("partitions"),
        }
    }
}

impl Opening {
    /// The topic of Kafka.
    async fn kafka(self) -> anyhow::Result<Log> {
        let partitions = self.verified().await?;
        let Self { config: Config { kafka, topic, .. }, dependencies, .. } = self;
        Ok(Log {
            partitions,
            repairs: open_ranges(&kafka, &topic, kafka.request_timeout())?,
            join: Box::new(move |options| {
                Ok(open_group(&kafka, &topic, partitions, options, Some(dependencies.log))?)
            }),
        })
    }

    /// How many partitions the topic has; it must be what the log's rule relies on. A topic that is not there yet is waited for.
    async fn verified(&self) -> anyhow::Result<i32> {
        let Config { kafka, topic, .. } = &self.config;
        let expected = Expectation::event_log();
        let verify = || async { verify_topic(kafka, topic, &expected).await.map_err(TopicError) };
        match self.retry(&self.dependencies.log).run("verify the topic", verify).await {
            Ok(facts) => Ok(facts.partitions),
            Err(GaveUp::Final(TopicError(error))) => Err(error).context("the topic cannot be used"),
            Err(gave_up @ GaveUp::Cancelled { .. }) => Err(anyhow::anyhow!("{gave_up}")),
        }
    }

    fn retry(&self, dependency: &Dependency) -> Retry {
        let dependency = dependency.clone();
        let retry = Retry::until(self.shutdown.clone()).waiting(ATTEMPTS.0, ATTEMPTS.1);
        retry.watched(move |outcome| match outcome {
            Ok(()) => dependency.up(),
            Err(problem) => dependency.down(problem),
        })
    }
}

/// Any error, to be tried again.
#[derive(Debug)]
struct AlwaysTransient(String);

impl<E: Into<anyhow::Error>> From<E> for AlwaysTransient {
    fn from(error: E) -> Self {
        Self(format!("{:#}", error.into()))
    }
}

impl std::fmt::Display for AlwaysTransient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl toolkit::retry::Transient for AlwaysTransient {
    fn is_transient(&self) -> bool {
        true
    }
}

/// The building of any read model.
struct Build<A> {
    opening: Opening,
    parts: Parts<A>,
    metrics: Metrics,
    lifecycle: Lifecycle,
}

impl<A: Adapter> Visitor<A> for Build<A> {
    type Output = BoxFuture<'static, anyhow::Result<()>>;

    fn visit<M: Fold>(self) -> Self::Output
    where
        A: Opens<M>,
    {
        async move {
            let Self { opening, parts, metrics, lifecycle } = self;
            let Parts { stores, schemas, log, .. } = parts;
            // Missing tables are waited for too: whoever installs Folio may start the projector before the tables are there.
            let retry = opening.retry(&opening.dependencies.store);
            let generation = opening.config.generation;
            let what = format!("open what holds {}, {generation}", opening.config.read_model);
            let opened =
                retry.run(&what, || async { Ok(Opens::<M>::open(&stores, generation).await?) }).await;
            let store = opened.map_err(|gave_up: GaveUp<AlwaysTransient>| anyhow::anyhow!("{gave_up}"))?;
            let log = log(opening.clone()).await?;
            project::<M, _>(opening, store, schemas, log, metrics, &lifecycle).await
        }
        .boxed()
    }
}

async fn project<M: Fold, S: Store<M>>(
    opening: Opening,
    store: S,
    schemas: Arc<dyn SchemaSource>,
    Log { partitions, repairs, join }: Log,
    metrics: Metrics,
    lifecycle: &Lifecycle,
) -> anyhow::Result<()> {
    let Opening { config, dependencies, shutdown } = &opening;
    let decoder = Decoder::open(schemas, &opening.retry(&dependencies.registry)).await;
    let decoder = decoder.map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
    let group = join(GroupOptions {
        max_batch_records: config.batch.max_records,
        max_batch_bytes: config.batch.max_mib << 20,
        revoke_timeout: Duration::from_millis(config.batch.revoke_timeout_ms),
        ..GroupOptions::new(config.group()?)
    })?;
    let handle = group.handle();
    let progress = Progress::default();
    let durability = Arc::new(Durability::new(Duration::from_millis(config.durability_window_ms)));
    // Before anything is written: a new start is one since then.
    let retry = opening.retry(&dependencies.store);
    let looked = retry.run("look at the store", || durability.look(store.positions())).await;
    looked.map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
    let positions = store.positions().clone();
    let context = PartitionContext {
        group: config.group()?,
        partitions,
        states: config.batch.states,
        states_bytes: (config.batch.states_mib << 20) / partitions.unsigned_abs().max(1) as usize,
        handle: handle.clone(),
        repairs,
        decoder,
        store,
        store_health: dependencies.store.clone(),
        registry_health: dependencies.registry.clone(),
        durability: Arc::clone(&durability),
        metrics: metrics.clone(),
        progress: progress.clone(),
        _read_model: std::marker::PhantomData,
    };
    let watch = Watch {
        positions,
        group: context.group.clone(),
        handle,
        progress,
        durability,
        metrics,
        store_health: dependencies.store.clone(),
        partitions: dependencies.partitions.clone(),
    };
    lifecycle.spawn("watch", watch.run(shutdown.clone()));
    tracing::info!(
        group = context.group,
        partitions,
        topic = config.topic,
        "projecting {}",
        config.read_model
    );
    Member::new(group, context).run(shutdown.clone()).await
}

/// A topic that is not there yet may come.
#[derive(Debug)]
struct TopicError(adapter_kafka::Error);

impl std::fmt::Display for TopicError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl toolkit::retry::Transient for TopicError {
    fn is_transient(&self) -> bool {
        self.0.is_transient() || matches!(self.0, adapter_kafka::Error::NoTopic(_))
    }
}
