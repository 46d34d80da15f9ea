//! One flight for many: something slow that serves all who need it, such as a refresh of the search index.
//!
//! Promises: who needs a flight is served by one that STARTS after the need arose, never by one in flight already; at most
//! one is in flight and one is waited for, however many need one; an error is shared by those of its flight, and the next
//! need starts a new one; a flight that nobody waits for any more does not start, and one who leaves takes nobody along.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// What a flight came to, once it has landed.
type Landing<T> = watch::Sender<Option<T>>;

/// Flies on behalf of many. Cheap to clone.
pub(super) struct Flights<T> {
    fly: Arc<dyn Fn() -> BoxFuture<'static, T> + Send + Sync>,
    state: Arc<Mutex<State<T>>>,
    /// Flights belong to no caller, so they run on the runtime of the process.
    runtime: Handle,
}

#[derive(Debug)]
struct State<T> {
    is_flying: bool,
    next: Option<Landing<T>>,
}

impl<T> Clone for Flights<T> {
    fn clone(&self) -> Self {
        Self { fly: self.fly.clone(), state: self.state.clone(), runtime: self.runtime.clone() }
    }
}

impl<T> fmt::Debug for Flights<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").finish_non_exhaustive()
    }
}

impl<T: Clone + Send + Sync + 'static> Flights<T> {
    /// Must be called on the runtime that the flights shall run on.
    pub(super) fn new(fly: impl Fn() -> BoxFuture<'static, T> + Send + Sync + 'static) -> Self {
        let state = State { is_flying: false, next: None };
        Self { fly: Arc::new(fly), state: Arc::new(Mutex::new(state)), runtime: Handle::current() }
    }

    /// What a flight came to that started after this call; none if it crashed, which ends its runtime or is a defect.
    pub(super) async fn join(&self) -> Option<T> {
        let mut landing = self.board();
        let landed = landing.wait_for(Option::is_some).await.ok()?;
        landed.clone()
    }

    fn board(&self) -> watch::Receiver<Option<T>> {
        let mut state = locked(&self.state);
        if let Some(next) = &state.next {
            return next.subscribe();
        }
        let (landing, landed) = watch::channel(None);
        if state.is_flying {
            state.next = Some(landing);
        } else {
            state.is_flying = true;
            drop(state);
            let crash = Crash { state: self.state.clone(), is_averted: false };
            self.runtime.spawn(take_off(self.fly.clone(), crash, landing));
        }
        landed
    }
}

/// Flies until nobody needs a flight.
async fn take_off<T>(
    fly: Arc<dyn Fn() -> BoxFuture<'static, T> + Send + Sync>,
    mut crash: Crash<T>,
    first: Landing<T>,
) {
    let mut landing = first;
    loop {
        let landed = fly().await;
        landing.send_replace(Some(landed));
        let mut state = locked(&crash.state);
        if let Some(next) = state.next.take().filter(|next| next.receiver_count() > 0) {
            landing = next;
        } else {
            state.is_flying = false;
            drop(state);
            crash.is_averted = true;
            return;
        }
    }
}

/// If flying ends in any other way than in order, those who wait learn it, and the next need starts it again.
struct Crash<T> {
    state: Arc<Mutex<State<T>>>,
    is_averted: bool,
}

impl<T> Drop for Crash<T> {
    fn drop(&mut self) {
        if !self.is_averted {
            *locked(&self.state) = State { is_flying: false, next: None };
        }
    }
}

fn locked<T>(state: &Mutex<State<T>>) -> std::sync::MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::FutureExt;
    use futures::future::join_all;
    use tokio::time::{sleep, timeout};

    use super::*;

    /// Flights that take a while and give the number they started with.
    fn counted() -> (Flights<Result<usize, &'static str>>, Arc<AtomicUsize>) {
        let started = Arc::new(AtomicUsize::new(0));
        let counter = started.clone();
        let flights = Flights::new(move || {
            let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
            async move {
                sleep(Duration::from_millis(20)).await;
                Ok(number)
            }
            .boxed()
        });
        (flights, started)
    }

    #[tokio::test]
    async fn many_at_once_share_two_flights() {
        let (flights, started) = counted();
        let landed = join_all((0..40).map(|_| flights.join())).await;
        assert!(landed.iter().all(|landed| matches!(landed, Some(Ok(1 | 2)))), "{landed:?}");
        assert!(started.load(Ordering::SeqCst) <= 2, "{started:?}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_is_served_by_a_flight_that_was_under_way_already() {
        let (flights, started) = counted();
        let begun = std::time::Instant::now();
        let travellers = (0..200_u64).map(|n| {
            let (flights, started) = (flights.clone(), started.clone());
            tokio::spawn(async move {
                sleep(Duration::from_micros(n * 500)).await;
                let before = started.load(Ordering::SeqCst);
                let flight = flights.join().await.unwrap().unwrap();
                assert!(flight > before, "flight {flight} serves a need after {before} had started");
            })
        });
        for traveller in join_all(travellers).await {
            traveller.unwrap();
        }
        let one_after_another = begun.elapsed().as_millis() as usize / 20 + 2;
        assert!(started.load(Ordering::SeqCst) <= one_after_another, "{started:?}");
    }

    #[tokio::test]
    async fn who_leaves_takes_nobody_along_and_a_flight_without_travellers_does_not_start() {
        let (flights, started) = counted();
        let leaving = timeout(Duration::from_millis(5), flights.join());
        let (left, stayed) = tokio::join!(leaving, flights.join());
        assert!(left.is_err());
        assert_eq!(stayed, Some(Ok(2)));
        let (left, also_left) = tokio::join!(
            timeout(Duration::from_millis(5), flights.join()),
            timeout(Duration::from_millis(5), flights.join())
        );
        assert!(left.is_err() && also_left.is_err());
        sleep(Duration::from_millis(60)).await;
        assert_eq!(started.load(Ordering::SeqCst), 3, "the fourth had nobody to serve");
        assert_eq!(flights.join().await, Some(Ok(4)));
    }

    #[tokio::test]
    async fn an_error_is_shared_and_the_next_need_starts_anew() {
        let started = Arc::new(AtomicUsize::new(0));
        let counter = started.clone();
        let flights = Flights::new(move || {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            async move {
                sleep(Duration::from_millis(5)).await;
                if number == 0 { Err("store is away") } else { Ok(number) }
            }
            .boxed()
        });
        let first = flights.clone();
        let first = tokio::spawn(async move { first.join().await });
        tokio::task::yield_now().await;
        let (first, second) = (first.await.unwrap(), flights.join().await);
        assert_eq!((first, second), (Some(Err("store is away")), Some(Ok(1))));
    }

    #[tokio::test]
    async fn a_crash_ends_the_wait_and_not_the_flights() {
        let started = Arc::new(AtomicUsize::new(0));
        let counter = started.clone();
        let flights = Flights::new(move || {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            async move {
                assert!(number > 0, "the first flight crashes");
                number
            }
            .boxed()
        });
        assert_eq!(flights.join().await, None);
        assert_eq!(flights.join().await, Some(1));
    }
}
