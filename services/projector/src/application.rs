//! The service as a whole: what it waits for at the start, and the order in which it ends.
//!
//! Promises: it starts whatever is missing, says what, and goes on when it is there; it refuses only what trying again cannot
//! help, such as a topic that differs from its declaration.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use actix_web::web;
use adapter_kafka::{Expectation, KafkaJournal, open_group, open_ranges, verify_topic};
use adapter_registry::Registry;
use anyhow::Context;
use edge::process::Process;
use event_reader::feed::{Group, GroupOptions, RangeReader};
use event_reader::{Decoder, SchemaSource};
use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::control::{BuildStore, Builds, Desk};
use read_models::model::{Fold, Opens, Store};
use read_models::{Adapter, Generation, ReadModel, Servers, Visitor};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use toolkit::journal::Journal;
use toolkit::lifecycle::{Dependency, Lifecycle, Readiness};
use toolkit::retry::{GaveUp, Retry};
use toolkit::telemetry::Telemetry;

use crate::admin::{Admin, Opened};
use crate::builds::{Control, Director, Made, Memory, OpenBuilds, Reached, Running, Told, follow, supervise};
use crate::config::{Config, SERVICE};
use crate::durability::Durability;
use crate::member::Member;
use crate::metrics::Metrics;
use crate::partition::{Context as PartitionContext, Decided, Followed};
use crate::watch::Watch;

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
    pub log: Open<Log>,
    /// The same for where it is decided which builds there are. `None`: the first is made and read, and no other.
    pub control: Option<Open<Control>>,
}

/// Opens a part, however long that takes.
pub type Open<T> = Box<dyn FnOnce(Opening) -> BoxFuture<'static, anyhow::Result<T>> + Send>;

/// A log that is open and is what it has to be.
#[derive(Clone)]
pub struct Log {
    pub partitions: i32,
    /// Not the group's own: repairs read long stretches, and looking back must not wait for them.
    pub repairs: RangeReader,
    /// Joins a group, when all else is there; what is to be told whether the log answers.
    pub join: Arc<dyn Fn(GroupOptions, Dependency) -> anyhow::Result<Group> + Send + Sync>,
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
    /// Down while it is not known what is decided about builds.
    decisions: Dependency,
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
        let servers = Servers::new(&config.cql, &config.search);
        let builds: Arc<dyn BuildStore> = Arc::new(servers.clone());
        let parts = Parts {
            stores: servers,
            schemas: Arc::new(Registry::new(&config.registry)?.of_topic(&config.topic)),
            log_name: "kafka",
            log: Box::new(|opening| opening.kafka().boxed()),
            control: Some(Box::new(|opening| opening.control(builds).boxed())),
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
        let admin = Admin::default();
        let (shown, is_shown) = (admin.clone(), config.admin.enabled);
        if is_shown {
            tracing::warn!(
                "admin.enabled: whoever reaches listen.ops may rebuild, switch and drop builds of read models"
            );
        }
        let shows = move |app: &mut web::ServiceConfig| {
            if is_shown {
                shown.show(app);
            }
        };
        let process = Process::start(SERVICE, &config.telemetry, (&config.listen).into(), lifecycle, shows)?;
        start_with(config, parts, &process.lifecycle, &process.telemetry, admin)?;
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
    start_with(config, parts, lifecycle, telemetry, Admin::default())
}

fn start_with<A: Adapter>(
    config: Config,
    parts: Parts<A>,
    lifecycle: &Lifecycle,
    telemetry: &Telemetry,
    admin: Admin,
) -> anyhow::Result<()> {
    config.check()?;
    let read_model = config.read_model()?;
    let metrics = Metrics::new(telemetry, &config.read_model);
    let dependencies = Dependencies::new(lifecycle.readiness(), parts.log_name, read_model);
    let shutdown = lifecycle.shutdown();
    lifecycle.spawn("projector", async move {
        let opening = Opening { config, dependencies, shutdown: shutdown.clone() };
        match read_model.visit(Work { read_model, opening, parts, metrics, admin }).await {
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
            decisions: readiness.dependency("decisions"),
        }
    }

    /// The same, for one of several builds: told only while `flag` is set.
    fn told_while(&self, flag: &Arc<AtomicBool>) -> Self {
        Self {
            log: self.log.told_while(flag),
            registry: self.registry.told_while(flag),
            store: self.store.told_while(flag),
            partitions: self.partitions.told_while(flag),
            decisions: self.decisions.clone(),
        }
    }
}

impl Opening {
    /// The topic of Kafka.
    async fn kafka(self) -> anyhow::Result<Log> {
        let partitions = self.verified().await?;
        let Config { kafka, topic, .. } = self.config;
        Ok(Log {
            partitions,
            repairs: open_ranges(&kafka, &topic, kafka.request_timeout())?,
            join: Arc::new(move |options, dependency| {
                Ok(open_group(&kafka, &topic, partitions, options, Some(dependency))?)
            }),
        })
    }

    /// The topic of decisions. One that is not there yet is waited for.
    async fn control(self, builds: Arc<dyn BuildStore>) -> anyhow::Result<Control> {
        let Config { kafka, control_topic, .. } = &self.config;
        let open = || async { KafkaJournal::open(kafka, control_topic).await.map_err(TopicError) };
        match self.retry(&self.dependencies.decisions).run("open the topic of decisions", open).await {
            Ok(journal) => Ok(Control { journal: Arc::new(journal), builds }),
            Err(GaveUp::Final(TopicError(error))) => {
                Err(error).context("the topic of decisions cannot be used")
            }
            Err(gave_up @ GaveUp::Cancelled { .. }) => Err(anyhow::anyhow!("{gave_up}")),
        }
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

/// The work on any read model.
struct Work<A> {
    read_model: ReadModel,
    opening: Opening,
    parts: Parts<A>,
    metrics: Metrics,
    admin: Admin,
}

/// What every build of it needs.
struct Shared<A> {
    read_model: ReadModel,
    opening: Opening,
    stores: A,
    schemas: Arc<dyn SchemaSource>,
    log: Log,
    metrics: Metrics,
    builds: Option<Arc<dyn BuildStore>>,
    reached: Arc<dyn Reached>,
}

impl<A: Adapter> Visitor<A> for Work<A> {
    type Output = BoxFuture<'static, anyhow::Result<()>>;

    fn visit<M: Fold>(self) -> Self::Output
    where
        A: Opens<M>,
    {
        self.run::<M>().boxed()
    }
}

impl<A: Adapter> Work<A> {
    async fn run<M: Fold>(self) -> anyhow::Result<()>
    where
        A: Opens<M>,
    {
        let Self { read_model, opening, parts, metrics, admin } = self;
        let Parts { stores, schemas, log, control, .. } = parts;
        let log = log(opening.clone()).await?;
        let control = match control {
            Some(open) => Some(open(opening.clone()).await?),
            None => None,
        };
        let Opening { config, shutdown, .. } = opening.clone();
        let for_start = opening.clone();
        let reached: Arc<dyn Reached> = Arc::new(OpenBuilds::<A, M>::new(stores.clone()));
        let partitions = log.partitions;
        let builds = control.as_ref().map(|it| Arc::clone(&it.builds));
        let shared = Shared {
            read_model,
            opening,
            stores,
            schemas,
            log,
            metrics,
            builds,
            reached: Arc::clone(&reached),
        };
        let (shared, made) = (Arc::new(shared), Made::default());
        let heard = control.as_ref().map(|_| watch::channel(Instant::now()));
        let (heard, hears) = heard.unzip();
        let run = move |running| build::<M, A>(Arc::clone(&shared), hears.clone(), running).boxed();
        let format = M::DECLARED.format;
        let (Some(Control { journal, builds }), Some(heard)) = (control, heard) else {
            // The sender is kept: nothing else is ever decided.
            for_start.dependencies.decisions.up();
            let (_told, decided) = watch::channel(Builds::first());
            return supervise(decided, format, Box::new(run), made, shutdown).await;
        };
        let desk = decided_before(&for_start, &journal, &builds, read_model).await?;
        admin.open(Opened {
            journal: Arc::clone(&journal),
            reached: Arc::clone(&reached),
            own: read_model,
            group_prefix: config.group_prefix.clone(),
            partitions,
        });
        let (told, decided) = watch::channel(desk.builds(read_model).clone());
        let told = Told { builds: told, heard, health: for_start.dependencies.decisions.clone() };
        let director = Director {
            desk: Desk::new(Arc::clone(&journal)),
            read_model,
            group_prefix: config.group_prefix.clone(),
            partitions,
            builds: decided.clone(),
            store: builds,
            reached,
            made: Arc::clone(&made),
            config: config.rebuild.clone(),
            by: who(),
            memory: Memory::default(),
        };
        tokio::try_join!(
            follow(desk, read_model, told, shutdown.clone()),
            director.run(shutdown.clone()),
            supervise(decided, format, Box::new(run), made, shutdown),
        )?;
        Ok(())
    }
}

/// What was decided, before any build is begun: one that was dropped is not made again. Where a build is published and nothing is
/// decided, the decisions were lost, and nobody guesses.
async fn decided_before(
    opening: &Opening,
    journal: &Arc<dyn Journal>,
    builds: &Arc<dyn BuildStore>,
    read_model: ReadModel,
) -> anyhow::Result<Desk> {
    let retry = opening.retry(&opening.dependencies.decisions);
    let mut desk = Desk::new(Arc::clone(journal));
    let mut waits = retry.waits();
    loop {
        let problem = match desk.look().await {
            Ok(_) if desk.builds(read_model).revision > 0 => return Ok(desk),
            Ok(_) => match builds.published(read_model).await {
                Ok(Generation::FIRST) => return Ok(desk),
                Ok(other) => AlwaysTransient(format!(
                    "gateways read {other} of {read_model}, and {} says nothing of it: it was lost; if {other} is right, \
                     `folio read-models adopt {read_model} --generation {other}`",
                    opening.config.control_topic
                )),
                // Nothing was ever published.
                Err(error) if error.is_missing() => return Ok(desk),
                Err(error) => {
                    opening.dependencies.store.down(error.to_string());
                    AlwaysTransient::from(error)
                }
            },
            Err(error) => AlwaysTransient::from(error),
        };
        retry.report(Err(&problem.0));
        let waited = waits.wait("begin with what was decided about builds", problem).await;
        waited.map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
    }
}

/// This process, for people: `projector host (pid 7)`.
fn who() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    format!("projector {host} (pid {})", std::process::id())
}

/// Makes one build until it is told to stop.
async fn build<M: Fold, A: Opens<M>>(
    shared: Arc<Shared<A>>,
    heard: Option<watch::Receiver<Instant>>,
    running: Running,
) -> anyhow::Result<()> {
    let Running { generation, is_read, stop, .. } = &running;
    let opening = Opening {
        dependencies: shared.opening.dependencies.told_while(is_read),
        shutdown: stop.clone(),
        ..shared.opening.clone()
    };
    let retry = opening.retry(&opening.dependencies.store);
    let given_up = |gave_up: GaveUp<AlwaysTransient>| anyhow::anyhow!("{gave_up}");
    let open = async {
        if *generation != Generation::FIRST
            && let Some(builds) = &shared.builds
        {
            let what = format!("make place for {generation} of {}", shared.read_model);
            let create = || async { Ok(builds.create(shared.read_model, *generation).await?) };
            retry.run(&what, create).await.map_err(given_up)?;
        }
        // Missing tables are waited for too: whoever installs Folio may start the projector before the tables are there.
        let what = format!("open what holds {}, {generation}", shared.read_model);
        let opened = retry.run(&what, || async { Ok(Opens::<M>::open(&shared.stores, *generation).await?) });
        opened.await.map_err(given_up)
    };
    match open.await {
        Ok(store) => project::<M, _, A>(opening, store, &shared, heard, &running).await,
        Err(_) if stop.is_cancelled() => Ok(()),
        Err(error) => Err(error),
    }
}

async fn project<M: Fold, S: Store<M>, A>(
    opening: Opening,
    store: S,
    shared: &Shared<A>,
    heard: Option<watch::Receiver<Instant>>,
    running: &Running,
) -> anyhow::Result<()> {
    let Opening { config, dependencies, shutdown } = &opening;
    let Log { partitions, repairs, join } = shared.log.clone();
    let given_up = |gave_up: GaveUp<AlwaysTransient>| anyhow::anyhow!("{gave_up}");
    let decoder = Decoder::open(Arc::clone(&shared.schemas), &opening.retry(&dependencies.registry)).await;
    let decoder = decoder.map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
    let group = config.group(running.generation)?;
    let member = join(
        GroupOptions {
            max_batch_records: config.batch.max_records,
            max_batch_bytes: config.batch.max_mib << 20,
            revoke_timeout: Duration::from_millis(config.batch.revoke_timeout_ms),
            ..GroupOptions::new(group.clone())
        },
        dependencies.log.clone(),
    )?;
    let metrics = shared.metrics.told_while(&running.is_read);
    let durability = Arc::new(Durability::new(Duration::from_millis(config.durability_window_ms)));
    // Before anything is written: a new start is one since then.
    let retry = opening.retry(&dependencies.store);
    let look = || async { Ok(durability.look(store.positions()).await?) };
    retry.run("look at the store", look).await.map_err(given_up)?;
    let watch = Watch {
        positions: store.positions().clone(),
        group: group.clone(),
        generation: running.generation,
        is_read: Arc::clone(&running.is_read),
        handle: member.handle(),
        progress: running.progress.clone(),
        durability: Arc::clone(&durability),
        metrics: metrics.clone(),
        store_health: dependencies.store.clone(),
        registry_health: dependencies.registry.clone(),
        partitions: dependencies.partitions.clone(),
    };
    tracing::info!(group, partitions, topic = config.topic, "projecting {}", config.read_model);
    let context = PartitionContext {
        group,
        partitions,
        states: config.batch.states,
        states_bytes: (config.batch.states_mib << 20) / partitions.unsigned_abs().max(1) as usize,
        handle: member.handle(),
        repairs,
        decoder,
        store,
        store_health: dependencies.store.clone(),
        registry_health: dependencies.registry.clone(),
        durability,
        metrics,
        progress: running.progress.clone(),
        decided: Decided { generation: running.generation, builds: running.builds.clone(), heard },
        followed: Followed {
            reached: Arc::clone(&shared.reached),
            read_model: shared.read_model,
            group_prefix: config.group_prefix.clone(),
        },
        _read_model: std::marker::PhantomData,
    };
    tokio::try_join!(Member::new(member, context).run(shutdown.clone()), watch.run(shutdown.clone()))?;
    Ok(())
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
