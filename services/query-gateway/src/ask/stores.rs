//! The stores behind the read models, which may come and go.
//!
//! Promises: the gateway starts without them and finds them by itself; a question to a store that is away is answered in
//! bounded time, with its name; one store's absence does not touch questions to the other.

use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use adapter_cql::Cql;
use adapter_search::Search;
use read_models::{QueryError, group_id, history, products, search};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::{Dependency, Lifecycle};

use super::AskError;
use crate::config::Config;

/// The stores' names, in readiness and in problems: those of their sections of the configuration.
pub(crate) const CQL: &str = "cql";
pub(crate) const SEARCH: &str = "search";

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Every read model's questions.
#[derive(Clone, Debug)]
pub(crate) struct Stores {
    pub(crate) products: Store<products::Queries>,
    pub(crate) history: Store<history::Queries>,
    pub(crate) search: Store<search::Queries>,
}

impl Stores {
    /// Stores that nobody has connected to yet.
    pub(crate) fn new(config: &Config) -> Self {
        let limit = config.queries.store_timeout();
        Self {
            products: Store::new(CQL, limit),
            history: Store::new(CQL, limit),
            search: Store::new(SEARCH, limit),
        }
    }

    /// Connects under `lifecycle`, and then keeps asking whether each store is there. A read model whose tables are missing
    /// keeps no other from being read.
    pub(crate) fn connect(&self, config: &Config, lifecycle: &Lifecycle) {
        // The tasks end with the work, not before: requests that drain still need the stores.
        let stop = lifecycle.drained();
        let (readiness, keeper) = (lifecycle.readiness(), self.clone());
        let connector = |name| Connector::new(readiness.dependency(name), stop.clone(), config);
        let part = |name| Connector::new(readiness.part(name), stop.clone(), config);
        let (cql, products, history) = (connector(CQL), part(products::NAME), part(history::NAME));
        let prefix = &config.queries.group_prefix;
        let (of_products, of_history) = (group_id(prefix, products::NAME), group_id(prefix, history::NAME));
        let settings = config.cql.clone();
        lifecycle.spawn_support("cql connection", async move {
            let connected = cql.open(|| async { Cql::connect(&settings).await.map_err(whole) }).await;
            let Some(session) = connected else { return Ok(()) };
            let opened = async {
                let open = || async { products::Queries::open(&session).await.map_err(whole) };
                if let Some(queries) = products.open(open).await {
                    keeper.products.opened(queries);
                    products.up();
                }
            };
            let history_opened = async {
                let open = || async { history::Queries::open(&session).await.map_err(whole) };
                if let Some(queries) = history.open(open).await {
                    keeper.history.opened(queries);
                    history.up();
                }
            };
            let look = || async {
                let products = keeper.products.ask(|q| q.position(&of_products, 0)).await;
                // A table that is missing keeps nobody from being asked about the other.
                let Err(why) = products else { return Ok(()) };
                let of_past = keeper.history.ask(|q| q.position(&of_history, 0)).await;
                of_past.map(drop).map_err(|_| why.to_string())
            };
            tokio::join!(opened, history_opened, cql.keep(look));
            Ok(())
        });
        let search = connector(SEARCH);
        let (keeper, settings) = (self.clone(), config.search.clone());
        let group = group_id(&config.queries.group_prefix, search::NAME);
        lifecycle.spawn_support("search connection", async move {
            let open = || async {
                let search = Search::connect(&settings).await.map_err(whole)?;
                Ok(search::Queries::new(&search))
            };
            if let Some(queries) = search.open(open).await {
                keeper.search.opened(queries);
                let look = || async {
                    keeper.search.ask(|q| q.position(&group, 0)).await.map_err(|error| error.to_string())
                };
                search.keep(look).await;
            }
            Ok(())
        });
    }
}

/// One read model's questions, once its store has been reached.
#[derive(Clone, Debug)]
pub(crate) struct Store<Q> {
    name: &'static str,
    limit: Duration,
    queries: Arc<OnceLock<Q>>,
}

impl<Q> Store<Q> {
    fn new(name: &'static str, limit: Duration) -> Self {
        Self { name, limit, queries: Arc::new(OnceLock::new()) }
    }

    fn opened(&self, queries: Q) {
        // Opened once by the one task that connects: a driver re-connects by itself from then on.
        drop(self.queries.set(queries));
    }

    /// Asks, for as long as a store may take.
    pub(crate) async fn ask<'a, T, F>(&'a self, question: impl FnOnce(&'a Q) -> F) -> Result<T, AskError>
    where
        F: Future<Output = Result<T, QueryError>> + 'a,
    {
        let unavailable = |why: String| AskError::Unavailable { store: self.name, why };
        let queries = self.queries.get().ok_or_else(|| unavailable("not connected yet".to_owned()))?;
        // On the heap: the drivers' futures are many kilobytes, and would be moved through every layer above.
        match timeout(self.limit, Box::pin(question(queries))).await {
            Ok(answer) => answer.map_err(|error| AskError::of_query(self.name, error)),
            Err(_) => Err(unavailable(format!("no answer within {} ms", self.limit.as_millis()))),
        }
    }
}

/// Watches over one connection, and tells readiness.
struct Connector {
    dependency: Dependency,
    stop: CancellationToken,
    interval: Duration,
}

impl Connector {
    fn new(dependency: Dependency, stop: CancellationToken, config: &Config) -> Self {
        Self { dependency, stop, interval: config.queries.probe_interval() }
    }

    fn up(&self) {
        self.dependency.up();
    }

    fn down(&self, why: String) {
        self.dependency.down(why);
    }

    /// Opens, as often as it takes; none when the process ends first. A missing table is waited for too: whoever installs
    /// Folio may start the gateway before the tables are there.
    async fn open<T, F>(&self, mut open: impl FnMut() -> F) -> Option<T>
    where
        F: Future<Output = Result<T, String>>,
    {
        let mut pause = FIRST_PAUSE;
        loop {
            let opened = tokio::select! {
                opened = open() => opened,
                () = self.stop.cancelled() => return None,
            };
            match opened {
                Ok(opened) => return Some(opened),
                Err(why) => self.down(why),
            }
            self.pause(pause).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Asks something small now and at every interval, until the process ends.
    async fn keep<T, F>(&self, mut probe: impl FnMut() -> F)
    where
        F: Future<Output = Result<T, String>>,
    {
        loop {
            let answer = tokio::select! {
                answer = probe() => answer,
                () = self.stop.cancelled() => return,
            };
            match answer {
                Ok(_) => self.up(),
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

/// An error with all its causes: what an operator needs to find what is away.
fn whole(error: impl Into<anyhow::Error>) -> String {
    format!("{:#}", error.into())
}
