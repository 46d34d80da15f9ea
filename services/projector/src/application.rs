//! The service as a whole: what it waits for at the start, and the order in which it ends.
//!
//! Promises: it starts whatever is missing, says what, and goes on when it is there; it refuses only what trying again cannot
//! help, such as a topic that differs from its declaration.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use adapter_cql::Cql;
use adapter_kafka::{Expectation, open_group, open_ranges, verify_topic};
use adapter_registry::Registry;
use adapter_search::Search;
use anyhow::Context;
use edge::ops;
use event_reader::feed::{Group, GroupOptions, RangeReader};
use event_reader::{Decoder, SchemaSource};
use read_models::history::{HistoryModel, HistoryStore};
use read_models::model::{ReadModel, Store};
use read_models::products::{Products, ProductsStore};
use read_models::search::{SearchModel, SearchStore};
use read_models::{history, products, search};
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::{Dependency, Lifecycle, Readiness};
use toolkit::retry::{GaveUp, Retry};
use toolkit::telemetry::{self, Telemetry};

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

/// What a projector that starts gives to whoever opens its parts.
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
    pub kafka: Dependency,
    pub registry: Dependency,
    pub store: Dependency,
    /// Down while a partition is stopped.
    partitions: Dependency,
}

/// What a projector is made of, all of it open.
pub struct Parts<S> {
    pub store: S,
    /// How many partitions the log has.
    pub partitions: i32,
    pub schemas: Arc<dyn SchemaSource>,
    /// Not the group's own: repairs read long stretches, and looking back must not wait for them.
    pub repairs: RangeReader,
    /// Joins the group, when all else is there.
    pub join: Box<dyn FnOnce(GroupOptions) -> anyhow::Result<Group> + Send>,
}

impl<S: std::fmt::Debug> std::fmt::Debug for Parts<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("store", &self.store).finish_non_exhaustive()
    }
}

impl Application {
    /// Starts on Kafka, a schema registry and the stores: [`Application::build_on`] with the real parts.
    pub fn build(config: Config, lifecycle: Lifecycle) -> anyhow::Result<Self> {
        match config.read_model.as_str() {
            products::NAME => Self::build_on::<Products, _, _>(config, lifecycle, async |opening| {
                let open =
                    || async { Ok(ProductsStore::open(&Cql::connect(&opening.config.cql).await?).await?) };
                opening.parts("open the tables of products", open).await
            }),
            history::NAME => Self::build_on::<HistoryModel, _, _>(config, lifecycle, async |opening| {
                let open =
                    || async { Ok(HistoryStore::open(&Cql::connect(&opening.config.cql).await?).await?) };
                opening.parts("open the table of history", open).await
            }),
            search::NAME => Self::build_on::<SearchModel, _, _>(config, lifecycle, async |opening| {
                let open = || async {
                    Ok(SearchStore::open(&Search::connect(&opening.config.search).await?).await?)
                };
                opening.parts("open the index of search", open).await
            }),
            other => anyhow::bail!("there is no read model `{other}`"),
        }
    }

    /// Opens the operators' port and starts to work under `lifecycle`, in which nothing else runs, on whatever `open` opens,
    /// however long that takes.
    pub fn build_on<M: ReadModel, S: Store<M>, F>(
        config: Config,
        lifecycle: Lifecycle,
        open: impl FnOnce(Opening) -> F + Send + 'static,
    ) -> anyhow::Result<Self>
    where
        F: Future<Output = anyhow::Result<Parts<S>>> + Send,
    {
        config.check()?;
        let telemetry = telemetry::init(SERVICE, &config.telemetry)?;
        let ops = ops::serve(config.listen.ops, &lifecycle, &telemetry)?;
        let metrics = Metrics::new(&telemetry, &config.read_model);
        let dependencies = Dependencies::new(lifecycle.readiness(), &config.read_model);
        let (work, shutdown) = (lifecycle.clone(), lifecycle.shutdown());
        lifecycle.spawn("projector", async move {
            let opening = Opening { config, dependencies, shutdown: shutdown.clone() };
            let opened = open(opening.clone()).await;
            let ended = async { project::<M, S>(opening, opened?, metrics, &work).await };
            match ended.await {
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

impl Dependencies {
    fn new(readiness: &Readiness, read_model: &str) -> Self {
        let store = if read_model == search::NAME { "search" } else { "cql" };
        Self {
            kafka: readiness.dependency("kafka"),
            registry: readiness.dependency("registry"),
            store: readiness.dependency(store),
            partitions: readiness.dependency("partitions"),
        }
    }
}

impl Opening {
    /// The real parts, however long they are unavailable. Missing tables are waited for too: whoever installs Folio may start
    /// the projector before the tables are there.
    async fn parts<S, F>(&self, what: &str, open: impl FnMut() -> F) -> anyhow::Result<Parts<S>>
    where
        F: Future<Output = Result<S, Whatever>>,
    {
        let opened = self.retry(&self.dependencies.store).run(what, open).await;
        let store = opened.map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
        let partitions = self.verified().await?;
        let Config { kafka, topic, registry, .. } = self.config.clone();
        let leaders = self.dependencies.kafka.clone();
        Ok(Parts {
            store,
            partitions,
            schemas: Arc::new(Registry::new(&registry)?.of_topic(&topic)),
            repairs: open_ranges(&kafka, &topic)?,
            join: Box::new(move |options| {
                Ok(open_group(&kafka, &topic, partitions, options, Some(leaders))?)
            }),
        })
    }

    /// How many partitions the topic has; it must be what the log's rule relies on. A topic that is not there yet is waited for.
    async fn verified(&self) -> anyhow::Result<i32> {
        let Config { kafka, topic, .. } = &self.config;
        let expected = Expectation::event_log();
        let verify = || async { verify_topic(kafka, topic, &expected).await.map_err(TopicError) };
        match self.retry(&self.dependencies.kafka).run("verify the topic", verify).await {
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

async fn project<M: ReadModel, S: Store<M>>(
    opening: Opening,
    parts: Parts<S>,
    metrics: Metrics,
    lifecycle: &Lifecycle,
) -> anyhow::Result<()> {
    let Opening { config, dependencies, shutdown } = &opening;
    let Parts { store, partitions, schemas, repairs, join } = parts;
    let decoder = Decoder::open(schemas, &opening.retry(&dependencies.registry)).await;
    let decoder = decoder.map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
    let group = join(GroupOptions {
        max_batch_records: config.batch.max_records,
        max_batch_bytes: config.batch.max_mib << 20,
        revoke_timeout: Duration::from_millis(config.batch.revoke_timeout_ms),
        ..GroupOptions::new(config.group())
    })?;
    let handle = group.handle();
    let progress = Progress::default();
    let durability = Arc::new(Durability::new(Duration::from_millis(config.durability_window_ms)));
    // Before anything is written: a new start is one since then.
    let retry = opening.retry(&dependencies.store);
    let looked = retry.run("look at the store", || durability.look(&store)).await;
    looked.map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
    let context = PartitionContext {
        group: config.group(),
        partitions,
        states: config.batch.states,
        states_bytes: (config.batch.states_mib << 20) / partitions.unsigned_abs().max(1) as usize,
        handle: handle.clone(),
        repairs,
        decoder,
        store: store.clone(),
        store_health: dependencies.store.clone(),
        registry_health: dependencies.registry.clone(),
        durability: Arc::clone(&durability),
        metrics: metrics.clone(),
        progress: progress.clone(),
        _read_model: std::marker::PhantomData,
    };
    let watch = Watch {
        store,
        group: context.group.clone(),
        handle,
        progress,
        durability,
        metrics,
        store_health: dependencies.store.clone(),
        partitions: dependencies.partitions.clone(),
    };
    lifecycle.spawn("watch", watch.run::<M>(shutdown.clone()));
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
