//! Tokens of another log than the rows are of, as readiness tells of them.
//!
//! Promise: a gateway that answers `log-mismatch` says so where an operator looks, with what to do; it stays ready, for whose the token
//! was it cannot know, and what is there can be read.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use toolkit::lifecycle::{Dependency, Lifecycle};

use super::ApiError;

/// How long it is told of after the last of them.
const TOLD_FOR: Duration = Duration::from_mins(10);
/// How often it is looked whether it is to be told any longer.
const LOOK: Duration = Duration::from_secs(5);

/// What was seen of other logs. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct OtherLogs(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    /// None: nobody asks.
    readiness: Option<Dependency>,
    last: Option<Instant>,
}

impl OtherLogs {
    /// Tells readiness from now on, until the work of `lifecycle` has ended. On the runtime of the process.
    pub(super) fn tell(&self, lifecycle: &Lifecycle) {
        let dependency = lifecycle.readiness().part("log");
        dependency.up();
        self.with(|seen| seen.readiness = Some(dependency));
        let (this, stop) = (self.clone(), lifecycle.drained());
        lifecycle.spawn_support("other logs", async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => this.forget_before(Instant::now()),
                    () = stop.cancelled() => return Ok(()),
                }
            }
        });
    }

    /// If a question named another log: says so. The first is told of, for each partition has logs of its own.
    pub(super) fn notice(&self, error: &ApiError) {
        let ApiError::OtherLog { model, partition, current, asked } = error else { return };
        self.with(|seen| {
            let is_first = seen.last.replace(Instant::now()).is_none();
            if let Some(readiness) = seen.readiness.as_ref().filter(|_| is_first) {
                readiness.up_though(format!(
                    "log-mismatch: a consistency token is of log {asked} in partition {partition}, and read model {model} is made of log \
                     {current}; if it is of a write just made, the topic was replaced, or command services and projectors are configured for \
                     different ones: see \"A log that was replaced\" in docs/operating.md"
                ));
            }
        });
    }

    fn forget_before(&self, now: Instant) {
        self.with(|seen| {
            if seen.last.is_some_and(|last| now.saturating_duration_since(last) >= TOLD_FOR) {
                seen.last = None;
                seen.readiness.iter().for_each(Dependency::up);
            }
        });
    }

    fn with<T>(&self, change: impl FnOnce(&mut Seen) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use read_models::LogId;
    use toolkit::lifecycle::Lifecycle;

    use super::*;

    #[tokio::test]
    async fn another_log_is_told_of_while_tokens_of_it_come_and_a_while_longer() {
        let (lifecycle, logs) = (Lifecycle::new(), OtherLogs::default());
        let [current, asked] = [1, 2].map(|number| LogId::from_number(number).unwrap());
        logs.tell(&lifecycle);
        let told = || serde_json::to_string(&lifecycle.readiness().status()).unwrap();
        logs.notice(&ApiError::Internal("something else".to_owned()));
        assert!(!told().contains("log-mismatch"), "{}", told());
        logs.notice(&ApiError::OtherLog { model: "products", partition: 3, current, asked });
        assert!(told().contains("log-mismatch") && told().contains("docs/operating.md"), "{}", told());
        assert!(lifecycle.readiness().is_ready(), "it can be read");
        logs.forget_before(Instant::now() + TOLD_FOR / 2);
        assert!(told().contains("log-mismatch"));
        logs.forget_before(Instant::now() + TOLD_FOR * 2);
        assert!(!told().contains("log-mismatch"), "{}", told());
    }
}
