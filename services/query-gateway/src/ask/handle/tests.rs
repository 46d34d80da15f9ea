use std::sync::atomic::Ordering;

use contract::code::Code;
use futures::future::join_all;
use futures::poll;
use read_models::{ProductId, products};

use super::*;
use crate::tests::made::{Made, generation};

const PACE: Pace = Pace { every: Duration::from_millis(10), believed: Duration::from_millis(200) };

type Handle = ReadModelHandle<products::Queries>;

/// A handle that follows these builds and is not told of anything by itself.
fn following(made: &Arc<Made>) -> Handle {
    let handle = Handle::new(&Config::default());
    handle.follow(Arc::clone(made) as Arc<dyn Published>, PACE, made.products());
    handle
}

fn terms(build: &str) -> Terms {
    let build = Some(build).filter(|it| !it.is_empty()).map(|it| it.parse().unwrap());
    Terms { build, ..Terms::default() }
}

/// The version that a product has, which says of which build it is, and the build that is told.
async fn asked(handle: &Handle, build: &str) -> Result<(u64, Option<u32>), ApiError> {
    let id = ProductId::parse("p-1").unwrap();
    let question = async |from: &Reader<products::Queries>| from.ask(|q| q.product(&id)).await;
    let Answer { found, build } = handle.ask(&terms(build), question).await?;
    Ok((found.unwrap().product.version.get(), build.map(Generation::get)))
}

async fn refused(handle: &Handle, build: &str) -> Code {
    asked(handle, build).await.unwrap_err().code()
}

#[tokio::test]
async fn a_question_is_answered_from_the_build_that_it_names() {
    let made = Made::of([1, 2]);
    made.name("black-friday", 2);
    let handle = following(&made);
    assert_eq!(asked(&handle, "").await.unwrap(), (1, None));
    for (build, answered) in [("1", 1), ("g1", 1), ("g2", 2), ("2", 2), ("black-friday", 2)] {
        assert_eq!(asked(&handle, build).await.unwrap(), (u64::from(answered), Some(answered)), "{build}");
    }
    assert_eq!(made.opened.load(Ordering::SeqCst), 2, "each once: what is read was open already");
    for none in ["g3", "4294967295", "red-friday"] {
        assert_eq!(refused(&handle, none).await, Code::BuildNotFound, "{none}");
    }
    // What is read may change meanwhile.
    made.publish(2);
    tokio::time::sleep(PACE.believed).await;
    assert_eq!(asked(&handle, "").await.unwrap(), (2, None));
    assert_eq!(asked(&handle, "g1").await.unwrap(), (1, Some(1)));
}

#[tokio::test]
async fn many_who_ask_at_once_open_a_build_once_and_look_its_name_up_once() {
    let made = Made::of([1, 2]);
    made.name("black-friday", 2);
    let handle = following(&made);
    let answers = join_all((0..200).map(|_| asked(&handle, "black-friday"))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok((2, Some(2))))), "{answers:?}");
    assert_eq!(made.opened.load(Ordering::SeqCst), 1);
    assert_eq!(made.looked_up.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn one_who_leaves_takes_nobody_along() {
    let made = Made::of([1, 2]);
    let handle = following(&made);
    let (mut leaving, mut staying) = (Box::pin(asked(&handle, "g2")), Box::pin(asked(&handle, "g2")));
    assert!(poll!(&mut leaving).is_pending() && poll!(&mut staying).is_pending());
    drop(leaving);
    assert_eq!(staying.await.unwrap(), (2, Some(2)));
}

#[tokio::test]
async fn a_name_is_believed_for_a_while_whether_there_is_one_or_not() {
    let made = Made::of([1, 2, 3]);
    let handle = following(&made);
    assert_eq!(refused(&handle, "black-friday").await, Code::BuildNotFound);
    for build in [2, 3] {
        made.name("black-friday", build);
        tokio::time::sleep(PACE.believed).await;
        assert_eq!(asked(&handle, "black-friday").await.unwrap().1, Some(build));
        asked(&handle, "black-friday").await.unwrap();
    }
    assert_eq!(made.looked_up.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_build_that_is_dropped_is_none_and_a_store_that_is_away_is_away() {
    let made = Made::of([1, 2, 3]);
    made.name("black-friday", 3);
    let handle = following(&made);
    for build in ["", "g2", "black-friday"] {
        asked(&handle, build).await.unwrap();
    }
    made.up(false);
    for build in ["g1", "g2", "black-friday"] {
        assert_eq!(refused(&handle, build).await, Code::StoreUnavailable, "{build}");
    }
    made.up(true);
    for build in ["g1", "g2", "black-friday"] {
        asked(&handle, build).await.unwrap();
    }
    made.drop_build(2);
    made.drop_build(3);
    for build in ["g2", "black-friday", "g2"] {
        assert_eq!(refused(&handle, build).await, Code::BuildNotFound, "{build}");
    }
    // What is read and was lost is built again: that is no question of which build.
    made.drop_build(1);
    for build in ["", "g1"] {
        assert_eq!(refused(&handle, build).await, Code::StoreUnavailable, "{build}");
    }
}

#[tokio::test]
async fn a_build_that_takes_too_long_to_open_costs_no_more_than_a_store_may_take() {
    let made = Made::opening_in(Duration::from_mins(1), [1, 2]);
    let mut config = Config::default();
    config.queries.store_timeout_ms = 50;
    let handle = Handle::new(&config);
    handle.follow(Arc::clone(&made) as Arc<dyn Published>, PACE, made.products());
    let begun = Instant::now();
    let asked = join_all(["g2", "black-friday", "g2"].map(|build| refused(&handle, build))).await;
    assert_eq!(asked, [Code::StoreUnavailable; 3]);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn builds_that_were_not_asked_for_long_are_opened_again() {
    let made = Made::of(1..=20);
    let handle = following(&made);
    for build in (2..=20).chain(2..=20) {
        assert_eq!(asked(&handle, &build.to_string()).await.unwrap().1, Some(build));
    }
    assert_eq!(made.opened.load(Ordering::SeqCst), 38);
    asked(&handle, "20").await.unwrap();
    assert_eq!(made.opened.load(Ordering::SeqCst), 38, "the last ones are kept");
}

#[tokio::test]
async fn without_anything_to_follow_there_is_the_build_that_was_opened() {
    let handle = Handle::new(&Config::default());
    for build in ["", "g1", "black-friday"] {
        assert_eq!(refused(&handle, build).await, Code::StoreUnavailable, "{build}: not connected yet");
    }
    handle.opened(generation(1), made_queries().await);
    assert_eq!(asked(&handle, "g1").await.unwrap(), (1, Some(1)));
    for none in ["g2", "black-friday"] {
        assert_eq!(refused(&handle, none).await, Code::BuildNotFound, "{none}");
    }
}

async fn made_queries() -> products::Queries {
    Made::of([1]).products()(generation(1)).await.unwrap()
}

#[tokio::test]
async fn a_process_that_keeps_following_is_told_by_itself_until_its_work_ends() {
    let made = Made::of([1, 2]);
    let (handle, lifecycle) = (Handle::new(&Config::default()), Lifecycle::new().without_signals());
    let published = Arc::clone(&made) as Arc<dyn Published>;
    handle.keep_following(published, PACE, made.products(), &lifecycle);
    assert_eq!(asked(&handle, "").await.unwrap(), (1, None));
    made.publish(2);
    let is_second = || handle.current.reader.load().as_ref().is_some_and(|it| it.generation == generation(2));
    timeout(Duration::from_secs(10), async {
        while !is_second() {
            tokio::time::sleep(PACE.every).await;
        }
    })
    .await
    .unwrap();
    lifecycle.shutdown().cancel();
    timeout(Duration::from_secs(20), lifecycle.run()).await.unwrap().unwrap();
}
