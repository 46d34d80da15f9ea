use std::collections::VecDeque;

use adapter_search::SearchError;
use read_models::Error;
use read_models::model::Position;
use std::sync::Arc;

use super::*;

/// Tells one thing after another; `None` in the outer place: it is away.
#[derive(Debug, Clone)]
struct Told(Arc<Mutex<VecDeque<Answer>>>);

/// A store is away, does not tell, or tells.
type Answer = Option<Option<Starts>>;

/// `a1 b7`: process a was started at 1, b at 7.
fn starts(text: &str) -> Starts {
    text.split_whitespace().map(|it| (it[..1].to_owned(), it[1..].to_owned())).collect()
}

impl Positions for Told {
    async fn read(&self, _group: &str, _partition: i32) -> Result<Option<Position>, Error> {
        Ok(None)
    }

    async fn write(&self, _group: &str, _partition: i32, _position: Position) -> Result<(), Error> {
        Ok(())
    }

    async fn is_there(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn starts(&self) -> Result<Option<Starts>, Error> {
        let away = || SearchError::Unreachable { request: String::new(), problem: String::new() }.into();
        self.0.lock().unwrap().pop_front().unwrap().ok_or_else(away)
    }
}

/// After which of the looks everything was taken over again.
#[expect(clippy::option_option, reason = "as above")]
async fn takeovers(told: &[Option<Option<&str>>]) -> Vec<u64> {
    let durability = Durability::new(Duration::from_secs(15));
    let told: VecDeque<_> = told.iter().map(|it| it.map(|it| it.map(starts))).collect();
    let store = Told(Arc::new(Mutex::new(told.clone())));
    let mut numbers = Vec::new();
    for _ in told {
        let _seen = durability.look(&store).await;
        numbers.push(*durability.takeovers.borrow());
    }
    numbers
}

#[tokio::test]
async fn a_store_that_was_started_anew_is_noticed_also_if_nobody_saw_it_away() {
    assert_eq!(takeovers(&[Some(Some("a1")), Some(Some("a1")), Some(Some("a2"))]).await, [0, 0, 1]);
    assert_eq!(takeovers(&[Some(Some("a1")), None, Some(Some("a2")), Some(Some("a2"))]).await, [0, 0, 1, 1]);
    assert_eq!(takeovers(&[Some(Some("a1")), None, Some(Some("a1"))]).await, [0, 0, 0], "a cut connection");
}

#[tokio::test]
async fn a_process_that_does_not_answer_or_is_new_is_no_reason_and_its_new_start_is_noticed_later() {
    let told = ["a1 b1", "b1", "a1 b1 c1", "b1", "a2 b1 c1", "c1 b1 a2"].map(|it| Some(Some(it)));
    assert_eq!(takeovers(&told).await, [0, 0, 0, 0, 1, 1]);
}

#[tokio::test]
async fn a_store_that_does_not_tell_is_suspected_when_it_was_away() {
    assert_eq!(
        takeovers(&[Some(None), Some(None), None, None, Some(None), Some(None)]).await,
        [0, 0, 0, 0, 1, 1]
    );
}

#[tokio::test]
async fn no_position_is_durable_after_a_failure_until_the_store_was_looked_at() {
    let durability = Durability::new(Duration::ZERO);
    let told = ["a1", "a1", "a2"].map(|it| Some(Some(starts(it))));
    let store = Told(Arc::new(Mutex::new(told.into())));
    let (takeovers, mut trail) = (durability.subscribe(), Trail::new(3));
    trail.acknowledged(Instant::now(), 9);
    durability.look(&store).await.unwrap();
    assert_eq!(durability.durable(&takeovers, &mut trail), Durable::Until(9));
    durability.failed();
    assert_eq!(durability.durable(&takeovers, &mut trail), Durable::Unknown);
    durability.look(&store).await.unwrap();
    assert_eq!(durability.durable(&takeovers, &mut trail), Durable::Until(9), "it is the same process");
    durability.look(&store).await.unwrap();
    assert_eq!(durability.durable(&takeovers, &mut trail), Durable::TakeOver);
    assert_eq!(durability.durable(&durability.subscribe(), &mut trail), Durable::Until(9));
}

#[tokio::test]
async fn what_was_acknowledged_is_on_disk_when_a_later_look_found_no_new_start() {
    let told =
        |all: &[&str]| Told(Arc::new(Mutex::new(all.iter().map(|it| Some(Some(starts(it)))).collect())));
    let (durability, store) = (Durability::new(Duration::from_millis(20)), told(&["a1", "a1", "a1", "a2"]));
    let takeovers = durability.subscribe();
    let acknowledged = Instant::now();
    durability.look(&store).await.unwrap();
    assert!(!durability.is_durable_since(&takeovers, acknowledged), "the look was too soon");
    tokio::time::sleep(Duration::from_millis(30)).await;
    assert!(!durability.is_durable_since(&takeovers, acknowledged), "nobody has looked since");
    durability.look(&store).await.unwrap();
    assert!(durability.is_durable_since(&takeovers, acknowledged));
    durability.failed();
    assert!(!durability.is_durable_since(&takeovers, acknowledged));
    durability.look(&store).await.unwrap();
    assert!(durability.is_durable_since(&takeovers, acknowledged));
    durability.look(&store).await.unwrap();
    assert!(!durability.is_durable_since(&takeovers, acknowledged), "it was started anew");
}

#[tokio::test]
async fn what_cannot_be_lost_is_on_disk_at_once() {
    let durability = Durability::new(Duration::from_secs(15));
    let (takeovers, store) =
        (durability.subscribe(), Told(Arc::new(Mutex::new([Some(Some(starts("")))].into()))));
    assert!(!durability.is_durable_since(&takeovers, Instant::now()), "nobody has looked yet");
    durability.look(&store).await.unwrap();
    assert!(durability.is_durable_since(&takeovers, Instant::now()));
}
