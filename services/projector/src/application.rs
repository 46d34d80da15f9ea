//! The service as a whole: what it waits for at the start, and the order in which it ends.
//!
//! Promises: it starts whatever is missing, says what, and goes on when it is there; it refuses only what trying again cannot
//! help, such as a topic that differs from its declaration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use adapter_kafka::{Expectation, Group, GroupOptions, RangeReader, verify_topic};
use adapter_registry::Registry;
use anyhow::Context;
use edge::ops;
use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::model::{Fold, Opens, Store};
use read_models::{Adapter, Generation, ReadModel, Servers, Visitor};
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::{Dependency, Lifecycle, Readiness};
use toolkit::retry::{GaveUp, Retry};
use toolkit::telemetry::{self, Telemetry};

use crate::config::{Config, SERVICE};
use crate::durability::Durability;
use crate::member::Member;
use crate::metrics::Metrics;
use crate::partition::Context as PartitionContext;
use crate::schemas::Schemas;
use crate::watch::{Progress, Watch};

/// The generation that is built.
const GENERATION: Generation = Generation::FIRST;
/// How long something missing at the start is left alone between two attempts, at first and at most.
const ATTEMPTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A projector whose operators' port is open. It is ready when readiness says so.
#[derive(Debug)]
pub struct Application {
    lifecycle: Lifecycle,
    telemetry: Telemetry,
    ops: SocketAddr,
}

/// Runs a projector inside another process, which keeps the signals, until `shutdown` is cancelled.
pub async fn run(config: Config, shutdown: CancellationToken) -> anyhow::Result<()> {
    let lifecycle = Lifecycle::with_timing(config.shutdown.clone()).without_signals();
    let stop = lifecycle.shutdown();
    let application = Application::build(config, lifecycle)?;
    let stopper = async move {
        shutdown.cancelled().await;
        stop.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        ended = application.run() => ended,
        () = stopper => Ok(()),
    }
}

impl Application {
    /// Opens the operators' port and starts to work under `lifecycle`, in which nothing else runs.
    pub fn build(config: Config, lifecycle: Lifecycle) -> anyhow::Result<Self> {
        config.check()?;
        let telemetry = telemetry::init(SERVICE, &config.telemetry)?;
        let ops = ops::serve(config.listen.ops, &lifecycle, &telemetry)?;
        let metrics = Metrics::new(&telemetry, &config.read_model);
        let needs = Needs::new(lifecycle.readiness(), config.read_model()?);
        let (work, shutdown) = (lifecycle.clone(), lifecycle.shutdown());
        lifecycle.spawn("projector", async move {
            match project(config, needs, metrics, &work).await {
                Err(_) if shutdown.is_cancelled() => Ok(()),
                ended => ended,
            }
        });
        Ok(Self { lifecycle, telemetry, ops })
    }

    /// Where health and metrics are.
    pub fn ops(&self) -> SocketAddr {
        self.ops
    }

    pub fn readiness(&self) -> &Readiness {
        self.lifecycle.readiness()
    }

    /// Runs until a signal, if the lifecycle listens to them, or until something fails.
    pub async fn run(self) -> anyhow::Result<()> {
        let ended = self.lifecycle.run().await;
        let telemetry = self.telemetry;
        // Handing over the last traces blocks.
        tokio::task::spawn_blocking(move || telemetry.shutdown()).await?;
        ended
    }
}

/// What the projector needs, as readiness names it.
#[derive(Clone)]
struct Needs {
    kafka: Dependency,
    registry: Dependency,
    store: Dependency,
    /// Down while a partition is stopped.
    partitions: Dependency,
}

impl Needs {
    fn new(readiness: &Readiness, read_model: ReadModel) -> Self {
        Self {
            kafka: readiness.dependency("kafka"),
            registry: readiness.dependency("registry"),
            store: readiness.dependency(read_model.declared().on.section()),
            partitions: readiness.dependency("partitions"),
        }
    }
}

async fn project(
    config: Config,
    needs: Needs,
    metrics: Metrics,
    lifecycle: &Lifecycle,
) -> anyhow::Result<()> {
    let servers = Servers::new(&config.cql, &config.search);
    config.read_model()?.visit(Build { config, needs, metrics, lifecycle: lifecycle.clone(), servers }).await
}

/// The building of any read model.
struct Build<A> {
    config: Config,
    needs: Needs,
    metrics: Metrics,
    lifecycle: Lifecycle,
    servers: A,
}

impl<A: Adapter> Visitor<A> for Build<A> {
    type Output = BoxFuture<'static, anyhow::Result<()>>;

    fn visit<M: Fold>(self) -> Self::Output
    where
        A: Opens<M>,
    {
        async move {
            let Self { config, needs, metrics, lifecycle, servers } = self;
            // Missing tables are waited for too: whoever installs Folio may start the projector before the tables are there.
            let retry = watched(&lifecycle.shutdown(), &needs.store);
            let what = format!("open what holds {}", config.read_model);
            let opened =
                retry.run(&what, || async { Ok(Opens::<M>::open(&servers, GENERATION).await?) }).await;
            let store = opened.map_err(|gave_up: GaveUp<Whatever>| anyhow::anyhow!("{gave_up}"))?;
            project_into::<M, _>(&config, needs, metrics, &lifecycle, store).await
        }
        .boxed()
    }
}

/// Any error, to be tried again.
#[derive(Debug)]
struct Whatever(String);

impl<E: Into<anyhow::Error>> From<E> for Whatever {
    fn from(error: E) -> Self {
        Self(format!("{:#}", error.into()))
    }
}

impl std::fmt::Display for Whatever {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl toolkit::retry::Transient for Whatever {
    fn is_transient(&self) -> bool {
        true
    }
}

fn watched(stop: &CancellationToken, dependency: &Dependency) -> Retry {
    let dependency = dependency.clone();
    Retry::until(stop.clone()).waiting(ATTEMPTS.0, ATTEMPTS.1).watched(move |outcome| match outcome {
        Ok(()) => dependency.up(),
        Err(problem) => dependency.down(problem),
    })
}

async fn project_into<M: Fold, S: Store<M>>(
    config: &Config,
    needs: Needs,
    metrics: Metrics,
    lifecycle: &Lifecycle,
    store: S,
) -> anyhow::Result<()> {
    let shutdown = lifecycle.shutdown();
    let retry = watched(&shutdown, &needs.kafka);
    let partitions = topic(config, &retry).await?;
    let registry = Registry::new(&config.registry)?;
    let schemas = Schemas::ask(registry, &config.topic, &watched(&shutdown, &needs.registry)).await?;
    let options = GroupOptions {
        max_batch_records: config.batch.max_records,
        max_batch_bytes: config.batch.max_mib << 20,
        revoke_timeout: Duration::from_millis(config.batch.revoke_timeout_ms),
        ..GroupOptions::new(config.group(GENERATION)?)
    };
    let group = Group::open(&config.kafka, &config.topic, partitions, options, Some(needs.kafka.clone()))?;
    let handle = group.handle();
    let progress = Progress::default();
    let durability = Arc::new(Durability::new(Duration::from_millis(config.durability_window_ms)));
    // Before anything is written: a new start is one since then.
    let retry = watched(&shutdown, &needs.store);
    let looked = retry.run("look at the store", || durability.look(store.positions())).await;
    looked.map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
    let positions = store.positions().clone();
    let context = PartitionContext {
        group: config.group(GENERATION)?,
        partitions,
        states: config.batch.states,
        states_bytes: (config.batch.states_mib << 20) / partitions.unsigned_abs().max(1) as usize,
        handle: handle.clone(),
        repairs: RangeReader::open(&config.kafka, &config.topic)?,
        schemas: Arc::new(schemas),
        store,
        store_health: needs.store.clone(),
        registry_health: needs.registry,
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
        store_health: needs.store,
        partitions: needs.partitions,
    };
    lifecycle.spawn("watch", watch.run(shutdown.clone()));
    tracing::info!(
        group = context.group,
        partitions,
        topic = config.topic,
        "projecting {}",
        config.read_model
    );
    Member::new(group, context).run(shutdown).await
}

/// How many partitions the topic has; it must be what the log's rule relies on. A topic that is not there yet is waited for.
async fn topic(config: &Config, retry: &Retry) -> anyhow::Result<i32> {
    let expected = Expectation::event_log();
    let verified = retry
        .run("verify the topic", || async {
            verify_topic(&config.kafka, &config.topic, &expected).await.map_err(TopicError)
        })
        .await;
    match verified {
        Ok(facts) => Ok(facts.partitions),
        Err(GaveUp::Final(TopicError(error))) => Err(error).context("the topic cannot be used"),
        Err(gave_up @ GaveUp::Cancelled { .. }) => Err(anyhow::anyhow!("{gave_up}")),
    }
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
