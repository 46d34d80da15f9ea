//! What a store has acknowledged and may lose all the same: its processes write to disk a while after they acknowledge, and
//! whatever fails together loses that while together.
//!
//! Promises: no position is written as durable before its rows were acknowledged for longer than the window, all of it before
//! a moment at which the store was seen not to have been started anew; after a new start of any of its processes, or when a
//! position is lost, every partition is taken over again from its durable position.

mod trail;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use read_models::Error;
use read_models::model::{Positions, Starts};
use tokio::sync::{Mutex as Turn, watch};

pub(crate) use trail::Trail;

/// Watches over one store for the tasks of all partitions.
#[derive(Debug)]
pub(crate) struct Durability {
    window: Duration,
    seen: Mutex<Seen>,
    /// Counts how often everything has to be taken over again.
    takeovers: watch::Sender<u64>,
    /// One look at a time.
    turn: Turn<()>,
}

#[derive(Debug)]
struct Seen {
    /// When each process of the store was started that ever answered; `None` before the first look.
    starts: Option<Starts>,
    /// When that look began.
    at: Instant,
    /// Whether a request has failed since.
    has_failed: bool,
    /// Whether a look has.
    was_away: bool,
    /// Whether it can lose at all what it has acknowledged.
    may_lose: bool,
}

/// What is durable of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Durable {
    /// Everything below this offset.
    Until(i64),
    /// A request has failed: look first.
    Unknown,
    /// The partition has to be taken over again.
    TakeOver,
}

impl Durability {
    pub(crate) fn new(window: Duration) -> Self {
        let seen =
            Seen { starts: None, at: Instant::now(), has_failed: false, was_away: false, may_lose: false };
        Self { window, seen: Mutex::new(seen), takeovers: watch::Sender::new(0), turn: Turn::new(()) }
    }

    /// Tells of each time from now on that everything has to be taken over again.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.takeovers.subscribe()
    }

    /// A request failed: the next position must not be written before a look.
    pub(crate) fn failed(&self) {
        self.seen().has_failed = true;
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.seen().has_failed
    }

    /// Looks whether the store was started anew since the last look.
    pub(crate) async fn look(&self, store: &impl Positions) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let at = Instant::now();
        let told = store.starts().await;
        let mut seen = self.seen();
        let told = told.inspect_err(|_| (seen.has_failed, seen.was_away) = (true, true))?;
        let is_first = seen.starts.is_none();
        let before = seen.starts.get_or_insert_default();
        let suspect = match &told {
            // Where the store does not tell, having been away is all there is to go by.
            None => !is_first && seen.was_away,
            // A process that does not answer now may be slow; one that was never heard of is new.
            Some(told) => told.iter().any(|(name, start)| before.get(name).is_some_and(|was| was != start)),
        };
        seen.may_lose |= told.as_ref().is_none_or(|told| !told.is_empty());
        seen.starts.get_or_insert_default().extend(told.unwrap_or_default());
        (seen.at, seen.has_failed, seen.was_away) = (at, false, false);
        if suspect {
            // While nobody can ask what is durable.
            self.announce("the store was started anew, and may have lost what it acknowledged last");
        }
        Ok(())
    }

    /// Everything has to be taken over again.
    pub(crate) fn take_over(&self, reason: &str) {
        let _seen = self.seen();
        self.announce(reason);
    }

    fn announce(&self, reason: &str) {
        self.takeovers.send_modify(|number| *number += 1);
        tracing::warn!(
            window_ms = self.window.as_millis() as u64,
            "going back to the durable positions: {reason}"
        );
    }

    /// The durable position now.
    pub(crate) fn durable(&self, takeovers: &watch::Receiver<u64>, trail: &mut Trail) -> Durable {
        let seen = self.seen();
        if takeovers.has_changed().unwrap_or(true) {
            Durable::TakeOver
        } else if seen.has_failed {
            Durable::Unknown
        } else {
            Durable::Until(trail.until(seen.at.checked_sub(self.window)))
        }
    }

    /// Whether what was acknowledged by then is on disk: a look that began longer than the window after it has found no new start.
    pub(crate) fn is_durable_since(&self, takeovers: &watch::Receiver<u64>, acknowledged: Instant) -> bool {
        let seen = self.seen();
        if takeovers.has_changed().unwrap_or(true) || seen.has_failed || seen.starts.is_none() {
            return false;
        }
        !seen.may_lose || seen.at.checked_sub(self.window).is_some_and(|until| acknowledged <= until)
    }

    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
