//! The service as a whole: what it waits for at the start, and the order in which it ends.
//!
//! Promises: it starts whatever is missing, says what, and goes on when it is there; it refuses only what trying again cannot
//! help, such as a topic that differs from its declaration.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use actix_web::web;
use adapter_kafka::{
    Expectation, KafkaConfig, KafkaDeadLetters, KafkaJournal, open_group, open_looks, open_ranges,
    open_reader, verify_topic,
};
use adapter_registry::Registry;
use anyhow::Context;
use edge::auth::Auth;
use edge::process::Process;
use event_reader::feed::{Group, GroupOptions, RangeReader};
use event_reader::{LogReader, SchemaSource};
use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::control::BuildStore;
use read_models::{Adapter, Generation, ReadModel, Servers};
use tokio_util::sync::CancellationToken;
use toolkit::dead_letters::DeadLetters;
use toolkit::lifecycle::{Dependency, Lifecycle, Readiness};
use toolkit::retry::{GaveUp, Retry};
use toolkit::telemetry::Telemetry;

use crate::admin::Admin;
use crate::builds::Control;
use crate::config::{Config, SERVICE};
use crate::metrics::Metrics;
use crate::work::Work;

/// How long something missing at the start is left alone between two attempts, at first and at most.
pub(crate) const ATTEMPTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

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
    /// Where it is parked what cannot be applied.
    pub letters: OpenLetters,
    /// The same for where it is decided which builds there are. `None`: the first is made and read, and no other.
    pub control: Option<Open<Control>>,
}

/// Opens a part, however long that takes.
pub type Open<T> = Box<dyn FnOnce(Opening) -> BoxFuture<'static, anyhow::Result<T>> + Send>;

/// Opens where the letters of a group lie. Asks nobody yet.
pub type OpenLetters = Arc<dyn Fn(&LettersOf) -> anyhow::Result<Arc<dyn DeadLetters>> + Send + Sync>;

/// Whose letters: a group's, which makes a build.
#[derive(Clone, Debug)]
pub struct LettersOf {
    pub read_model: ReadModel,
    pub generation: Generation,
    pub group: String,
    /// Of the log.
    pub partitions: i32,
}

/// A log that is open and is what it has to be.
#[derive(Clone)]
pub struct Log {
    pub partitions: i32,
    /// Not the group's own: repairs read long stretches, and looking back must not wait for them.
    pub repairs: RangeReader,
    /// For looks at the first records, which wait for nobody's stretches.
    pub looks: RangeReader,
    /// Reads all of it, for who asks where it was at some time.
    pub read: Arc<dyn Fn() -> anyhow::Result<LogReader> + Send + Sync>,
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
    pub(crate) registry: Dependency,
    pub(crate) store: Dependency,
    /// Down while a partition is stopped.
    pub(crate) partitions: Dependency,
    /// Down while what cannot be applied can neither be looked up nor parked.
    pub(crate) letters: Dependency,
    /// Down while it is not known what is decided about builds.
    pub(crate) decisions: Dependency,
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

impl<A> Parts<A> {
    /// The log, the schemas and the decisions on Kafka and its registry, the rows in `stores`, which `builds` makes place in.
    pub fn on_servers(config: &Config, stores: A, builds: Arc<dyn BuildStore>) -> anyhow::Result<Self> {
        Ok(Self {
            stores,
            schemas: Arc::new(Registry::new(&config.registry)?.of_topic(&config.topic)),
            log_name: "kafka",
            log: Box::new(|opening| opening.kafka().boxed()),
            letters: letters_on_kafka(&config.kafka, &config.topic),
            control: Some(Box::new(|opening| opening.control(builds).boxed())),
        })
    }
}

impl Application {
    /// Starts on Kafka, the schema registry and the servers of the stores; connects to nothing yet.
    pub fn build(config: Config, lifecycle: Lifecycle) -> anyhow::Result<Self> {
        let servers = Servers::new(&config.cql, &config.search);
        let parts = Parts::on_servers(&config, servers.clone(), Arc::new(servers))?;
        Self::build_on(config, parts, lifecycle)
    }

    /// Opens the operators' port and starts to work on any parts, under `lifecycle`, in which nothing else runs.
    pub fn build_on<A: Adapter>(
        config: Config,
        parts: Parts<A>,
        lifecycle: Lifecycle,
    ) -> anyhow::Result<Self> {
        config.check_on_servers()?;
        let admin = Admin::default();
        let (routes, is_open) = (admin.clone(), config.admin.enabled);
        if is_open && config.auth.allow_anonymous {
            tracing::warn!(
                "admin.enabled: whoever reaches listen.ops may rebuild, switch and drop builds of read models"
            );
        }
        let beside = move |app: &mut web::ServiceConfig, auth: &Auth| {
            if is_open {
                routes.show(app, auth);
            }
        };
        let configs = (&config.telemetry, &config.auth, &config.limits);
        let process = Process::start(SERVICE, configs, (&config.listen).into(), lifecycle, beside)?;
        start(config, parts, &process.lifecycle, &process.telemetry, admin)?;
        Ok(Self { process })
    }
}

/// Starts to work on any parts under `lifecycle`: all of the projector but its port, for a process that does other things
/// beside it. `admin` can be asked about this read model then.
pub fn start<A: Adapter>(
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
            letters: readiness.dependency("dead-letters"),
            decisions: readiness.dependency("decisions"),
        }
    }

    /// The same, for one of several builds: told only while `flag` is set.
    pub(crate) fn told_while(&self, flag: &Arc<AtomicBool>) -> Self {
        Self {
            log: self.log.told_while(flag),
            registry: self.registry.told_while(flag),
            store: self.store.told_while(flag),
            partitions: self.partitions.told_while(flag),
            letters: self.letters.told_while(flag),
            decisions: self.decisions.clone(),
        }
    }
}

impl Opening {
    /// The topic of Kafka.
    async fn kafka(self) -> anyhow::Result<Log> {
        let partitions = self.verified().await?;
        let Config { kafka, topic, .. } = self.config;
        let read = {
            let (kafka, topic) = (kafka.clone(), topic.clone());
            move || Ok(open_reader(&kafka, &topic, partitions, None)?)
        };
        Ok(Log {
            partitions,
            repairs: open_ranges(&kafka, &topic, kafka.request_timeout())?,
            looks: open_looks(&kafka, &topic, kafka.request_timeout())?,
            read: Arc::new(read),
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

    pub(crate) fn retry(&self, dependency: &Dependency) -> Retry {
        let dependency = dependency.clone();
        let retry = Retry::until(self.shutdown.clone()).waiting(ATTEMPTS.0, ATTEMPTS.1);
        retry.watched(move |outcome| match outcome {
            Ok(()) => dependency.up(),
            Err(problem) => dependency.down(problem),
        })
    }
}

/// Dead letters in topics of their own, beside the one of the events.
pub fn letters_on_kafka(config: &KafkaConfig, topic: &str) -> OpenLetters {
    let (config, topic) = (config.clone(), topic.to_owned());
    Arc::new(move |of| {
        let letters = KafkaDeadLetters::new(&config, &topic, &of.group, of.partitions);
        Ok(Arc::new(letters) as Arc<dyn DeadLetters>)
    })
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
