//! The stores behind the read models, which may come and go.
//!
//! Promises: the gateway starts without them and finds them by itself; a question to a store that is away is answered in
//! bounded time, with its name; one store's absence does not touch questions to the other. Of each read model the build is
//! asked that is published, [`BELIEVED`] after that at the latest: no question begins on another one any more.

use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::publication::Published;
use read_models::{Error, Generation, ReadModel, Servers, history, products, search};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::{Dependency, Lifecycle};

use super::ApiError;
use super::flight::Flights;
use super::reader::{Build, Reader, Served};
use crate::config::Config;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How often it is asked which build is published,
const EVERY: Duration = Duration::from_millis(200);
/// and how long an answer is believed, from the moment of the question.
const BELIEVED: Duration = Duration::from_secs(1);

/// The parts that the gateway stands on: every read model's questions.
#[derive(Clone, Debug)]
pub struct Stores {
    pub products: ReadModelHandle<products::Queries>,
    pub history: ReadModelHandle<history::Queries>,
    pub search: ReadModelHandle<search::Queries>,
}

impl Stores {
    /// Read models that cannot be asked yet; each can when it is opened.
    pub fn new(config: &Config) -> Self {
        Self {
            products: ReadModelHandle::new(config),
            history: ReadModelHandle::new(config),
            search: ReadModelHandle::new(config),
        }
    }

    /// Connects to servers under `lifecycle`, and then keeps asking whether each is there, and which build of each read model
    /// is published. A read model whose tables are missing keeps no other from being read.
    pub(crate) fn connect(&self, config: &Config, lifecycle: &Lifecycle) {
        // The tasks end with the work, not before: requests that drain still need the stores.
        let stop = lifecycle.drained();
        let (readiness, keeper) = (lifecycle.readiness(), self.clone());
        let connector = |dependency| Connector {
            dependency,
            stop: stop.clone(),
            interval: config.queries.probe_interval(),
        };
        let part = |read_model: ReadModel| connector(readiness.part(read_model.name()));
        let cql = connector(readiness.dependency(self.products.current.store));
        let (products, history) = (part(ReadModel::Products), part(ReadModel::History));
        let search = connector(readiness.dependency(self.search.current.store));
        let servers = Servers::new(&config.cql, &config.search);
        let on_cql = servers.clone();
        lifecycle.spawn_support("cql connection", async move {
            let Some(session) = cql.open(|| async { on_cql.cql().await.cloned() }).await else {
                return Ok(());
            };
            let rows = session.clone();
            let products_followed = products.part(&keeper.products, &on_cql, move |generation| {
                let rows = rows.clone();
                async move { Ok(products::Queries::new(products::CqlRows::open(&rows, generation).await?)) }
                    .boxed()
            });
            let history_followed = history.part(&keeper.history, &on_cql, move |generation| {
                let rows = session.clone();
                async move { Ok(history::Queries::new(history::CqlRows::open(&rows, generation).await?)) }
                    .boxed()
            });
            let look = || async {
                // A table that is missing keeps nobody from being asked about the other.
                let Err(why) = keeper.products.look().await else { return Ok(()) };
                keeper.history.look().await.map_err(|_| why)
            };
            tokio::join!(products_followed, history_followed, cql.keep(look));
            Ok(())
        });
        let handle = self.search.clone();
        lifecycle.spawn_support("search connection", async move {
            let Some(server) = search.open(|| async { servers.search().await.cloned() }).await else {
                return Ok(());
            };
            let open = move |generation| {
                let queries = search::Queries::new(search::ServedIndex::new(&server, generation));
                std::future::ready(Ok(queries)).boxed()
            };
            let followed = search.follow(&handle, &servers, open, |_| ());
            tokio::join!(followed, search.keep(|| handle.look()));
            Ok(())
        });
    }
}

/// One read model's questions, once it can be asked, and always of the build that is published.
#[derive(Clone, Debug)]
pub struct ReadModelHandle<Q: Served> {
    current: Current<Q>,
    /// None: the build that was opened stays.
    following: Arc<OnceLock<Following>>,
}

/// The build that is asked.
#[derive(Clone, Debug)]
struct Current<Q: Served> {
    /// Where its rows lie, as readiness and problems name it.
    store: &'static str,
    group_prefix: Arc<str>,
    limit: Duration,
    reader: Arc<ArcSwapOption<Reader<Q>>>,
}

/// Asks which build is published, for all who need to know.
#[derive(Clone, Debug)]
struct Following {
    flights: Flights<Result<(), ApiError>>,
    /// Until when what was told last is believed.
    until: Arc<Mutex<Instant>>,
}

impl Following {
    fn is_believed(&self) -> bool {
        Instant::now() < *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask(&self) -> Result<(), ApiError> {
        let crashed = || ApiError::Internal("asking which build is published crashed".to_owned());
        self.flights.join().await.ok_or_else(crashed)?
    }
}

impl<Q: Served> ReadModelHandle<Q> {
    fn new(config: &Config) -> Self {
        let current = Current {
            store: Q::READ_MODEL.declared().on.section(),
            group_prefix: config.queries.group_prefix.as_str().into(),
            limit: config.queries.store_timeout(),
            reader: Arc::default(),
        };
        Self { current, following: Arc::default() }
    }

    /// From now on this build is asked: a driver re-connects by itself. Must be called on the runtime of the process.
    pub fn opened(&self, generation: Generation, queries: Q) {
        self.current.opened(generation, queries);
    }

    /// The build to ask: the one that is published, or was a second ago.
    pub(crate) async fn now(&self) -> Result<Arc<Reader<Q>>, ApiError> {
        let Current { store, limit, ref reader, .. } = self.current;
        if let Some(following) = self.following.get().filter(|it| !it.is_believed()) {
            let late = |_| ApiError::late(store, limit);
            timeout(limit, following.ask()).await.map_err(late)??;
        }
        let not_yet = || ApiError::Unavailable { store, why: "not connected yet".to_owned() };
        reader.load_full().ok_or_else(not_yet)
    }

    /// Whether it can be asked; if not, why.
    async fn look(&self) -> Result<(), String> {
        let looked = async { self.now().await?.position(0).await };
        looked.await.map(drop).map_err(|error| error.to_string())
    }

    /// From now on the build that is published is asked. Must be called on the runtime of the process.
    fn follow<F>(&self, published: Arc<dyn Published>, open: F) -> &Following
    where
        F: Fn(Generation) -> BoxFuture<'static, Result<Q, Error>> + Send + Sync + 'static,
    {
        let (current, open, until) =
            (self.current.clone(), Arc::new(open), Arc::new(Mutex::new(Instant::now())));
        let believed = Arc::clone(&until);
        let flights = Flights::new(move || {
            let (current, published) = (current.clone(), Arc::clone(&published));
            let (open, until) = (Arc::clone(&open), Arc::clone(&believed));
            async move {
                let asked = Instant::now();
                current.renew(&*published, &*open).await?;
                *until.lock().unwrap_or_else(PoisonError::into_inner) = asked + BELIEVED;
                Ok(())
            }
            .boxed()
        });
        self.following.get_or_init(|| Following { flights, until })
    }
}

impl<Q: Served> Current<Q> {
    fn opened(&self, generation: Generation, queries: Q) {
        let group = Q::READ_MODEL.group_id(&self.group_prefix, generation).into();
        let build = Build { generation, store: self.store, group, limit: self.limit, queries };
        self.reader.store(Some(Arc::new(Reader::new(build))));
    }

    /// Asks which build is published, and opens it before anybody is sent to it.
    async fn renew(
        &self,
        published: &dyn Published,
        open: &(dyn Fn(Generation) -> BoxFuture<'static, Result<Q, Error>> + Send + Sync),
    ) -> Result<(), ApiError> {
        let asking = async {
            let generation = published.read().await?;
            let before = self.reader.load().as_ref().map(|it| it.generation);
            if before != Some(generation) {
                self.opened(generation, open(generation).await?);
                tracing::info!(read_model = Q::READ_MODEL.name(), %generation, "reading this build from now on");
            }
            Ok(())
        };
        let asked = match timeout(self.limit, asking).await {
            Ok(asked) => asked.map_err(|error: Error| ApiError::of_query(self.store, error.into())),
            Err(_) => Err(ApiError::late(self.store, self.limit)),
        };
        if asked.is_err()
            && let Some(reader) = &*self.reader.load()
        {
            Q::was_away(&reader.progress);
        }
        asked
    }
}

/// Watches over one connection, and tells readiness.
struct Connector {
    dependency: Dependency,
    stop: CancellationToken,
    interval: Duration,
}

impl Connector {
    fn up(&self) {
        self.dependency.up();
    }

    fn down(&self, why: String) {
        self.dependency.down(why);
    }

    /// Follows a read model that is a part of what was connected to.
    async fn part<Q: Served>(
        &self,
        handle: &ReadModelHandle<Q>,
        servers: &Servers,
        open: impl Fn(Generation) -> BoxFuture<'static, Result<Q, Error>> + Send + Sync + 'static,
    ) {
        self.follow(handle, servers, open, |asked| match asked {
            Ok(()) => self.up(),
            Err(why) => self.down(why),
        })
        .await;
    }

    /// Asks again and again which build is published, until the process ends. A missing table is waited for too: whoever
    /// installs Folio may start the gateway before the tables are there.
    async fn follow<Q: Served>(
        &self,
        handle: &ReadModelHandle<Q>,
        servers: &Servers,
        open: impl Fn(Generation) -> BoxFuture<'static, Result<Q, Error>> + Send + Sync + 'static,
        tell: impl Fn(Result<(), String>),
    ) {
        let following = handle.follow(Arc::new(servers.publication(Q::READ_MODEL)), open);
        loop {
            let asked = tokio::select! {
                asked = following.ask() => asked,
                () = self.stop.cancelled() => return,
            };
            tell(asked.map_err(|error| error.to_string()));
            if self.pause(EVERY).await.is_none() {
                return;
            }
        }
    }

    /// Opens, as often as it takes; none when the process ends first.
    async fn open<T, F>(&self, mut open: impl FnMut() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            let opened = tokio::select! {
                opened = open() => opened,
                () = self.stop.cancelled() => return None,
            };
            match opened {
                Ok(opened) => return Some(opened),
                // With all its causes: what an operator needs to find what is away.
                Err(error) => self.down(format!("{:#}", anyhow::Error::from(error))),
            }
            self.pause(pause).await?;
            pause = (pause * 2).min(MAX_PAUSE);
        }
    }

    /// Asks something small now and at every interval, until the process ends.
    async fn keep<F>(&self, mut probe: impl FnMut() -> F)
    where
        F: Future<Output = Result<(), String>>,
    {
        loop {
            let answer = tokio::select! {
                answer = probe() => answer,
                () = self.stop.cancelled() => return,
            };
            match answer {
                Ok(()) => self.up(),
                Err(why) => self.down(why),
            }
            if self.pause(self.interval).await.is_none() {
                return;
            }
        }
    }

    /// None: the process ends.
    async fn pause(&self, pause: Duration) -> Option<()> {
        tokio::select! {
            () = tokio::time::sleep(pause) => Some(()),
            () = self.stop.cancelled() => None,
        }
    }
}
