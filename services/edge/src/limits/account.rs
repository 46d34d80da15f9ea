//! What one caller has at the moment, of what it may have.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contract::code::Code;
use toolkit::memory::{Memory, Share};

use super::bucket::{Bucket, Rate};
use super::load::Load;
use super::{Limit, LimitsConfig, Refusals};
use crate::problem::Problem;

/// How often it is logged, at most, that one caller is beyond its limits.
const LOGGED_EVERY: Duration = Duration::from_mins(1);

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A caller's account: it stands beside each of its requests. Cheap to clone; the default is of nobody else, and bounds nothing.
#[derive(Clone, Debug)]
pub struct Account(Arc<Held>);

#[derive(Debug)]
struct Held {
    id: u64,
    /// For the log: a machine's name, or an address; none: a person, whom no log names.
    name: Option<String>,
    bounds: Option<Bounds>,
    in_flight: AtomicUsize,
}

#[derive(Debug)]
struct Bounds {
    requests: Option<Mutex<Bucket>>,
    commands: Option<Mutex<Bucket>>,
    max_in_flight: usize,
    bytes: Option<Memory>,
    refused: Refusals,
    logged: Mutex<Option<Instant>>,
}

impl Default for Account {
    fn default() -> Self {
        Self::of(None, None)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Account {
    pub(super) fn new(name: Option<String>, config: &LimitsConfig, refused: Refusals) -> Self {
        let bucket = |per_second, burst| Rate::of(per_second, burst).map(|it| Mutex::new(Bucket::new(it)));
        let commands = config.upload_commands_per_second;
        let bytes = config.bytes_mib.saturating_mul(1024 * 1024);
        let bounds = Bounds {
            requests: bucket(config.requests_per_second, config.burst),
            commands: bucket(commands, commands),
            max_in_flight: if config.in_flight == 0 { usize::MAX } else { config.in_flight },
            bytes: (bytes > 0).then(|| Memory::new(bytes)),
            refused,
            logged: Mutex::new(None),
        };
        Self::of(name, Some(bounds))
    }

    fn of(name: Option<String>, bounds: Option<Bounds>) -> Self {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(Arc::new(Held { id, name, bounds, in_flight: AtomicUsize::new(0) }))
    }

    /// By which one is told from another.
    pub(super) fn id(&self) -> u64 {
        self.0.id
    }

    /// Whether nothing would be forgotten with it. Only for whoever keeps the one from which others are cloned.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        let is_full =
            |bucket: &Option<Mutex<Bucket>>| bucket.as_ref().is_none_or(|it| locked(it).is_full(now));
        Arc::strong_count(&self.0) == 1
            && self.0.bounds.as_ref().is_none_or(|it| is_full(&it.requests) && is_full(&it.commands))
    }

    /// A place for one more request.
    pub(super) fn enter(&self, now: Instant) -> Result<Place, Problem> {
        // Before the look: of several at once none may find the same last place.
        let place = Place(self.clone());
        let before = self.0.in_flight.fetch_add(1, Ordering::Relaxed);
        let Some(bounds) = &self.0.bounds else { return Ok(place) };
        if before >= bounds.max_in_flight {
            let most = bounds.max_in_flight;
            let detail = format!(
                "{most} requests of yours are in flight, which is the most at once: wait for their answers first"
            );
            return Err(self.refused(Limit::InFlight, detail, None));
        }
        if let Some(requests) = &bounds.requests {
            let taken = locked(requests).take(now);
            if let Err(wait) = taken {
                let detail = "you ask more often than you may: send less, or more evenly".to_owned();
                return Err(self.refused(Limit::Rate, detail, Some(wait)));
            }
        }
        Ok(place)
    }

    /// Waits until one more command of an upload or a stream may be given.
    pub async fn pace(&self) {
        let Some(commands) = self.0.bounds.as_ref().and_then(|it| it.commands.as_ref()) else { return };
        loop {
            let taken = locked(commands).take(Instant::now());
            let Err(wait) = taken else { return };
            tokio::time::sleep(wait).await;
        }
    }

    /// What a request of it will hold that arrives, of `door` too.
    pub fn load(&self, door: Share) -> Load {
        let own = self.0.bounds.as_ref().and_then(|bounds| bounds.bytes.as_ref()).map(Memory::empty);
        Load::new(door, own, self.clone())
    }

    /// It takes more bytes than it may.
    pub(super) fn is_over_bytes(&self) {
        drop(self.refused(Limit::Bytes, String::new(), None));
    }

    fn refused(&self, limit: Limit, detail: String, wait: Option<Duration>) -> Problem {
        if let Some(bounds) = &self.0.bounds {
            bounds.refused.count(limit);
            let mut logged = locked(&bounds.logged);
            if logged.is_none_or(|at| at.elapsed() >= LOGGED_EVERY) {
                *logged = Some(Instant::now());
                let caller = self.0.name.as_deref().unwrap_or("somebody with a token");
                let (number, limit) = (self.0.id, limit.name());
                tracing::warn!(caller, number, limit, "a caller is beyond its limits: it is answered 429");
            }
        }
        let mut problem = Problem::new(Code::TooManyRequests, detail).with("limit", limit.name());
        // In whole seconds, as a client can be told: rather later than too soon.
        let seconds = wait.map(|wait| wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
        problem.retry_after = seconds.map(Duration::from_secs).or(problem.retry_after);
        problem
    }

    #[cfg(test)]
    pub(super) fn in_flight(&self) -> usize {
        self.0.in_flight.load(Ordering::Relaxed)
    }
}

/// A request's place among its caller's, until it is dropped.
#[derive(Debug)]
pub struct Place(Account);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
