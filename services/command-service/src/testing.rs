//! For tests: the engine on the simulated log, in the test's own process. The log works on a thread of its own, and can
//! be told to stand still.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use adapter_registry::{LocalRegistry, TopicSchemas};
use contract::avro::{KnownSchema, known_schemas};
use contract::{AddressedCommand, json};
use edge::auth::{Auth, Principal};
use edge::config::DoorConfig;
use event_reader::feed::{EndOffsets, RangeReader};
use event_reader::{LogLooks, SchemaSource, SourceError};
use futures::FutureExt;
use futures::future::BoxFuture;
use ledger::{EventLog, Inbox};
use ledger_sim::{Faults, SimLog, SimTopic};
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::{Dependency, Lifecycle};
use toolkit::telemetry::Telemetry;

use crate::application::{Backend, BackendError, OpenLog};
use crate::config::{CacheConfig, EngineConfig, OverloadConfig, UploadsConfig};
use crate::door::{CommandHandler, State};
use crate::engine::{Cache, Encoder, Engine, Instruments, Schemas, refresh};

const TOPIC: &str = "simulated";

/// A topic that works by itself.
#[derive(Clone)]
pub(crate) struct LiveTopic {
    pub(crate) topic: SimTopic,
    stands_still: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl LiveTopic {
    pub(crate) fn new(partitions: i32, faults: Faults) -> Self {
        let live = Self {
            topic: SimTopic::new(partitions, 42, faults),
            stands_still: Arc::default(),
            ended: Arc::default(),
        };
        let working = live.clone();
        std::thread::spawn(move || {
            while !working.ended.load(Ordering::Relaxed) {
                let did = !working.stands_still.load(Ordering::Relaxed) && working.topic.step();
                if !did {
                    std::thread::sleep(Duration::from_micros(100));
                }
            }
        });
        live
    }

    /// Looks at its first records, as they are then. Ends with the last clone.
    pub(crate) fn looks(&self) -> LogLooks {
        let ((ranges, reads), (ends, questions)) = (RangeReader::channel(TOPIC), EndOffsets::channel(TOPIC));
        let (read, ended) = (self.topic.clone(), self.topic.clone());
        std::thread::spawn(move || {
            for it in reads {
                it.give(Ok(read.read(it.partition, it.from, it.to)));
            }
        });
        std::thread::spawn(move || {
            for it in questions {
                let end = ended.end(it.partition);
                it.answer(Ok(end));
            }
        });
        LogLooks::new(ranges, ends)
    }

    pub(crate) fn stand_still(&self, still: bool) {
        self.stands_still.store(still, Ordering::Relaxed);
    }
}

/// A registry in memory, which may be away.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) local: LocalRegistry,
    schemas: TopicSchemas,
    pub(crate) away: AtomicBool,
    /// How often it was asked for a schema.
    pub(crate) asked: AtomicUsize,
}

impl Default for Registry {
    fn default() -> Self {
        let local = LocalRegistry::knowing(TOPIC);
        let schemas = adapter_registry::Registry::Local(local.clone()).of_topic(TOPIC);
        Self { local, schemas, away: AtomicBool::default(), asked: AtomicUsize::default() }
    }
}

/// The ids of this build's schemas in tests.
pub(crate) fn base_ids() -> Vec<(KnownSchema, u32)> {
    known_schemas().iter().copied().zip(1..).collect()
}

impl SchemaSource for Registry {
    fn ids(&self) -> BoxFuture<'_, Result<Vec<(KnownSchema, u32)>, SourceError>> {
        if self.is_away() { away() } else { self.schemas.ids() }
    }

    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.is_away() { away() } else { self.schemas.schema(id) }
    }
}

impl Registry {
    fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }
}

fn away<T: Send + 'static>() -> BoxFuture<'static, Result<T, SourceError>> {
    let error = SourceError { problem: "the registry is away".to_owned(), transient: true };
    std::future::ready(Err(error)).boxed()
}

/// The simulated log as what an application runs on.
pub(crate) struct SimBackend {
    pub(crate) live: LiveTopic,
    pub(crate) registry: Arc<Registry>,
    pub(crate) away: AtomicBool,
    pub(crate) differs: bool,
}

impl SimBackend {
    pub(crate) fn new(partitions: i32) -> Self {
        Self {
            live: LiveTopic::new(partitions, Faults::NONE),
            registry: Arc::default(),
            away: AtomicBool::new(false),
            differs: false,
        }
    }
}

impl Backend for SimBackend {
    fn name(&self) -> &'static str {
        "log"
    }

    fn schemas(&self) -> Arc<dyn SchemaSource> {
        Arc::clone(&self.registry) as Arc<dyn SchemaSource>
    }

    fn open(
        &self,
        inbox: Arc<dyn Inbox>,
        dependency: Dependency,
    ) -> BoxFuture<'_, Result<OpenLog, BackendError>> {
        let opened = if self.differs {
            Err(BackendError { problem: "the topic differs".to_owned(), transient: false })
        } else if self.away.load(Ordering::Relaxed) {
            Err(BackendError { problem: "no broker answers".to_owned(), transient: true })
        } else {
            dependency.up();
            let log = Arc::new(self.live.topic.open(inbox));
            let (identity, name) = ("simulated".to_owned(), TOPIC.to_owned());
            Ok(OpenLog { log, identity, name, topic: "events".to_owned(), looks: self.live.looks() })
        };
        std::future::ready(opened).boxed()
    }
}

/// One instance of the write side, without its doors.
pub(crate) struct World {
    pub(crate) live: LiveTopic,
    pub(crate) log: Arc<SimLog>,
    pub(crate) engine: Engine,
    pub(crate) door: CommandHandler,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) registry: Arc<Registry>,
    pub(crate) auth: Auth,
    pub(crate) http: DoorConfig,
    pub(crate) uploads: UploadsConfig,
    pub(crate) telemetry: Telemetry,
    pub(crate) kafka: Dependency,
}

impl World {
    /// An instance that has caught up, on a fresh topic of four partitions.
    pub(crate) async fn start() -> Self {
        Self::start_on(LiveTopic::new(4, Faults::NONE), EngineConfig::default()).await
    }

    /// An instance that has caught up.
    pub(crate) async fn start_on(live: LiveTopic, config: EngineConfig) -> Self {
        let world = Self::start_unready(live, config);
        world.until_ready().await;
        world
    }

    /// An instance that has caught up and takes as much at once as `overload` says.
    pub(crate) async fn start_bounded(overload: OverloadConfig) -> Self {
        let live = LiveTopic::new(4, Faults::NONE);
        let world = Self::start_with(live, EngineConfig::default(), overload, None);
        world.until_ready().await;
        world
    }

    /// An instance that has caught up and caches in a directory; `log` names the log to the cache.
    pub(crate) async fn start_caching(live: LiveTopic, cache: &CacheConfig, log: &str) -> Self {
        let overload =
            OverloadConfig { max_in_flight: 10_000, min_in_flight: 10_000, ..OverloadConfig::default() };
        let world = Self::start_with(live, EngineConfig::default(), overload, Some((cache, log)));
        world.until_ready().await;
        world
    }

    pub(crate) fn start_unready(live: LiveTopic, config: EngineConfig) -> Self {
        Self::start_with(live, config, OverloadConfig::default(), None)
    }

    fn start_with(
        live: LiveTopic,
        config: EngineConfig,
        overload: OverloadConfig,
        cache: Option<(&CacheConfig, &str)>,
    ) -> Self {
        let telemetry = Telemetry::detached("test").unwrap();
        let lifecycle = Lifecycle::new().without_signals();
        let dependency = |name: &str| lifecycle.readiness().dependency(name);
        let instruments = Instruments::new(&telemetry.meter());
        let deadline = config.deadline();
        let cache = cache.and_then(|(config, log)| Cache::open(config, log, &instruments).unwrap());
        let engine = Engine::new(config, instruments, dependency("events"));
        let kafka = dependency("kafka");
        kafka.up();
        let meter = telemetry.meter();
        let door = CommandHandler::new(engine.clone(), kafka.clone(), deadline, overload, &meter);
        let log = Arc::new(live.topic.open(engine.inbox()));
        let (schemas, questions) = Schemas::new(base_ids()).unwrap();
        let registry = Arc::new(Registry::default());
        let known = dependency("registry");
        known.up();
        let source = Arc::clone(&registry) as Arc<dyn SchemaSource>;
        let asking = engine.clone();
        let changed = move || asking.schemas_changed();
        lifecycle.spawn_support("refresh", refresh(questions, source, changed, known));
        let dynamic = Arc::clone(&log) as Arc<dyn EventLog>;
        let known = BTreeMap::new();
        engine
            .start(
                &dynamic,
                &known,
                &Encoder::new("/test", ("kafka", "events")),
                &schemas,
                cache.as_ref(),
                &lifecycle,
            )
            .unwrap();
        let (http, uploads) = (DoorConfig::default(), UploadsConfig::default());
        let auth = Auth::off();
        Self { live, log, engine, door, lifecycle, registry, auth, http, uploads, telemetry, kafka }
    }

    pub(crate) async fn until_ready(&self) {
        eventually("the engine has caught up", || self.lifecycle.readiness().is_ready()).await;
    }

    pub(crate) fn state(&self) -> State {
        State::new(
            self.door.clone(),
            self.auth.clone(),
            self.http.clone(),
            self.uploads.clone(),
            self.shutdown(),
        )
    }

    pub(crate) fn shutdown(&self) -> CancellationToken {
        self.lifecycle.shutdown()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.log.close();
        self.lifecycle.drained().cancel();
    }
}

/// Waits until `state` holds.
pub(crate) async fn eventually(what: &str, mut state: impl FnMut() -> bool) {
    let until = std::time::Instant::now() + Duration::from_mins(2);
    while !state() {
        assert!(std::time::Instant::now() < until, "not in two minutes: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// A call as the server hands it over where callers are not checked.
pub(crate) fn asked<T>(message: T) -> tonic::Request<T> {
    let mut request = tonic::Request::new(message);
    request.extensions_mut().insert(Principal::default());
    request
}

/// A command as a bulk line would say it.
pub(crate) fn command(line: &serde_json::Value) -> AddressedCommand {
    json::parse_bulk_line(line.to_string().as_bytes()).unwrap()
}

/// The fields of a product that can be listed.
pub(crate) fn diamond() -> serde_json::Value {
    serde_json::json!({
        "sku": "DIA-1", "name": "Diamond", "category": "jewelry/diamonds", "brand": "Folio",
        "price": {"minor_units": 32_600, "currency": "USD"},
    })
}

pub(crate) fn create(id: &str) -> AddressedCommand {
    command(&serde_json::json!({"command": "create_product", "product_id": id, "payload": diamond()}))
}

pub(crate) fn price(id: &str, minor_units: u64) -> AddressedCommand {
    let payload = serde_json::json!({"price": {"minor_units": minor_units, "currency": "USD"}});
    command(&serde_json::json!({"command": "change_price", "product_id": id, "payload": payload}))
}

/// Like [`eventually`], for a state that has to be asked for.
pub(crate) async fn eventually_async(what: &str, mut state: impl AsyncFnMut() -> bool) {
    let until = std::time::Instant::now() + Duration::from_mins(2);
    while !state().await {
        assert!(std::time::Instant::now() < until, "not in two minutes: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
