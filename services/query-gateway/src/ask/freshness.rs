//! "Not before my write": waiting until a read model has come as far as a consistency token, or saying how far it is.
//!
//! Promises: nothing is answered before the bound is reached, or of another log than the token's; no wait is longer than its
//! budget by more than one look at the store, and a read without a token never waits. Many who wait cost the store little more than one: see
//! [`super::watcher`] and [`super::flight`].

use std::pin::pin;
use std::time::Duration;

use contract::ConsistencyToken;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::ApiError;
use super::error::Unit;
use super::quota::Place;
use super::watcher::{Waited, Watcher};

/// What a read asks of the read model's freshness.
#[derive(Clone, Debug, Default)]
pub(crate) struct Freshness {
    /// The write to wait for; none: whatever the read model holds.
    pub(crate) token: Option<ConsistencyToken>,
    /// How long to wait for it.
    pub(crate) wait: Duration,
}

/// One look at a store.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look<T> {
    /// The store has come far enough; this is the answer.
    Reached(T),
    /// It has come only this far, if it can say so: the version of a product.
    At(Option<u64>),
}

/// How often a row is looked at whose partition is applied and which is not there: it was lost, and is being built again.
const LOST_ROW_PAUSE: Duration = Duration::from_millis(250);
/// With many questions waiting none pauses for less than this times their number: a token can name any version.
const LOST_ROW_SHARE: Duration = Duration::from_millis(1);

/// The waiting of one question for its token.
#[derive(Debug)]
pub(super) struct Wait<'a> {
    token: &'a ConsistencyToken,
    budget: Duration,
    end: Instant,
    place: &'a mut Place,
}

impl<'a> Wait<'a> {
    pub(super) fn new(token: &'a ConsistencyToken, budget: Duration, place: &'a mut Place) -> Self {
        Self { token, budget, end: Instant::now() + budget, place }
    }

    pub(super) fn token(&self) -> &'a ConsistencyToken {
        self.token
    }

    /// Waits for something that serves many: for `limit` in any case, and then among those who wait, until the wait is over. None: it
    /// was not there in time.
    pub(super) async fn for_served<T>(
        &mut self,
        limit: Duration,
        served: impl Future<Output = T>,
    ) -> Result<Option<T>, ApiError> {
        let mut served = pin!(served);
        if let Ok(served) = timeout(limit, &mut served).await {
            return Ok(Some(served));
        }
        let end = self.end;
        if Instant::now() >= end {
            return Ok(None);
        }
        self.place.begin_to_wait()?;
        self.place.while_waiting(end, async { Ok(timeout_at(end, served).await.ok()) }).await
    }

    /// An error if the read model is of another log than the token, as far as both are known: then its rows and positions say
    /// nothing of the token's write. What was seen before is enough to go on, and not to refuse.
    pub(super) async fn is_of_log(
        &self,
        model: &'static str,
        watcher: &Watcher<ApiError>,
    ) -> Result<(), ApiError> {
        let (partition, Some(asked)) = (self.token.partition, self.token.log) else { return Ok(()) };
        if watcher.known_log(partition) != Some(asked) {
            watcher.look_once(partition, self.token.offset).await?;
        }
        self.is_of_known_log(model, watcher)
    }

    fn is_of_known_log(&self, model: &'static str, watcher: &Watcher<ApiError>) -> Result<(), ApiError> {
        let partition = self.token.partition;
        match watcher.known_log(partition).zip(self.token.log) {
            Some((current, asked)) if current != asked => {
                Err(ApiError::OtherLog { model, partition, current, asked })
            }
            _ => Ok(()),
        }
    }

    /// Looks at the row of the token's product, and if that is too old waits for its partition and looks again.
    pub(super) async fn for_row<T, F>(
        &mut self,
        model: &'static str,
        watcher: &Watcher<ApiError>,
        look: impl Fn() -> F,
    ) -> Result<T, ApiError>
    where
        F: Future<Output = Result<Look<T>, ApiError>>,
    {
        self.is_of_log(model, watcher).await?;
        match look().await? {
            Look::Reached(row) => return Ok(row),
            at @ Look::At(_) if self.budget.is_zero() => return Err(self.behind(model, &at)),
            Look::At(_) => {}
        }
        self.for_position(model, watcher).await?;
        Ok(self.until_there(model, look).await?.0)
    }

    /// Waits until the token's record is applied. Gives the position, which is above the token's.
    pub(super) async fn for_position(
        &mut self,
        model: &'static str,
        watcher: &Watcher<ApiError>,
    ) -> Result<i64, ApiError> {
        self.is_of_log(model, watcher).await?;
        let reached = self.until_reached(model, watcher).await;
        // The first position that was written meanwhile tells the log too.
        self.is_of_known_log(model, watcher)?;
        reached
    }

    async fn until_reached(
        &mut self,
        model: &'static str,
        watcher: &Watcher<ApiError>,
    ) -> Result<i64, ApiError> {
        let ConsistencyToken { partition, offset, .. } = *self.token;
        if let Some(position) = watcher.known_past(partition, offset) {
            return Ok(position);
        }
        let reached = |waited| match waited {
            Waited::Reached(position) => Ok(position),
            Waited::StillAt(at) => {
                let asked = offset.saturating_add(1);
                Err(ApiError::Behind { model, unit: Unit::Position, at, asked })
            }
        };
        if self.budget.is_zero() {
            return reached(watcher.look_once(partition, offset).await?);
        }
        if let Err(full) = self.place.begin_to_wait() {
            // Without a place to wait there is still an answer if there is nothing to wait for.
            return match watcher.look_once(partition, offset).await? {
                Waited::Reached(position) => Ok(position),
                Waited::StillAt(_) => Err(full),
            };
        }
        let end = self.end;
        let waited = async { watcher.wait_past(partition, offset, end).await.and_then(reached) };
        self.place.while_waiting(end, waited).await
    }

    /// Looks until the token's product is there, whose partition is applied; tells whether it was at the first look.
    pub(super) async fn until_there<T, F>(
        &mut self,
        model: &'static str,
        look: impl Fn() -> F,
    ) -> Result<(T, bool), ApiError>
    where
        F: Future<Output = Result<Look<T>, ApiError>>,
    {
        let mut is_first = true;
        loop {
            match look().await? {
                Look::Reached(there) => return Ok((there, is_first)),
                at @ Look::At(_) if Instant::now() >= self.end => return Err(self.behind(model, &at)),
                Look::At(_) => {}
            }
            is_first = false;
            self.place.begin_to_wait()?;
            let pause = LOST_ROW_PAUSE.max(LOST_ROW_SHARE * self.place.waiting() as u32);
            let next = self.end.min(Instant::now() + pause);
            let pause = async {
                sleep_until(next).await;
                Ok(())
            };
            self.place.while_waiting(self.end, pause).await?;
        }
    }

    fn behind<T>(&self, model: &'static str, look: &Look<T>) -> ApiError {
        let asked = self.token.version.get();
        match look {
            Look::At(Some(at)) => {
                ApiError::Behind { model, unit: Unit::Version, at: *at as i64, asked: asked as i64 }
            }
            _ => ApiError::Lost { model, product: self.token.product.to_string(), version: asked },
        }
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        self.place.end_to_wait();
    }
}

#[cfg(test)]
mod tests;
