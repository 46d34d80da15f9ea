//! "Not before my write": waiting until a read model has come as far as a consistency token, or saying how far it is.
//!
//! Promises: nothing is answered before the bound is reached, no wait is longer than its budget by more than one look
//! at the store, and a read without a token never waits.

use std::time::Duration;

use contract::ConsistencyToken;
use tokio::time::{Instant, sleep};

/// What a read asks of the read model's freshness.
#[derive(Clone, Debug, Default)]
pub(crate) struct Freshness {
    /// The write to wait for; none: whatever the read model holds.
    pub(crate) token: Option<ConsistencyToken>,
    /// How long to wait for it.
    pub(crate) wait: Duration,
}

/// One look at a store.
#[derive(Debug)]
pub(crate) enum Look<T> {
    /// The store has come far enough; this is the answer.
    Reached(T),
    /// It has come only this far: a product's version, or a partition's position.
    At(i64),
}

/// What a wait came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Waited<T> {
    Reached(T),
    /// The budget is used up; at the last look the store was here.
    StillAt(i64),
}

/// The first pause between two looks; each next one is twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Looks until the store has come far enough or `budget` is over. There is always one look, and the last look is at
/// the end of the budget. An error of a look ends the wait: it is the caller's answer.
pub(crate) async fn wait_until<T, E, F>(budget: Duration, mut look: impl FnMut() -> F) -> Result<Waited<T>, E>
where
    F: Future<Output = Result<Look<T>, E>>,
{
    let end = Instant::now() + budget;
    let mut pause = FIRST_PAUSE;
    loop {
        let at = match look().await? {
            Look::Reached(value) => return Ok(Waited::Reached(value)),
            Look::At(at) => at,
        };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(Waited::StillAt(at));
        }
        sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    const NO_TIME: Duration = Duration::ZERO;
    const SOME_TIME: Duration = Duration::from_millis(40);
    const MUCH_TIME: Duration = Duration::from_mins(1);

    #[tokio::test]
    async fn a_store_that_is_far_enough_answers_at_the_first_look() {
        let looks = Cell::new(0);
        let waited = wait_until(MUCH_TIME, || {
            looks.set(looks.get() + 1);
            async { Ok::<_, Infallible>(Look::Reached("row")) }
        });
        assert_eq!(waited.await, Ok(Waited::Reached("row")));
        assert_eq!(looks.get(), 1);
    }

    #[tokio::test]
    async fn without_budget_there_is_one_look_and_no_wait() {
        let looks = Cell::new(0);
        let waited = wait_until(NO_TIME, || {
            looks.set(looks.get() + 1);
            async { Ok::<Look<()>, Infallible>(Look::At(7)) }
        });
        assert_eq!(waited.await, Ok(Waited::StillAt(7)));
        assert_eq!(looks.get(), 1);
    }

    #[tokio::test]
    async fn a_store_that_catches_up_in_time_answers_then() {
        let looks = Cell::new(0);
        let waited = wait_until(MUCH_TIME, || {
            looks.set(looks.get() + 1);
            let now = looks.get();
            async move { Ok::<_, Infallible>(if now < 4 { Look::At(now) } else { Look::Reached(now) }) }
        });
        assert_eq!(waited.await, Ok(Waited::Reached(4)));
    }

    #[tokio::test]
    async fn a_used_up_budget_tells_how_far_the_store_was_at_the_last_look() {
        let looks = Cell::new(0);
        let started = Instant::now();
        let waited = wait_until(SOME_TIME, || {
            looks.set(looks.get() + 1);
            let now = looks.get();
            async move { Ok::<Look<()>, Infallible>(Look::At(now)) }
        });
        let waited = waited.await;
        assert_eq!(waited, Ok(Waited::StillAt(looks.get())));
        assert!(looks.get() >= 3, "{} looks", looks.get());
        assert!(started.elapsed() >= SOME_TIME);
    }

    #[tokio::test]
    async fn an_error_of_the_store_ends_the_wait_at_once() {
        let waited = wait_until(MUCH_TIME, || async { Err::<Look<()>, _>("store is away") });
        assert_eq!(waited.await, Err("store is away"));
    }
}
