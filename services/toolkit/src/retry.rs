//! Trying again: back-off with jitter, until it works, a final error comes, or somebody says stop.
//!
//! Promises: only transient errors are tried again; nothing is tried after the token is cancelled; whoever watches the
//! dependency is told of each change between working and not.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

/// An error that knows whether the same attempt may succeed later.
pub trait Transient: fmt::Display {
    fn is_transient(&self) -> bool;
}

/// Why it was not tried again.
#[derive(Debug, thiserror::Error)]
pub enum GaveUp<E> {
    /// Trying again, unchanged, cannot help.
    #[error("{0}")]
    Final(E),
    /// The token was cancelled; `last` is what the last attempt said.
    #[error("stopped while trying again; the last attempt said: {last}")]
    Cancelled { last: E },
}

impl<E> GaveUp<E> {
    /// The same outcome with another error type.
    pub fn map<F>(self, to: impl FnOnce(E) -> F) -> GaveUp<F> {
        match self {
            Self::Final(error) => GaveUp::Final(to(error)),
            Self::Cancelled { last } => GaveUp::Cancelled { last: to(last) },
        }
    }
}

type Watcher = Arc<dyn Fn(Result<(), &str>) + Send + Sync>;

/// How to try again. Cheap to clone.
#[derive(Clone)]
pub struct Retry {
    shutdown: CancellationToken,
    first: Duration,
    longest: Duration,
    watcher: Option<Watcher>,
}

impl fmt::Debug for Retry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retry")
            .field("first", &self.first)
            .field("longest", &self.longest)
            .finish_non_exhaustive()
    }
}

impl Retry {
    /// Tries for ever, first after 50 ms, then twice as long each time up to 5 s, until `shutdown`.
    pub fn until(shutdown: CancellationToken) -> Self {
        Self { shutdown, first: Duration::from_millis(50), longest: Duration::from_secs(5), watcher: None }
    }

    /// Changes the first and the longest wait.
    #[must_use]
    pub fn waiting(mut self, first: Duration, longest: Duration) -> Self {
        (self.first, self.longest) = (first, longest);
        self
    }

    /// Tells `watcher` how each attempt went: `Ok` or the transient error's text.
    #[must_use]
    pub fn watched(mut self, watcher: impl Fn(Result<(), &str>) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Arc::new(watcher));
        self
    }

    /// Runs `attempt` until it succeeds. `what` completes the sentence "could not ..." in the log.
    pub async fn run<T, E, F, Fut>(&self, what: &str, mut attempt: F) -> Result<T, GaveUp<E>>
    where
        E: Transient,
        F: FnMut() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        let mut waits = self.waits();
        loop {
            match attempt().await {
                Ok(done) => {
                    self.report(Ok(()));
                    return Ok(done);
                }
                Err(error) if !error.is_transient() => return Err(GaveUp::Final(error)),
                Err(error) => waits.wait(what, error).await?,
            }
        }
    }

    /// The waits between attempts, for a loop that keeps more than a single result.
    pub fn waits(&self) -> Waits<'_> {
        Waits { retry: self, attempts: 0 }
    }

    /// Tells the watcher that an attempt succeeded or failed.
    pub fn report(&self, outcome: Result<(), &str>) {
        if let Some(watcher) = &self.watcher {
            watcher(outcome);
        }
    }
}

/// The waits of one operation: each longer than the one before.
#[derive(Debug)]
pub struct Waits<'a> {
    retry: &'a Retry,
    attempts: u32,
}

impl Waits<'_> {
    /// Waits after a transient `error`; an error means the token was cancelled meanwhile.
    pub async fn wait<E: fmt::Display>(&mut self, what: &str, error: E) -> Result<(), GaveUp<E>> {
        let text = error.to_string();
        self.retry.report(Err(&text));
        let longest = self.retry.first.saturating_mul(1 << self.attempts.min(16)).min(self.retry.longest);
        self.attempts += 1;
        // Half of it is jitter, so that those who failed together do not come back together.
        let wait = longest.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        tracing::warn!(
            attempt = self.attempts,
            wait_ms = wait.as_millis() as u64,
            "could not {what}: {text}; trying again"
        );
        tokio::select! {
            () = tokio::time::sleep(wait) => Ok(()),
            () = self.retry.shutdown.cancelled() => Err(GaveUp::Cancelled { last: error }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug, PartialEq)]
    struct Failure {
        transient: bool,
    }

    impl fmt::Display for Failure {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the store is away")
        }
    }

    impl Transient for Failure {
        fn is_transient(&self) -> bool {
            self.transient
        }
    }

    fn quick(token: CancellationToken) -> Retry {
        Retry::until(token).waiting(Duration::from_micros(10), Duration::from_micros(100))
    }

    #[tokio::test]
    async fn transient_failures_are_tried_again_and_the_watcher_hears_of_each() {
        let (failures, successes) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let (failed, succeeded) = (Arc::clone(&failures), Arc::clone(&successes));
        let retry = quick(CancellationToken::new()).watched(move |outcome| {
            let counter = if outcome.is_ok() { &succeeded } else { &failed };
            counter.fetch_add(1, Ordering::Relaxed);
        });
        let attempts = AtomicU32::new(0);
        let attempt = || async {
            let attempt = attempts.fetch_add(1, Ordering::Relaxed);
            if attempt < 20 { Err(Failure { transient: true }) } else { Ok(attempt) }
        };
        assert_eq!(retry.run("write", attempt).await.unwrap(), 20);
        assert_eq!((failures.load(Ordering::Relaxed), successes.load(Ordering::Relaxed)), (20, 1));
    }

    #[tokio::test]
    async fn a_final_failure_is_not_tried_again() {
        let attempts = AtomicU32::new(0);
        let attempt = || async {
            attempts.fetch_add(1, Ordering::Relaxed);
            Err::<(), _>(Failure { transient: false })
        };
        let ended = quick(CancellationToken::new()).run("write", attempt).await;
        assert!(matches!(ended, Err(GaveUp::Final(Failure { transient: false }))));
        assert_eq!(attempts.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn nothing_is_tried_after_the_token_is_cancelled() {
        let token = CancellationToken::new();
        let attempt = || async {
            token.cancel();
            Err::<(), _>(Failure { transient: true })
        };
        let retry = Retry::until(token.clone()).waiting(Duration::from_mins(1), Duration::from_mins(1));
        assert!(matches!(retry.run("write", attempt).await, Err(GaveUp::Cancelled { .. })));
    }
}
