use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};

use futures::FutureExt;
use futures::future::join_all;

use super::*;

/// Of a log that is not known.
impl From<i64> for At {
    fn from(position: i64) -> Self {
        Self { position, log: None }
    }
}

/// A partition whose position is set from outside, and how often it was looked at.
#[derive(Clone, Default)]
struct Partition {
    position: Arc<AtomicI64>,
    looks: Arc<AtomicUsize>,
}

impl Partition {
    fn watcher(&self) -> Watcher<&'static str> {
        let this = self.clone();
        Watcher::new(move |_| {
            this.looks.fetch_add(1, Ordering::SeqCst);
            let position = this.position.load(Ordering::SeqCst);
            async move {
                sleep(Duration::from_millis(1)).await;
                if position < 0 { Err("store is away") } else { Ok(position) }
            }
            .boxed()
        })
    }

    fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }
}

fn within(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}

#[tokio::test]
async fn however_many_wait_one_loop_looks() {
    let partition = Partition::default();
    let watcher = partition.watcher();
    let started = Instant::now();
    let waits = (0..300).map(|_| watcher.wait_past(3, 10, within(500)));
    let waited = join_all(waits).await;
    assert!(waited.iter().all(|waited| *waited == Ok(Waited::StillAt(0))), "{waited:?}");
    assert!(started.elapsed() >= Duration::from_millis(500));
    assert!((2..30).contains(&partition.looks()), "{} looks", partition.looks());
}

#[tokio::test]
async fn all_who_wait_learn_of_progress_and_the_loop_ends() {
    let partition = Partition::default();
    let watcher = partition.watcher();
    let position = partition.position.clone();
    let progress = async {
        sleep(Duration::from_millis(30)).await;
        position.store(11, Ordering::SeqCst);
    };
    let (waited, ()) =
        tokio::join!(join_all((0..50).map(|_| watcher.wait_past(3, 10, within(10_000)))), progress);
    assert!(waited.iter().all(|waited| *waited == Ok(Waited::Reached(11))), "{waited:?}");
    sleep(Duration::from_millis(120)).await;
    let looks = partition.looks();
    sleep(Duration::from_millis(120)).await;
    assert_eq!(partition.looks(), looks, "nobody waits");
    assert!(locked(&watcher.shared).loops.is_empty());
    assert_eq!(watcher.known_past(3, 10), Some(11));
    assert_eq!(watcher.known_past(3, 11), None);
    assert_eq!(watcher.known_past(4, 0), None);
}

#[tokio::test]
async fn who_leaves_leaves_no_loop_and_takes_nobody_along() {
    let partition = Partition::default();
    let watcher = partition.watcher();
    let leaving = tokio::time::timeout(Duration::from_millis(20), watcher.wait_past(3, 10, within(10_000)));
    let (left, stayed) = tokio::join!(leaving, watcher.wait_past(3, 10, within(100)));
    assert!(left.is_err());
    assert_eq!(stayed, Ok(Waited::StillAt(0)));
    let alone = watcher.wait_past(3, 10, within(10_000));
    assert!(tokio::time::timeout(Duration::from_millis(20), alone).await.is_err());
    sleep(Duration::from_millis(120)).await;
    let looks = partition.looks();
    sleep(Duration::from_millis(120)).await;
    assert_eq!(partition.looks(), looks);
    assert!(locked(&watcher.shared).loops.is_empty());
}

#[tokio::test]
async fn an_error_is_the_answer_of_all_and_the_next_who_waits_looks_again() {
    let partition = Partition::default();
    partition.position.store(-1, Ordering::SeqCst);
    let watcher = partition.watcher();
    let waited = join_all((0..20).map(|_| watcher.wait_past(3, 10, within(10_000)))).await;
    assert!(waited.iter().all(|waited| *waited == Err("store is away")), "{waited:?}");
    assert_eq!(partition.looks(), 1);
    partition.position.store(20, Ordering::SeqCst);
    assert_eq!(watcher.wait_past(3, 10, within(10_000)).await, Ok(Waited::Reached(20)));
}

#[tokio::test]
async fn a_wait_of_no_time_is_still_one_look() {
    let partition = Partition::default();
    partition.position.store(7, Ordering::SeqCst);
    let watcher = partition.watcher();
    assert_eq!(watcher.wait_past(3, 10, Instant::now()).await, Ok(Waited::StillAt(7)));
    assert_eq!(watcher.look_once(3, 6).await, Ok(Waited::Reached(7)));
    assert_eq!(partition.looks(), 2);
}

#[tokio::test]
async fn a_look_that_panics_leaves_nobody_waiting_for_ever() {
    let looks = Arc::new(AtomicUsize::new(0));
    let counter = looks.clone();
    let watcher: Watcher<&'static str> = Watcher::new(move |_| {
        let number = counter.fetch_add(1, Ordering::SeqCst);
        async move {
            assert!(number > 0, "the first look panics");
            Ok(42)
        }
        .boxed()
    });
    assert_eq!(watcher.wait_past(3, 10, within(10_000)).await, Ok(Waited::Reached(42)));
}

#[tokio::test]
async fn partitions_that_nobody_writes_take_no_memory_and_few_looks() {
    let partition = Partition::default();
    let watcher = partition.watcher();
    let waits = (0..1_000).map(|partition| watcher.wait_past(partition, 10, within(1_000)));
    join_all(waits).await;
    assert!(partition.looks() < 4_000, "{} looks in a second", partition.looks());
    assert!(locked(&watcher.shared).known.is_empty());
}

#[tokio::test]
async fn positions_of_another_log_say_nothing_of_those_before() {
    let at = Arc::new(Mutex::new(At { position: 100, log: LogId::from_number(1) }));
    let seen = Arc::clone(&at);
    let watcher: Watcher<()> = Watcher::new(move |_| {
        let at = *seen.lock().unwrap();
        async move { Ok(at) }.boxed()
    });
    let mut waited = Vec::new();
    for (position, log) in [(100, 1), (5, 2), (4, 2)] {
        *at.lock().unwrap() = At { position, log: LogId::from_number(log) };
        waited.push(watcher.look_once(3, 50).await.unwrap());
        assert_eq!(watcher.known_log(3), LogId::from_number(log));
    }
    assert_eq!(waited, [Waited::Reached(100), Waited::StillAt(5), Waited::StillAt(4)]);
    assert_eq!((watcher.known_past(3, 4), watcher.known_past(3, 5)), (Some(5), None));
    assert_eq!(watcher.known_log(4), None);
}
