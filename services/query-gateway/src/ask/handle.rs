//! One read model's questions, once it can be asked.
//!
//! Promises: the build that is published is asked, [`Pace::believed`] after that at the latest: no question begins on another
//! one any more. A question that names a build is answered from that one, or told that there is none.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::publication::Published;
use read_models::{Error, Generation};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::Lifecycle;

use super::flight::Flights;
use super::others::{Open, Others};
use super::reader::{Build, Reader, Served};
use super::terms::{Answer, Named};
use super::{ApiError, Terms};
use crate::config::Config;

/// How closely it is followed which build is published, and which build has which name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// How often that is asked,
    pub every: Duration,
    /// and how long an answer is believed, from the moment of the question. Whoever publishes another build waits at least so
    /// long before it goes on.
    pub believed: Duration,
}

/// One read model's questions, once it can be asked. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ReadModelHandle<Q: Served> {
    current: Current<Q>,
    /// None: the build that was opened stays, and there is no other.
    following: Arc<OnceLock<(Following, Others<Q>)>>,
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
pub(super) struct Following {
    pace: Pace,
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

    /// Asks again and again until `stop`, and tells what each time came to.
    pub(super) async fn keep(&self, stop: &CancellationToken, tell: impl Fn(Result<(), ApiError>)) {
        loop {
            tokio::select! {
                asked = self.ask() => tell(asked),
                () = stop.cancelled() => return,
            }
            tokio::select! {
                () = tokio::time::sleep(self.pace.every) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

impl<Q: Served> ReadModelHandle<Q> {
    pub(super) fn new(config: &Config) -> Self {
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

    /// From now on the build that `published` says is asked, and others where a question names one. `open` opens them; for a
    /// build that is not there it must be an error ([`Error::is_missing`]). What is published is asked at this pace until the
    /// work of `lifecycle` has ended. Once for a handle, on the runtime of the process.
    pub fn keep_following<F>(&self, published: Arc<dyn Published>, pace: Pace, open: F, lifecycle: &Lifecycle)
    where
        F: Fn(Generation) -> BoxFuture<'static, Result<Q, Error>> + Send + Sync + 'static,
    {
        let (following, stop) = (self.follow(published, pace, open).clone(), lifecycle.drained());
        lifecycle.spawn_support(format!("{} followed", Q::READ_MODEL), async move {
            // What goes wrong is told to those who ask a question.
            following.keep(&stop, |_| ()).await;
            Ok(())
        });
    }

    /// Where its rows lie, as readiness and problems name it.
    pub(super) fn store(&self) -> &'static str {
        self.current.store
    }

    /// The build to ask: the one that is published, or was a moment ago.
    pub(crate) async fn now(&self) -> Result<Arc<Reader<Q>>, ApiError> {
        let Current { store, limit, ref reader, .. } = self.current;
        if let Some((following, _)) = self.following.get().filter(|(it, _)| !it.is_believed()) {
            let late = |_| ApiError::late(store, limit);
            timeout(limit, following.ask()).await.map_err(late)??;
        }
        let not_yet = || ApiError::Unavailable { store, why: "not connected yet".to_owned() };
        reader.load_full().ok_or_else(not_yet)
    }

    /// Asks the build that the terms name, or the one that is read. One that is dropped meanwhile is none.
    pub(super) async fn ask<T>(
        &self,
        terms: &Terms,
        question: impl AsyncFnOnce(&Reader<Q>) -> Result<T, ApiError>,
    ) -> Result<Answer<T>, ApiError> {
        let Some(named) = &terms.build else {
            let found = question(&*self.now().await?).await?;
            return Ok(Answer { found, build: None });
        };
        let from = self.of(named).await?;
        match question(&from).await {
            Ok(found) => Ok(Answer { found, build: Some(from.generation) }),
            Err(error) if error.is_of_the_store() && self.is_gone(&from).await => Err(none_of::<Q>(named)),
            Err(error) => Err(error),
        }
    }

    /// The build that a question names.
    async fn of(&self, named: &Named) -> Result<Arc<Reader<Q>>, ApiError> {
        let Some((_, others)) = self.following.get() else {
            let only = self.now().await?;
            let is_it = *named == Named::Number(only.generation);
            return if is_it { Ok(only) } else { Err(none_of::<Q>(named)) };
        };
        let opening = async {
            let generation = match named {
                Named::Number(generation) => Some(*generation),
                Named::Name(name) => others.named(name).await?,
            };
            let Some(generation) = generation else { return Ok(None) };
            // What is read is open already, and knows how far it is.
            let read = self.current.reader.load_full().filter(|it| it.generation == generation);
            match read {
                Some(read) => Ok(Some(read)),
                None => self.open(others, generation).await.map(Some),
            }
        };
        match timeout(self.current.limit, opening).await {
            Ok(Ok(opened)) => opened.ok_or_else(|| none_of::<Q>(named)),
            Ok(Err(error)) if error.is_missing() => Err(none_of::<Q>(named)),
            Ok(Err(error)) => Err(ApiError::of_query(self.current.store, error.into())),
            Err(_) => Err(ApiError::late(self.current.store, self.current.limit)),
        }
    }

    async fn open(&self, others: &Others<Q>, generation: Generation) -> Result<Arc<Reader<Q>>, Error> {
        others.reader(generation, |queries| self.current.reader_of(generation, queries)).await
    }

    /// Whether the build of a reader is not there any more, by which the store is told from a build: opens it again.
    async fn is_gone(&self, from: &Arc<Reader<Q>>) -> bool {
        let Some((_, others)) = self.following.get() else { return false };
        // What is read is not dropped. If it was lost, it is built again, and its questions may be repeated.
        if self.current.reader.load().as_ref().is_some_and(|it| it.generation == from.generation) {
            return false;
        }
        others.forget(from);
        let opened = timeout(self.current.limit, self.open(others, from.generation)).await;
        opened.is_ok_and(|opened| opened.is_err_and(|error| error.is_missing()))
    }

    /// Whether it can be asked; if not, why.
    pub(super) async fn look(&self) -> Result<(), String> {
        let looked = async { self.now().await?.position(0).await };
        looked.await.map(drop).map_err(|error| error.to_string())
    }

    /// From now on the build that is published is asked. Must be called on the runtime of the process.
    pub(super) fn follow<F>(&self, published: Arc<dyn Published>, pace: Pace, open: F) -> &Following
    where
        F: Fn(Generation) -> BoxFuture<'static, Result<Q, Error>> + Send + Sync + 'static,
    {
        let (current, until) = (self.current.clone(), Arc::new(Mutex::new(Instant::now())));
        let (open, believed): (Arc<Open<Q>>, _) = (Arc::new(open), Arc::clone(&until));
        let others = Others::new(Arc::clone(&published), pace.believed, Arc::clone(&open));
        let flights = Flights::new(move || {
            let (current, published) = (current.clone(), Arc::clone(&published));
            let (open, until) = (Arc::clone(&open), Arc::clone(&believed));
            async move {
                let asked = Instant::now();
                current.renew(&*published, &*open).await?;
                *until.lock().unwrap_or_else(PoisonError::into_inner) = asked + pace.believed;
                Ok(())
            }
            .boxed()
        });
        &self.following.get_or_init(|| (Following { pace, flights, until }, others)).0
    }
}

/// What is answered where a question names a build that is not there.
fn none_of<Q: Served>(named: &Named) -> ApiError {
    ApiError::NoBuild { model: Q::READ_MODEL.name(), build: named.to_string() }
}

impl<Q: Served> Current<Q> {
    fn opened(&self, generation: Generation, queries: Q) {
        self.reader.store(Some(Arc::new(self.reader_of(generation, queries))));
    }

    /// Must be called on the runtime of the process.
    fn reader_of(&self, generation: Generation, queries: Q) -> Reader<Q> {
        let group = Q::READ_MODEL.group_id(&self.group_prefix, generation).into();
        Reader::new(Build { generation, store: self.store, group, limit: self.limit, queries })
    }

    /// Asks which build is published, and opens it before anybody is sent to it.
    async fn renew(&self, published: &dyn Published, open: &Open<Q>) -> Result<(), ApiError> {
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

#[cfg(test)]
mod tests;
