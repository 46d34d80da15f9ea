//! One build of a read model, as it is asked.
//!
//! Promise: a question that took a reader keeps to its build: the position it waits for and the rows it reads are of one
//! generation, whatever is published meanwhile.

use std::sync::Arc;
use std::time::Duration;

use read_models::model::Position;
use read_models::{Asked, Generation, QueryError, history, products, search};
use tokio::time::timeout;

use super::ApiError;
use super::parked::ParkedCount;
use super::progress::{SearchProgress, watcher};
use super::watcher::Watcher;

/// The rows of one generation, and how to ask for them. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Build<Q> {
    pub(super) generation: Generation,
    /// Where its rows lie, as readiness and problems name it.
    pub(super) store: &'static str,
    /// Whose positions tell how far it is.
    pub(super) group: Arc<str>,
    /// How long the store may take.
    pub(super) limit: Duration,
    pub(super) queries: Q,
}

impl<Q: Asked> Build<Q> {
    /// Asks, for as long as a store may take.
    pub(crate) async fn ask<'a, T, F>(&'a self, question: impl FnOnce(&'a Q) -> F) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, QueryError>> + 'a,
    {
        match timeout(self.limit, question(&self.queries)).await {
            Ok(answer) => answer.map_err(|error| ApiError::of_query(self.store, error)),
            Err(_) => Err(ApiError::late(self.store, self.limit)),
        }
    }

    /// The same, for as long as the store's client waits: for those who know themselves when to give up.
    pub(crate) async fn ask_patiently<'a, T, F>(
        &'a self,
        question: impl FnOnce(&'a Q) -> F,
    ) -> Result<T, ApiError>
    where
        F: Future<Output = Result<T, QueryError>> + 'a,
    {
        question(&self.queries).await.map_err(|error| ApiError::of_query(self.store, error))
    }

    /// How far the partition is applied, and of which log.
    pub(crate) async fn position(&self, partition: i32) -> Result<Position, ApiError> {
        self.ask(|queries| queries.position(&self.group, partition)).await
    }
}

/// How far a read model has come whose rows can be read as soon as they are written.
#[derive(Clone, Debug)]
pub struct RowProgress(pub(super) Watcher<ApiError>);

/// What is asked by readers, and what is remembered of how far it has come.
pub trait Served: Asked {
    type Progress: std::fmt::Debug + Send + Sync;

    /// Nothing is known yet. Must be called on the runtime of the process.
    fn progress(build: &Build<Self>) -> Self::Progress;

    /// A store that was away may have lost what is remembered.
    fn was_away(_progress: &Self::Progress) {}
}

impl Served for products::Queries {
    type Progress = RowProgress;

    fn progress(build: &Build<Self>) -> Self::Progress {
        RowProgress(watcher(build))
    }
}

impl Served for history::Queries {
    type Progress = RowProgress;

    fn progress(build: &Build<Self>) -> Self::Progress {
        RowProgress(watcher(build))
    }
}

impl Served for search::Queries {
    type Progress = SearchProgress;

    fn progress(build: &Build<Self>) -> Self::Progress {
        SearchProgress::of(build)
    }

    fn was_away(progress: &Self::Progress) {
        progress.forget();
    }
}

/// A build, and how far it has come.
#[derive(Debug)]
pub(crate) struct Reader<Q: Served> {
    build: Build<Q>,
    pub(crate) progress: Q::Progress,
    pub(super) parked: ParkedCount,
}

impl<Q: Served> Reader<Q> {
    /// Must be called on the runtime of the process.
    pub(super) fn new(build: Build<Q>) -> Self {
        let (progress, parked) = (Q::progress(&build), ParkedCount::of(&build));
        Self { build, progress, parked }
    }
}

impl<Q: Served> std::ops::Deref for Reader<Q> {
    type Target = Build<Q>;

    fn deref(&self) -> &Build<Q> {
        &self.build
    }
}
