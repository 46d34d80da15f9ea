use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use edge::limits::Account;
use futures::FutureExt;
use read_models::model::Position;
use read_models::{LogId, Version};

use super::super::quota::{Crowd, Quotas};
use super::*;
use crate::config::QueriesConfig;

const MODEL: &str = "products";

fn token() -> ConsistencyToken {
    ConsistencyToken {
        partition: 3,
        offset: 41,
        product: "p-1".try_into().unwrap(),
        version: Version(7),
        log: None,
    }
}

fn place(max_waiting: usize) -> Place {
    Quotas::new(&QueriesConfig { max_waiting, ..QueriesConfig::default() })
        .enter(&Account::default())
        .unwrap()
}

/// A partition at a position, and how often it was looked at.
fn partition(position: i64) -> (Watcher<ApiError>, Arc<AtomicI64>, Arc<AtomicUsize>) {
    let (position, looks) = (Arc::new(AtomicI64::new(position)), Arc::new(AtomicUsize::new(0)));
    let (at, counter) = (position.clone(), looks.clone());
    let watcher = Watcher::new(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        let at = at.load(Ordering::SeqCst);
        async move { Ok(at) }.boxed()
    });
    (watcher, position, looks)
}

fn at(version: u64) -> Look<u64> {
    if version >= 7 { Look::Reached(version) } else { Look::At(Some(version)) }
}

#[tokio::test]
async fn a_row_that_is_new_enough_is_the_answer_at_the_first_look() {
    let ((watcher, _, looks), token, mut place) = (partition(0), token(), place(1));
    let mut wait = Wait::new(&token, Duration::from_mins(1), &mut place);
    assert_eq!(wait.for_row(MODEL, &watcher, || async { Ok(at(8)) }).await.unwrap(), 8);
    assert_eq!(looks.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn without_budget_there_is_one_look_and_no_wait() {
    let ((watcher, _, looks), token, mut place) = (partition(0), token(), place(1));
    let mut wait = Wait::new(&token, Duration::ZERO, &mut place);
    let rows = Cell::new(0);
    let look = || {
        rows.set(rows.get() + 1);
        async { Ok(at(6)) }
    };
    let behind = wait.for_row(MODEL, &watcher, look).await.unwrap_err();
    assert!(matches!(behind, ApiError::Behind { unit: Unit::Version, at: 6, asked: 7, .. }), "{behind}");
    assert_eq!((rows.get(), looks.load(Ordering::SeqCst)), (1, 0));
    let behind = wait.for_position(MODEL, &watcher).await.unwrap_err();
    assert!(matches!(behind, ApiError::Behind { unit: Unit::Position, at: 0, asked: 42, .. }), "{behind}");
    assert_eq!(looks.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_row_that_is_too_old_is_looked_at_again_when_its_partition_is_applied() {
    let ((watcher, position, _), token, mut place) = (partition(40), token(), place(1));
    let mut wait = Wait::new(&token, Duration::from_mins(1), &mut place);
    let rows = Cell::new(0);
    let look = || {
        rows.set(rows.get() + 1);
        let is_applied = position.load(Ordering::SeqCst) > 41;
        async move { Ok(at(if is_applied { 7 } else { 6 })) }
    };
    let apply = async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        position.store(42, Ordering::SeqCst);
    };
    let (found, ()) = tokio::join!(wait.for_row(MODEL, &watcher, look), apply);
    assert_eq!((found.unwrap(), rows.get()), (7, 2));
}

#[tokio::test]
async fn a_row_that_was_lost_is_waited_for_and_never_answered_as_it_is() {
    let ((watcher, _, _), token, mut place) = (partition(42), token(), place(1));
    let started = Instant::now();
    let restored =
        || async move { Ok(at(if started.elapsed() > Duration::from_millis(600) { 7 } else { 2 })) };
    let mut wait = Wait::new(&token, Duration::from_millis(300), &mut place);
    let behind = wait.for_row(MODEL, &watcher, restored).await.unwrap_err();
    assert!(matches!(behind, ApiError::Behind { unit: Unit::Version, at: 2, asked: 7, .. }), "{behind}");
    drop(wait);
    let mut wait = Wait::new(&token, Duration::from_secs(10), &mut place);
    assert_eq!(wait.for_row(MODEL, &watcher, restored).await.unwrap(), 7);
    drop(wait);
    let mut wait = Wait::new(&token, Duration::ZERO, &mut place);
    let lost = wait.until_there(MODEL, || async { Ok(Look::<()>::At(None)) }).await.unwrap_err();
    assert!(matches!(lost, ApiError::Lost { version: 7, .. }), "{lost}");
}

#[tokio::test]
async fn without_a_place_to_wait_what_need_not_wait_is_still_answered() {
    let ((watcher, position, _), token) = (partition(42), token());
    let (quotas, who) =
        (Quotas::new(&QueriesConfig { max_waiting: 1, ..QueriesConfig::default() }), Account::default());
    let mut other = quotas.enter(&who).unwrap();
    other.begin_to_wait().unwrap();
    let mut place = quotas.enter(&who).unwrap();
    let mut wait = Wait::new(&token, Duration::from_mins(1), &mut place);
    assert_eq!(wait.for_position(MODEL, &watcher).await.unwrap(), 42);
    drop(wait);
    position.store(50, Ordering::SeqCst);
    let later = ConsistencyToken { offset: 90, ..token.clone() };
    let mut wait = Wait::new(&later, Duration::from_mins(1), &mut place);
    let full = wait.for_position(MODEL, &watcher).await.unwrap_err();
    assert!(matches!(full, ApiError::Overloaded { crowd: Crowd::Waiting, max: 1 }), "{full}");
}

/// A partition of this log that is applied below this position, and how often it was looked at.
fn of_log(log: u64, position: i64) -> (Watcher<ApiError>, Arc<AtomicUsize>) {
    let looks = Arc::new(AtomicUsize::new(0));
    let (counter, log) = (looks.clone(), LogId::from_number(log));
    let watcher = Watcher::new(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        async move { Ok(Position { applied: position, durable: position, log }) }.boxed()
    });
    (watcher, looks)
}

#[tokio::test]
async fn a_read_model_of_another_log_is_told_at_once_however_far_it_is_and_whatever_its_rows_say() {
    let token = ConsistencyToken { log: LogId::from_number(2), ..token() };
    for position in [1, 42, 1_000] {
        let ((watcher, _), mut place) = (of_log(1, position), place(1));
        let mut wait = Wait::new(&token, Duration::from_mins(1), &mut place);
        let rows = || async { Ok(at(8)) };
        for refused in
            [wait.for_position(MODEL, &watcher).await.err(), wait.for_row(MODEL, &watcher, rows).await.err()]
        {
            assert!(matches!(refused, Some(ApiError::OtherLog { partition: 3, .. })), "{refused:?}");
        }
    }
}

#[tokio::test]
async fn a_read_model_of_the_tokens_log_is_looked_at_once_for_that() {
    let token = ConsistencyToken { log: LogId::from_number(2), ..token() };
    let ((watcher, looks), mut place) = (of_log(2, 1), place(1));
    let mut wait = Wait::new(&token, Duration::from_mins(1), &mut place);
    for _ in 0..3 {
        assert_eq!(wait.for_row(MODEL, &watcher, || async { Ok(at(8)) }).await.unwrap(), 8);
    }
    assert_eq!(looks.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_token_of_an_earlier_release_and_a_position_of_one_say_nothing_of_logs() {
    for (log, watcher) in [(None, of_log(1, 42).0), (LogId::from_number(2), partition(42).0)] {
        let (token, mut place) = (ConsistencyToken { log, ..token() }, place(1));
        let mut wait = Wait::new(&token, Duration::from_mins(1), &mut place);
        assert_eq!(wait.for_position(MODEL, &watcher).await.unwrap(), 42);
    }
}
