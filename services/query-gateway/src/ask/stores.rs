//! The stores behind the read models, which may come and go.
//!
//! Promises: the gateway starts without them and finds them by itself; a question to a store that is away is answered in
//! bounded time, with its name; one store's absence does not touch questions to the other.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use read_models::{Asked, Error, QueryError, ReadModel, Servers, history, products, search};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::{Dependency, Lifecycle};

use super::ApiError;
use crate::config::Config;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

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

    /// Connects to servers under `lifecycle`, and then keeps asking whether each is there. A read model whose tables are missing
    /// keeps no other from being read.
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
        let cql = connector(readiness.dependency(self.products.store));
        let (products, history) = (part(ReadModel::Products), part(ReadModel::History));
        let search = connector(readiness.dependency(self.search.store));
        let generations = config.queries.generations;
        let servers = Servers::new(&config.cql, &config.search);
        let on_cql = servers.clone();
        lifecycle.spawn_support("cql connection", async move {
            let connected = cql.open(|| async { on_cql.cql().await.cloned() }).await;
            let Some(session) = connected else { return Ok(()) };
            let products_opened = products.part(&keeper.products, || async {
                Ok(products::Queries::new(products::CqlRows::open(&session, generations.products).await?))
            });
            let history_opened = history.part(&keeper.history, || async {
                Ok(history::Queries::new(history::CqlRows::open(&session, generations.history).await?))
            });
            let look = || async {
                // A table that is missing keeps nobody from being asked about the other.
                let Err(why) = keeper.products.position(0).await else { return Ok(()) };
                keeper.history.position(0).await.map(drop).map_err(|_| why.to_string())
            };
            tokio::join!(products_opened, history_opened, cql.keep(look));
            Ok(())
        });
        let handle = self.search.clone();
        lifecycle.spawn_support("search connection", async move {
            let open = || async {
                Ok(search::Queries::new(search::ServedIndex::new(
                    servers.search().await?,
                    generations.search,
                )))
            };
            if let Some(queries) = search.open(open).await {
                handle.opened(queries);
                let look = || async { handle.position(0).await.map(drop).map_err(|error| error.to_string()) };
                search.keep(look).await;
            }
            Ok(())
        });
    }
}

/// One read model's questions, once it can be asked.
#[derive(Clone, Debug)]
pub struct ReadModelHandle<Q> {
    /// Where its rows lie, as readiness and problems name it.
    store: &'static str,
    /// Whose positions tell how far it is.
    group: Arc<str>,
    limit: Duration,
    queries: Arc<OnceLock<Q>>,
}

impl<Q: Asked> ReadModelHandle<Q> {
    fn new(config: &Config) -> Self {
        let queries = &config.queries;
        let group = Q::READ_MODEL.group_id(&queries.group_prefix, queries.generations.of(Q::READ_MODEL));
        Self {
            store: Q::READ_MODEL.declared().on.section(),
            group: group.into(),
            limit: config.queries.store_timeout(),
            queries: Arc::default(),
        }
    }

    /// From now on it can be asked. A handle is opened once: a driver re-connects by itself.
    pub fn opened(&self, queries: Q) {
        drop(self.queries.set(queries));
    }

    /// Asks, for as long as a store may take.
    pub(crate) async fn ask<'a, T, F>(&'a self, question: impl FnOnce(&'a Q) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, QueryError>> + 'a,
    {
        let unavailable = |why: String| ApiError::Unavailable { store: self.store, why };
        let queries = self.queries.get().ok_or_else(|| unavailable("not connected yet".to_owned()))?;
        match timeout(self.limit, question(queries)).await {
            Ok(answer) => answer.map_err(|error| ApiError::of_query(self.store, error)),
            Err(_) => Err(unavailable(format!("no answer within {} ms", self.limit.as_millis()))),
        }
    }

    /// Everything of the partition below this offset is applied.
    pub(crate) async fn position(&self, partition: i32) -> Result<i64, ApiError> {
        self.ask(|queries| queries.position(&self.group, partition)).await
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

    /// Opens a read model that is a part of what was connected to.
    async fn part<Q: Asked, F>(&self, handle: &ReadModelHandle<Q>, open: impl FnMut() -> F)
    where
        F: Future<Output = Result<Q, Error>>,
    {
        if let Some(queries) = self.open(open).await {
            handle.opened(queries);
            self.up();
        }
    }

    /// Opens, as often as it takes; none when the process ends first. A missing table is waited for too: whoever installs
    /// Folio may start the gateway before the tables are there.
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
