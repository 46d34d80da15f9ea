//! How many commands may be in flight at once: a limit that follows what the service and its brokers can take.
//!
//! Promises: who is turned away is told at once, before anything costs much; those let in are answered in about the time
//! they would take without the others; nothing grows with the number of clients; one caller who floods keeps no other from being let in
//! ([`Shares`]). The limit falls when a window's answers
//! were slow, and rises when they were not although it was reached (additive increase, multiplicative decrease).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use edge::limits::{Account, Seat, Shares};
use opentelemetry::metrics::Meter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use toolkit::telemetry::names;

use crate::config::OverloadConfig;

/// A window was slow if more than one answer in this many was.
const SLOW_SHARE: u32 = 10;

/// The limit and who is inside. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Admission {
    shared: Arc<Shared>,
    /// Room for commands of uploads, which wait instead of being turned away.
    bulk: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shared {
    config: OverloadConfig,
    state: Mutex<State>,
    /// Whose commands are inside.
    shares: Shares,
}

#[derive(Debug)]
struct State {
    limit: usize,
    in_flight: usize,
    /// The window in flight: since when, its answers, how many of them were slow, the most in flight, whether someone was turned away.
    since: Option<Instant>,
    answered: u32,
    slow: u32,
    peak: usize,
    refused: bool,
}

/// The place of a single command, until it is answered or its client is gone.
#[derive(Debug)]
pub(crate) struct Permit {
    shared: Arc<Shared>,
    since: Instant,
    answered: bool,
    _seat: Seat,
}

impl Admission {
    pub(crate) fn new(config: OverloadConfig) -> Self {
        let bulk = Arc::new(Semaphore::new(config.bulk_in_flight.min(Semaphore::MAX_PERMITS)));
        let state = State {
            limit: config.max_in_flight,
            in_flight: 0,
            since: None,
            answered: 0,
            slow: 0,
            peak: 0,
            refused: false,
        };
        let shares = Shares::default();
        Self { shared: Arc::new(Shared { config, state: Mutex::new(state), shares }), bulk }
    }

    /// Shows the limit and who is inside whenever metrics are read.
    pub(crate) fn watch(&self, meter: &Meter) {
        let shared = Arc::clone(&self.shared);
        let _limit = meter
            .u64_observable_gauge(names::ADMISSION_LIMIT)
            .with_callback(move |observer| observer.observe(shared.lock().limit as u64, &[]))
            .build();
        let shared = Arc::clone(&self.shared);
        let _in_flight = meter
            .u64_observable_gauge(names::ADMISSION_IN_FLIGHT)
            .with_callback(move |observer| observer.observe(shared.lock().in_flight as u64, &[]))
            .build();
    }

    /// A place for a command that came alone; none if there are too many, and its caller has its share of them.
    pub(crate) fn enter(&self, who: &Account, now: Instant) -> Option<Permit> {
        let mut state = self.shared.lock();
        state.roll(&self.shared.config, now);
        let is_free = state.in_flight < state.limit;
        let seat = self.shared.shares.enter(who, state.limit, is_free);
        state.refused |= seat.is_none();
        let seat = seat?;
        state.in_flight += 1;
        state.peak = state.peak.max(state.in_flight);
        let shared = Arc::clone(&self.shared);
        Some(Permit { shared, since: now, answered: false, _seat: seat })
    }

    /// Whether [`Admission::enter`] would turn a command away: asked before its body is read. Counts as turned away.
    pub(crate) fn is_full(&self, who: &Account, now: Instant) -> bool {
        let mut state = self.shared.lock();
        state.roll(&self.shared.config, now);
        let full = state.in_flight >= state.limit && !self.shared.shares.is_below_share(who, state.limit);
        state.refused |= full;
        full
    }

    /// A place for a command of an upload, as soon as there is one. The engine gives it back: a client that does not read
    /// its answers must not keep others out. (Nobody closes the semaphore, so there always is one.)
    pub(crate) async fn wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.bulk).acquire_owned().await.ok()
    }
}

impl Permit {
    /// The command was answered: how long that took tells what the service can take.
    pub(crate) fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut state = self.shared.lock();
        state.in_flight -= 1;
        if self.answered {
            state.answered += 1;
            state.slow += u32::from(now.duration_since(self.since) > self.shared.config.target());
        }
        state.roll(&self.shared.config, now);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Ends the window if its time has come, and sets the limit by what it showed.
    fn roll(&mut self, config: &OverloadConfig, now: Instant) {
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) < config.target() {
            return;
        }
        if self.slow * SLOW_SHARE > self.answered {
            // From what was used: a limit far above it limits nothing.
            self.limit = (self.limit.min(self.peak) * 4 / 5).max(config.min_in_flight);
        } else if self.refused && self.answered > 0 {
            self.limit = (self.limit + self.limit / 16 + 1).min(config.max_in_flight);
        } else if self.answered == 0 && self.in_flight == 0 {
            // An idle service knows nothing any more of what it can take.
            self.limit = config.max_in_flight;
        }
        (self.since, self.answered, self.slow, self.peak, self.refused) =
            (Some(now), 0, 0, self.in_flight, false);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const TARGET: Duration = Duration::from_millis(100);

    fn admission() -> Admission {
        Admission::new(OverloadConfig {
            max_in_flight: 100,
            min_in_flight: 10,
            target_ms: 100,
            bulk_in_flight: 2,
        })
    }

    fn limit(admission: &Admission) -> usize {
        admission.shared.lock().limit
    }

    /// Lets as many in as there is room for, answers them after `took`, and says how many that were.
    fn window(admission: &Admission, who: &Account, start: Instant, took: Duration) -> usize {
        let mut inside = Vec::new();
        while let Some(permit) = admission.enter(who, start) {
            inside.push(permit);
        }
        let n = inside.len();
        let mut state = admission.shared.lock();
        state.answered += n as u32;
        state.slow += if took > TARGET { n as u32 } else { 0 };
        drop(state);
        drop(inside);
        n
    }

    #[test]
    fn a_full_service_turns_away_at_once_and_takes_again_when_one_has_left() {
        let (admission, who) = (admission(), Account::default());
        let now = Instant::now();
        let mut inside: Vec<_> = (0..100).map(|_| admission.enter(&who, now).unwrap()).collect();
        assert!(admission.enter(&who, now).is_none());
        assert!(admission.is_full(&who, now));
        inside.pop().unwrap().answered();
        assert!(!admission.is_full(&who, now));
        assert!(admission.enter(&who, now).is_some());
    }

    #[test]
    fn slow_answers_lower_the_limit_down_to_the_least_and_quick_ones_raise_it_again() {
        let (admission, who) = (admission(), Account::default());
        let mut now = Instant::now();
        let mut limits = Vec::new();
        for _ in 0..20 {
            window(&admission, &who, now, TARGET * 2);
            now += TARGET;
            admission.is_full(&who, now);
            limits.push(limit(&admission));
        }
        assert_eq!(limits[..3], [80, 64, 51]);
        assert_eq!(limits[19], 10);
        for _ in 0..40 {
            window(&admission, &who, now, TARGET / 2);
            now += TARGET;
            admission.is_full(&who, now);
        }
        assert!(limit(&admission) > 40, "{}", limit(&admission));
    }

    #[test]
    fn a_limit_that_nobody_meets_does_not_rise_and_an_idle_service_forgets() {
        let (admission, who) = (admission(), Account::default());
        let mut now = Instant::now();
        window(&admission, &who, now, TARGET * 2);
        now += TARGET;
        admission.is_full(&who, now);
        assert_eq!(limit(&admission), 80);
        let one = admission.enter(&who, now).unwrap();
        now += TARGET;
        admission.is_full(&who, now);
        assert_eq!(limit(&admission), 80, "one is inside, and was not answered yet");
        drop(one);
        now += TARGET;
        admission.is_full(&who, now);
        assert_eq!(limit(&admission), 100);
    }

    #[test]
    fn clients_that_left_teach_nothing() {
        let (admission, who) = (admission(), Account::default());
        let now = Instant::now();
        drop((0..50).map(|_| admission.enter(&who, now).unwrap()).collect::<Vec<_>>());
        let state = admission.shared.lock();
        assert_eq!((state.in_flight, state.answered, state.slow), (0, 0, 0));
    }

    #[test]
    fn who_floods_keeps_no_other_caller_out_and_is_let_in_again_when_there_is_room() {
        let (admission, now) = (admission(), Instant::now());
        let (flood, other) = (Account::default(), Account::default());
        let mut inside: Vec<_> = (0..100).map(|_| admission.enter(&flood, now).unwrap()).collect();
        assert!(admission.is_full(&flood, now) && admission.enter(&flood, now).is_none());
        let _others: Vec<_> = (0..50)
            .map(|_| {
                assert!(!admission.is_full(&other, now));
                admission.enter(&other, now).unwrap()
            })
            .collect();
        assert!(admission.enter(&other, now).is_none(), "half of it is its share");
        inside.truncate(51);
        assert!(admission.enter(&flood, now).is_none(), "there are still more than there is room for");
        inside.truncate(49);
        assert!(admission.enter(&flood, now).is_some());
    }

    #[tokio::test]
    async fn uploads_wait_for_room() {
        let admission = admission();
        let (first, _second) = (admission.wait().await.unwrap(), admission.wait().await.unwrap());
        let third = tokio::spawn({
            let admission = admission.clone();
            async move { admission.wait().await }
        });
        tokio::task::yield_now().await;
        assert!(!third.is_finished());
        drop(first);
        assert!(third.await.unwrap().is_some());
    }
}
