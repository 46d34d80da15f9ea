//! The stores behind the read models, which may come and go.
//!
//! Promises: the gateway starts without them and finds them by itself; a question to a store that is away is answered in
//! bounded time, with its name; one store's absence does not touch questions to the other.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use adapter_search::Search;
use futures::FutureExt;
use futures::future::BoxFuture;
use persons::Persons;
use read_models::declared::On;
use read_models::{Error, Generation, ReadModel, Servers, history, products, search};
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::{Dependency, Lifecycle};

use super::handle::{Pace, ReadModelHandle};
use super::other_log::OtherLogs;
use super::reader::Served;
use crate::config::Config;

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);
/// How closely servers are asked which build is published. Projectors know how long gateways believe it: `rebuild.lease_ms`.
const PACE: Pace = Pace { every: Duration::from_millis(200), believed: Duration::from_secs(1) };

/// The parts that the gateway stands on: every read model's questions.
#[derive(Clone, Debug)]
pub struct Stores {
    pub products: ReadModelHandle<products::Queries>,
    pub history: ReadModelHandle<history::Queries>,
    pub search: ReadModelHandle<search::Queries>,
    /// What the names in histories are shown with.
    pub persons: Persons,
    pub(super) other_logs: OtherLogs,
}

impl Stores {
    /// Read models that cannot be asked yet; each can when it is opened.
    pub fn new(config: &Config) -> Self {
        Self {
            products: ReadModelHandle::new(config),
            history: ReadModelHandle::new(config),
            search: ReadModelHandle::new(config),
            persons: Persons::off(),
            other_logs: OtherLogs::default(),
        }
    }

    /// From now on readiness tells if tokens are of another log than the rows. On the runtime of the process.
    pub fn tell_of_other_logs(&self, lifecycle: &Lifecycle) {
        self.other_logs.tell(lifecycle);
    }

    /// Connects to servers under `lifecycle`, and then keeps asking whether each is there, and which build of each read model
    /// is published. A read model whose tables are missing keeps no other from being read.
    pub(crate) fn connect(&self, config: &Config, lifecycle: &Lifecycle) {
        self.tell_of_other_logs(lifecycle);
        // The tasks end with the work, not before: requests that drain still need the stores.
        let stop = lifecycle.drained();
        let (readiness, keeper) = (lifecycle.readiness(), self.clone());
        let connector = |dependency| Connector {
            dependency,
            stop: stop.clone(),
            interval: config.queries.probe_interval(),
        };
        let part = |read_model: ReadModel| connector(readiness.part(read_model.name()));
        let cql = connector(readiness.dependency(self.products.store()));
        let (products, history) = (part(ReadModel::Products), part(ReadModel::History));
        let search = connector(readiness.dependency(self.search.store()));
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
            let open = move |generation| open_search(server.clone(), generation).boxed();
            let followed = search.follow(&handle, &servers, open, |_| ());
            tokio::join!(followed, search.keep(|| handle.look()));
            Ok(())
        });
    }
}

/// Opens a build of the index. A server finds nothing missing then, as it does of tables whose statements are prepared.
async fn open_search(server: Search, generation: Generation) -> Result<search::Queries, Error> {
    if let On::Search { index, .. } = &ReadModel::Search.declared().on
        && server.is_missing(index, generation.get()).await?
    {
        return Err(Error::NoBuild(format!("index {}", index.index(server.prefix(), generation.get()))));
    }
    Ok(search::Queries::new(search::ServedIndex::new(&server, generation)))
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
        let following = handle.follow(Arc::new(servers.publication(Q::READ_MODEL)), PACE, open);
        following.keep(&self.stop, |asked| tell(asked.map_err(|error| error.to_string()))).await;
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
