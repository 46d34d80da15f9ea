//! The service as a whole: doors, engine, log, and the order in which they start and end.
//!
//! Promises: it starts whatever is missing, says what, and goes on when it is there; it refuses only what trying again
//! cannot help (a topic that differs from its declaration); told to stop it answers what it has taken and then ends.

mod backend;
mod kafka;
mod log_file;
mod log_watch;
mod zeros;

use std::sync::Arc;
use std::time::Duration;

use actix_web::web;
use edge::auth::Auth;
use edge::grpc::{Call, Services};
use edge::http::Taken;
use edge::process::{Addresses, Process};
use persons::Persons;
use toolkit::lifecycle::{Dependency, Lifecycle};
use toolkit::memory::Memory;
use toolkit::retry::{GaveUp, Retry, Transient};
use toolkit::telemetry::Telemetry;

use crate::config::{CacheConfig, Config, SERVICE};
use crate::door::{CommandHandler, State};
use crate::engine::{Cache, Encoder, Engine, Instruments, Schemas, refresh};
use crate::{grpc, http};
use log_file::LogFile;
use log_watch::look_at_all;

pub use backend::{Backend, BackendError, OpenLog};
pub use kafka::KafkaBackend;

/// Who writes, in the headers of every record.
const SOURCE: &str = "/folio/command-service";
/// How long a missing dependency is left alone between two attempts, at first and at most.
const ATTEMPTS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// A command service that listens. It is ready when readiness says so.
#[derive(Debug)]
pub struct Application {
    pub process: Process,
    pub addresses: Addresses,
    /// The way in without a network, for processes that run the service inside.
    pub door: CommandHandler,
}

impl Application {
    /// Starts on Kafka.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        let backend = Arc::new(KafkaBackend::new(&config)?);
        let lifecycle = Lifecycle::with_timing(config.shutdown.clone());
        Self::build_on(config, backend, lifecycle).await
    }

    /// Starts on any log, under a lifecycle that nothing else runs in.
    pub async fn build_on<B: Backend>(
        config: Config,
        backend: Arc<B>,
        lifecycle: Lifecycle,
    ) -> anyhow::Result<Self> {
        let (listen, grace) = (config.listen.clone(), Duration::from_millis(config.shutdown.grace_ms));
        config.check()?;
        let configs = (&config.telemetry, &config.auth, &config.limits);
        let process = Process::start(SERVICE, configs, (&listen).into(), lifecycle, http::document)?;
        let (lifecycle, telemetry) = (&process.lifecycle, &process.telemetry);
        let Core { state } = Core::start(config, backend, lifecycle, telemetry, process.auth.clone())?;
        let door = state.door.clone();
        let addresses = Addresses {
            ops: process.ops,
            http: http::serve(listen.http, state.clone(), lifecycle, telemetry, grace)?,
            grpc: grpc::serve(listen.grpc, state, lifecycle, telemetry).await?,
        };
        Ok(Self { process, addresses, door })
    }
}

/// All of the service but its ports, for a process that serves other things beside it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Core {
    state: State,
}

impl Core {
    /// What it takes over HTTP.
    pub const PATHS: &[Taken] = http::PATHS;
    /// What it takes over gRPC, of `catalog.v1.CommandService`.
    pub const CALLS: &[Call] = grpc::CALLS;
    /// Its document, in OpenAPI.
    pub const OPENAPI: &str = http::OPENAPI;

    /// Begins to open the log, however long that takes, and to decide what comes, under `lifecycle`.
    pub fn start<B: Backend>(
        config: Config,
        backend: Arc<B>,
        lifecycle: &Lifecycle,
        telemetry: &Telemetry,
        auth: Auth,
    ) -> anyhow::Result<Self> {
        config.check()?;
        zeros::show(telemetry);
        let persons = adapter_person_keys::start(&config.privacy, &config.cql, lifecycle)
            .map_err(anyhow::Error::msg)?;
        let meter = telemetry.meter();
        let readiness = lifecycle.readiness();
        let needs = Dependencies {
            log: readiness.dependency(backend.name()),
            registry: readiness.dependency("registry"),
            events: readiness.dependency("events"),
        };
        let instruments = Instruments::new(&meter);
        let engine = Engine::new(config.engine.clone(), instruments.clone(), needs.events.clone());
        let deadline = config.engine.deadline();
        let door =
            CommandHandler::new(engine.clone(), needs.log.clone(), deadline, config.overload.clone(), &meter)
                .sealing(persons);
        let state = State::new(door, auth, config.http, config.uploads, lifecycle.shutdown());
        let (work, cache) = (lifecycle.clone(), config.cache);
        let opening = Opening { engine, needs, cache, instruments };
        lifecycle.spawn_support("log", async move { follow(backend, opening, work).await });
        Ok(Self { state })
    }

    /// The same, which seals the names of callers with keys that the configuration does not name.
    #[must_use]
    pub fn sealing(self, persons: Persons) -> Self {
        Self { state: self.state.sealing(persons) }
    }

    /// Adds what answers over HTTP. The door should give requests the handles of their connections
    /// ([`edge::http::Door::handles`]): clients of uploads may take nothing for as long as they send.
    pub fn routes(&self, app: &mut web::ServiceConfig) {
        http::routes(app, &self.state);
    }

    /// Adds what answers over gRPC.
    pub fn grpc(&self, services: Services) -> Services {
        services.and(grpc::server(self.state.clone()), grpc::CALLS)
    }

    /// What the bodies and messages take that are arriving.
    pub fn bodies(&self) -> &Memory {
        &self.state.bodies
    }
}

/// What the service needs, as readiness names it.
struct Dependencies {
    log: Dependency,
    registry: Dependency,
    events: Dependency,
}

/// What is at hand while the log is opened.
struct Opening {
    engine: Engine,
    needs: Dependencies,
    cache: CacheConfig,
    instruments: Instruments,
}

/// Opens the log and learns the schema ids, however long that takes; starts the engine; then answers its questions.
async fn follow<B: Backend>(
    backend: Arc<B>,
    Opening { engine, needs, cache, instruments }: Opening,
    lifecycle: Lifecycle,
) -> anyhow::Result<()> {
    let drained = lifecycle.drained();
    let retry = Retry::until(drained.clone()).waiting(ATTEMPTS.0, ATTEMPTS.1);
    needs.events.down("the log is not open yet");
    let source = backend.schemas();
    let opened = async {
        // Up is told by the log itself, once it is heard from.
        let watched = watch_failures(&retry, &needs.log);
        watched.run("open the log", || backend.open(engine.inbox(), needs.log.clone())).await.map_err(gave_up)
    };
    let learned = async {
        let watched = watch_failures(&retry, &needs.registry);
        watched.run("ask for the ids of this build's schemas", || source.ids()).await.map_err(gave_up)
    };
    let (OpenLog { log, identity, name, topic, looks }, base) = match tokio::try_join!(opened, learned) {
        Ok(both) => both,
        Err(None) => return Ok(()),
        Err(Some(error)) => return Err(error),
    };
    let encoder = Encoder::new(SOURCE, (backend.name(), &topic));
    let (schemas, questions) = Schemas::new(base)?;
    needs.registry.up();
    let (partitions, watched) = (log.partitions(), watch_failures(&retry, &needs.log));
    let Some(now) = look_at_all(&looks, partitions, &watched).await else { return Ok(()) };
    let opening = move || {
        let file = cache.dir.as_deref().map(|dir| LogFile::read(dir, &name));
        if let Some(file) = &file
            && !cache.take_new_log
        {
            file.check(&now, partitions)?;
        }
        let remembered = file.as_ref().filter(|_| !cache.take_new_log);
        let known = log_watch::known(&now, remembered);
        Ok::<_, anyhow::Error>((Cache::open(&cache, &identity, &instruments)?, file, known))
    };
    let (cache, file, known) = tokio::task::spawn_blocking(opening).await??;
    engine.start(&log, &known, &encoder, &schemas, cache.as_ref(), &lifecycle)?;
    let watching = log_watch::watch(looks, engine.clone(), file, drained.clone());
    lifecycle.spawn_support("log watch", watching);
    drop(cache);
    drop(log);
    let changed = move || engine.schemas_changed();
    let refreshing = refresh(questions, source, changed, needs.registry);
    tokio::select! {
        refreshed = refreshing => refreshed?,
        () = drained.cancelled() => {}
    }
    drained.cancelled().await;
    Ok(())
}

fn watch_failures(retry: &Retry, dependency: &Dependency) -> Retry {
    let dependency = dependency.clone();
    retry.clone().watched(move |outcome| {
        if let Err(problem) = outcome {
            dependency.down(problem);
        }
    })
}

/// `None` if it was only told to stop.
fn gave_up<E: Transient + std::error::Error + Send + Sync + 'static>(
    gave_up: GaveUp<E>,
) -> Option<anyhow::Error> {
    match gave_up {
        GaveUp::Final(error) => Some(error.into()),
        GaveUp::Cancelled { .. } => None,
    }
}

#[cfg(test)]
mod tests;
