//! How many questions are in flight, and how many of them only wait.
//!
//! Promises: never more than `max_in_flight` are active; those that wait for a read model hold none of these places, so they
//! cannot make others `overloaded`, and are bounded by a quota of their own.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::ApiError;
use crate::config::QueriesConfig;

/// The places of all questions.
#[derive(Clone, Debug)]
pub(super) struct Quotas {
    active: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    max_active: usize,
    max_waiting: usize,
}

/// A question's place: active, or waiting.
#[derive(Debug)]
pub(super) struct Place {
    quotas: Quotas,
    active: Option<OwnedSemaphorePermit>,
    waiting: Option<OwnedSemaphorePermit>,
}

/// What there is no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    Active,
    Waiting,
}

impl Quotas {
    pub(super) fn new(config: &QueriesConfig) -> Self {
        Self {
            active: Arc::new(Semaphore::new(config.max_in_flight)),
            waiting: Arc::new(Semaphore::new(config.max_waiting)),
            max_active: config.max_in_flight,
            max_waiting: config.max_waiting,
        }
    }

    /// A place for a question that begins.
    pub(super) fn enter(&self) -> Result<Place, ApiError> {
        match self.active.clone().try_acquire_owned() {
            Ok(active) => Ok(Place { quotas: self.clone(), active: Some(active), waiting: None }),
            Err(_) => Err(self.full(Crowd::Active)),
        }
    }

    fn full(&self, crowd: Crowd) -> ApiError {
        let max = match crowd {
            Crowd::Active => self.max_active,
            Crowd::Waiting => self.max_waiting,
        };
        ApiError::Overloaded { crowd, max }
    }
}

impl Place {
    /// Takes a place to wait, which is kept until [`Self::end_to_wait`].
    pub(super) fn begin_to_wait(&mut self) -> Result<(), ApiError> {
        if self.waiting.is_none() {
            let place = self.quotas.waiting.clone().try_acquire_owned();
            self.waiting = Some(place.map_err(|_| self.quotas.full(Crowd::Waiting))?);
        }
        Ok(())
    }

    /// Runs `wait` while others may have the active place, and takes one again, for which it waits until `end`.
    pub(super) async fn while_waiting<T>(
        &mut self,
        end: Instant,
        wait: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        drop(self.active.take());
        let waited = wait.await?;
        // After the end, too, a place that is free is taken.
        match timeout_at(end, self.quotas.active.clone().acquire_owned()).await {
            Ok(Ok(active)) => self.active = Some(active),
            // Nobody closes the semaphore.
            Ok(Err(_)) | Err(_) => return Err(self.quotas.full(Crowd::Active)),
        }
        Ok(waited)
    }

    /// How many questions wait.
    pub(super) fn waiting(&self) -> usize {
        self.quotas.max_waiting - self.quotas.waiting.available_permits()
    }

    pub(super) fn end_to_wait(&mut self) {
        drop(self.waiting.take());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn quotas(max_in_flight: usize, max_waiting: usize) -> Quotas {
        Quotas::new(&QueriesConfig { max_in_flight, max_waiting, ..QueriesConfig::default() })
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_millis(20)
    }

    async fn forever() -> Result<(), ApiError> {
        std::future::pending().await
    }

    #[tokio::test]
    async fn those_that_wait_leave_their_places_to_others() {
        let quotas = quotas(1, 2);
        let mut waiting = Vec::new();
        for _ in 0..2 {
            let mut place = quotas.enter().unwrap();
            waiting.push(tokio::spawn(async move {
                place.begin_to_wait()?;
                place.while_waiting(soon(), forever()).await
            }));
            while quotas.active.available_permits() == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut place = quotas.enter().unwrap();
        let third = place.begin_to_wait();
        assert!(matches!(third, Err(ApiError::Overloaded { crowd: Crowd::Waiting, max: 2 })), "{third:?}");
        drop(place);
        for task in waiting {
            task.abort();
        }
        while quotas.waiting.available_permits() < 2 {
            tokio::task::yield_now().await;
        }
        quotas.enter().unwrap();
    }

    #[tokio::test]
    async fn who_has_waited_needs_a_place_again_before_it_goes_on() {
        let quotas = quotas(1, 1);
        let mut place = quotas.enter().unwrap();
        place.begin_to_wait().unwrap();
        let other = std::cell::RefCell::new(None);
        let wait = async {
            *other.borrow_mut() = Some(quotas.enter()?);
            Ok(())
        };
        let waited = place.while_waiting(soon(), wait).await;
        assert!(matches!(waited, Err(ApiError::Overloaded { crowd: Crowd::Active, max: 1 })), "{waited:?}");
        drop(other);
        place.while_waiting(soon(), async { Ok(()) }).await.unwrap();
        assert!(quotas.enter().is_err(), "it is active again");
        assert_eq!(quotas.waiting.available_permits(), 0);
        place.end_to_wait();
        assert_eq!(quotas.waiting.available_permits(), 1);
    }
}
