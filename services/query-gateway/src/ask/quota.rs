//! How many questions are in flight, and how many of them only wait.
//!
//! Promises: no more than `max_in_flight` are active, but for callers who have less than their share of them while others have it all
//! ([`Shares`]); those that wait for a read model hold none of these places, so they cannot make others `overloaded`, and are bounded by a
//! quota of their own, in the same way.

use std::sync::Arc;

use edge::limits::{Account, Seat, Shares};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout_at};

use super::ApiError;
use crate::config::QueriesConfig;

/// The places of all questions.
#[derive(Clone, Debug)]
pub(super) struct Quotas {
    active: Room,
    waiting: Room,
}

/// Places of one kind, which callers share.
#[derive(Clone, Debug)]
struct Room {
    free: Arc<Semaphore>,
    shares: Shares,
    max: usize,
    crowd: Crowd,
}

/// A place in a room. Without a permit: one beyond it, of a caller's share.
#[derive(Debug)]
struct Taken {
    _permit: Option<OwnedSemaphorePermit>,
    _seat: Seat,
}

/// A question's place: active, or waiting.
#[derive(Debug)]
pub(super) struct Place {
    quotas: Quotas,
    account: Account,
    active: Option<Taken>,
    waiting: Option<Taken>,
}

/// What there is no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowd {
    Active,
    Waiting,
}

impl Room {
    fn new(max: usize, crowd: Crowd) -> Self {
        Self { free: Arc::new(Semaphore::new(max)), shares: Shares::default(), max, crowd }
    }

    /// A place, now.
    fn enter(&self, who: &Account) -> Result<Taken, ApiError> {
        self.taken(who, self.free.clone().try_acquire_owned().ok())
    }

    /// A place as soon as one is free, until `end`. After it, too, one that is free is taken.
    async fn enter_until(&self, who: &Account, end: Instant) -> Result<Taken, ApiError> {
        // Nobody closes the semaphore.
        let permit = timeout_at(end, self.free.clone().acquire_owned()).await;
        self.taken(who, permit.ok().and_then(Result::ok))
    }

    fn taken(&self, who: &Account, permit: Option<OwnedSemaphorePermit>) -> Result<Taken, ApiError> {
        let seat = self.shares.enter(who, self.max, permit.is_some());
        let full = ApiError::Overloaded { crowd: self.crowd, max: self.max };
        seat.map(|seat| Taken { _permit: permit, _seat: seat }).ok_or(full)
    }
}

impl Quotas {
    pub(super) fn new(config: &QueriesConfig) -> Self {
        Self {
            active: Room::new(config.max_in_flight, Crowd::Active),
            waiting: Room::new(config.max_waiting, Crowd::Waiting),
        }
    }

    /// A place for a question that begins.
    pub(super) fn enter(&self, who: &Account) -> Result<Place, ApiError> {
        let active = Some(self.active.enter(who)?);
        Ok(Place { quotas: self.clone(), account: who.clone(), active, waiting: None })
    }
}

impl Place {
    /// Takes a place to wait, which is kept until [`Self::end_to_wait`].
    pub(super) fn begin_to_wait(&mut self) -> Result<(), ApiError> {
        if self.waiting.is_none() {
            self.waiting = Some(self.quotas.waiting.enter(&self.account)?);
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
        self.active = Some(self.quotas.active.enter_until(&self.account, end).await?);
        Ok(waited)
    }

    /// How many questions wait.
    pub(super) fn waiting(&self) -> usize {
        self.quotas.waiting.max - self.quotas.waiting.free.available_permits()
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
        let (quotas, who) = (quotas(1, 2), Account::default());
        let mut waiting = Vec::new();
        for _ in 0..2 {
            let mut place = quotas.enter(&who).unwrap();
            waiting.push(tokio::spawn(async move {
                place.begin_to_wait()?;
                place.while_waiting(soon(), forever()).await
            }));
            while quotas.active.free.available_permits() == 0 {
                tokio::task::yield_now().await;
            }
        }
        let mut place = quotas.enter(&who).unwrap();
        let third = place.begin_to_wait();
        assert!(matches!(third, Err(ApiError::Overloaded { crowd: Crowd::Waiting, max: 2 })), "{third:?}");
        drop(place);
        for task in waiting {
            task.abort();
        }
        while quotas.waiting.free.available_permits() < 2 {
            tokio::task::yield_now().await;
        }
        quotas.enter(&who).unwrap();
    }

    #[tokio::test]
    async fn who_has_waited_needs_a_place_again_before_it_goes_on() {
        let (quotas, who) = (quotas(1, 1), Account::default());
        let mut place = quotas.enter(&who).unwrap();
        place.begin_to_wait().unwrap();
        let other = std::cell::RefCell::new(None);
        let wait = async {
            *other.borrow_mut() = Some(quotas.enter(&who)?);
            Ok(())
        };
        let waited = place.while_waiting(soon(), wait).await;
        assert!(matches!(waited, Err(ApiError::Overloaded { crowd: Crowd::Active, max: 1 })), "{waited:?}");
        drop(other);
        place.while_waiting(soon(), async { Ok(()) }).await.unwrap();
        assert!(quotas.enter(&who).is_err(), "it is active again");
        assert_eq!(quotas.waiting.free.available_permits(), 0);
        place.end_to_wait();
        assert_eq!(quotas.waiting.free.available_permits(), 1);
    }

    #[tokio::test]
    async fn who_floods_keeps_no_other_caller_from_asking_or_waiting() {
        let (quotas, flood, other) = (quotas(4, 2), Account::default(), Account::default());
        let mut places: Vec<_> = (0..4).map(|_| quotas.enter(&flood).unwrap()).collect();
        assert!(quotas.enter(&flood).is_err());
        for place in &mut places[..2] {
            place.begin_to_wait().unwrap();
        }
        let mut others: Vec<_> = (0..2).map(|_| quotas.enter(&other).unwrap()).collect();
        assert!(quotas.enter(&other).is_err(), "half of it is its share");
        others[0].begin_to_wait().unwrap();
        let second = others[1].begin_to_wait();
        assert!(matches!(second, Err(ApiError::Overloaded { crowd: Crowd::Waiting, .. })), "{second:?}");
        // Who has waited goes on with its share, whoever is active meanwhile.
        others[0].while_waiting(soon(), async { Ok(()) }).await.unwrap();
        drop(places);
        quotas.enter(&flood).unwrap();
    }
}
