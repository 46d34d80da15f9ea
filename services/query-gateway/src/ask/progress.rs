//! How far the read models have come, looked at once for all who wait.
//!
//! Promise: no search is answered by a refresh that began before the position it needs was reached.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use read_models::{Asked, ReadModel, Version, search};
use tokio::time::Instant;

use super::ApiError;
use super::flight::Flights;
use super::freshness::{Look, Wait};
use super::reader::Build;
use super::watcher::Watcher;

/// The watcher of a build's positions.
pub(super) fn watcher<Q: Asked>(build: &Build<Q>) -> Watcher<ApiError> {
    let build = build.clone();
    Watcher::new(move |partition| {
        let build = build.clone();
        async move { build.position(partition).await }.boxed()
    })
}

/// How far `search` has come: what is applied, and what of it can be found.
#[derive(Clone, Debug)]
pub struct SearchProgress {
    watcher: Watcher<ApiError>,
    refreshes: Flights<Result<(), ApiError>>,
    /// Where it lies, and how long a refresh is waited for at least.
    store: (&'static str, Duration),
    searchable: Searchable,
}

impl SearchProgress {
    /// Must be called on the runtime of the process.
    pub(super) fn of(build: &Build<search::Queries>) -> Self {
        let asked = build.clone();
        // As long as the client of the store waits. A server has few threads for refreshes, one on two processors: that of a build
        // with many rows takes seconds, and those of what is read stand behind it.
        let refreshes = Flights::new(move || {
            let asked = asked.clone();
            async move { asked.ask_patiently(search::Queries::refresh).await }.boxed()
        });
        Self::new(watcher(build), refreshes, (build.store, build.limit))
    }

    fn new(
        watcher: Watcher<ApiError>,
        refreshes: Flights<Result<(), ApiError>>,
        store: (&'static str, Duration),
    ) -> Self {
        Self { watcher, refreshes, store, searchable: Searchable::default() }
    }

    /// Waits until a search shows the token's write. `version_of` looks at its document in real time, searchable or not.
    pub(super) async fn reached<F>(
        &self,
        wait: &mut Wait<'_>,
        version_of: impl Fn() -> F,
    ) -> Result<(), ApiError>
    where
        F: Future<Output = Result<Version, ApiError>>,
    {
        let token = wait.token();
        wait.is_of_log(ReadModel::Search.name(), &self.watcher).await?;
        // Read before the refresh starts: only what was applied then is searchable after it.
        let position = if self.searchable.is_past(token.partition, token.offset) {
            None
        } else {
            Some(wait.for_position(ReadModel::Search.name(), &self.watcher).await?)
        };
        let look = || async {
            let at = version_of().await?;
            Ok(if at >= token.version { Look::Reached(()) } else { Look::At(Some(at.get())) })
        };
        let ((), was_there) = wait.until_there(ReadModel::Search.name(), look).await?;
        if was_there && position.is_none() {
            return Ok(());
        }
        if !was_there {
            // The store lost documents, and with them what could be found.
            self.searchable.forget_all();
        }
        let crashed = || ApiError::Internal("a refresh of the search index crashed".to_owned());
        // As long as whoever asks waits for the write anyway.
        let ((store, limit), begun) = (self.store, Instant::now());
        let landed = wait.for_served(limit, self.refreshes.join()).await?;
        landed.ok_or_else(|| ApiError::late(store, begun.elapsed()))?.ok_or_else(crashed)??;
        if let Some(position) = position.filter(|_| was_there) {
            self.searchable.reached(token.partition, position);
        }
        Ok(())
    }

    /// A store that was away may have lost what was not on its disk.
    pub(super) fn notice(&self, error: &ApiError) {
        if matches!(error, ApiError::Unavailable { .. }) {
            self.forget();
        }
    }

    pub(super) fn forget(&self) {
        self.searchable.forget_all();
    }
}

/// Up to which position (exclusive) the index is known to be searchable, by partition.
#[derive(Clone, Debug, Default)]
struct Searchable(Arc<Mutex<HashMap<i32, i64>>>);

impl Searchable {
    fn is_past(&self, partition: i32, offset: i64) -> bool {
        self.known().get(&partition).is_some_and(|position| *position > offset)
    }

    fn reached(&self, partition: i32, position: i64) {
        let mut known = self.known();
        let known = known.entry(partition).or_default();
        *known = position.max(*known);
    }

    fn forget_all(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, HashMap<i32, i64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
