//! Where a partition begins, for each place that the group's offset and the store's position can be at.

use std::convert::Infallible;
use std::time::Duration;

use adapter_registry::{LocalRegistry, Registry};
use event_reader::feed::{Command, EndOffsets, GroupServer};
use event_reader::{Decoder, LogLooks, LogReader};
use ledger::Partition;
use read_models::control::Builds;
use read_models::marks::Marks;
use read_models::model::{Position, Positions, Starts, Wanted, Writes};
use read_models::products::{ProductState, Products};
use read_models::testing::Unmarked;
use read_models::{Error, Generation, ReadModel};
use tokio::sync::watch;
use toolkit::lifecycle::Lifecycle;
use toolkit::retry::{GaveUp, Retry};
use toolkit::telemetry::Telemetry;

use super::*;
use crate::builds::{Positioned, Reached};
use crate::durability::Durability;
use crate::metrics::Metrics;
use crate::partition::{Decided, Followed, Refusals};
use crate::same_log::SameLog;
use crate::testing::{Letters, beginning};
use crate::watch::Progress;

mod bounds;
mod letters;

/// A store that has this position and nothing else.
#[derive(Debug, Clone)]
struct At(Option<Position>);

impl Positions for At {
    async fn read(&self, _group: &str, _partition: i32) -> Result<Option<Position>, Error> {
        Ok(self.0)
    }

    async fn write(&self, _group: &str, _partition: i32, _position: Position) -> Result<(), Error> {
        Ok(())
    }

    async fn is_there(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn starts(&self) -> Result<Option<Starts>, Error> {
        Ok(Some(Starts::new()))
    }
}

impl Store<Products> for At {
    type Positions = Self;

    async fn load(&self, wanted: &[Wanted]) -> Result<Vec<Option<ProductState>>, Error> {
        Ok(vec![None; wanted.len()])
    }

    async fn write(&self, _writes: Writes<Products>, _retry: &Retry) -> Result<(), GaveUp<Error>> {
        Ok(())
    }

    fn positions(&self) -> &Self {
        self
    }

    fn marks(&self) -> &dyn Marks {
        &Unmarked
    }
}

impl Reached for At {
    fn position<'a>(&'a self, _: Generation, _: &'a str, _: i32) -> Positioned<'a> {
        let position = self.0;
        Box::pin(async move { Ok(position) })
    }
}

async fn context<S: Store<Products> + Reached>(store: S, group: &Group) -> Context<Products, S> {
    let telemetry = Telemetry::detached("tester").unwrap();
    let lifecycle = Lifecycle::new();
    let schemas = Registry::Local(LocalRegistry::knowing("events")).of_topic("events");
    let retry = Retry::until(CancellationToken::new());
    let durability = Durability::new(Duration::from_secs(15));
    durability.look(store.positions()).await.unwrap();
    Context {
        group: "g".to_owned(),
        topic: "t".to_owned(),
        partitions: 1,
        states: 100,
        states_bytes: 1 << 20,
        unwritten_bytes: 1 << 20,
        handle: group.handle(),
        repairs: group.handle().ranges().clone(),
        decoder: Arc::new(Decoder::open(Arc::new(schemas), &retry).await.unwrap()),
        store: store.clone(),
        store_health: lifecycle.readiness().dependency("store"),
        registry_health: lifecycle.readiness().dependency("registry"),
        durability: Arc::new(durability),
        metrics: Metrics::new(&telemetry, "products"),
        traces: Metrics::new(&telemetry, "products").traces("kafka", ReadModel::Products),
        progress: Progress::default(),
        same_log: Arc::new(SameLog::new(looks(group), "t", Duration::ZERO)),
        letters: Arc::new(Letters::default()),
        letters_health: lifecycle.readiness().dependency("dead-letters"),
        refusals: Refusals::default(),
        decided: Decided {
            generation: Generation::FIRST,
            builds: watch::channel(Builds::first()).1,
            heard: None,
        },
        followed: Followed {
            reached: Arc::new(store),
            read_model: ReadModel::Products,
            group_prefix: "g".to_owned(),
        },
        _read_model: std::marker::PhantomData,
    }
}

fn looks(group: &Group) -> LogLooks {
    LogLooks::new(group.handle().ranges().clone(), group.handle().end_offsets().clone())
}

/// Where the first batch is asked for, when the group's offset is at `committed`.
async fn begun(committed: Offset, stored: Option<Position>) -> Offset {
    let mut served: Option<GroupServer> = None;
    let (ends, asked) = EndOffsets::channel("t");
    std::thread::spawn(move || asked.into_iter().for_each(|question| question.answer(Ok(1_000))));
    let log = LogReader { partitions: 1, ranges: beginning("the first"), ends };
    let group = Group::served(log, |server| {
        served = Some(server);
        Ok::<_, Infallible>(std::thread::current())
    });
    let (group, GroupServer { commands, events, .. }) = (group.unwrap(), served.unwrap());
    let context = context(At(stored), &group).await;
    let shutdown = CancellationToken::new();
    let member = tokio::spawn(Member::new(group, context).run(shutdown.clone()));
    let mut position = committed;
    // As an adapter: each claim is told with its position, and a seek makes another.
    for epoch in 1_u64.. {
        let claim = Claim { partition: Partition(0), epoch };
        events.send(GroupEvent::Assigned { claim, position }).await.unwrap();
        let commands = commands.clone();
        let command = tokio::task::spawn_blocking(move || commands.recv_timeout(Duration::from_mins(1)));
        match command.await.unwrap().unwrap() {
            Command::Seek(of, to) if of == claim => position = to,
            Command::Next(of) if of == claim => break,
            other => panic!("{other:?} while {claim:?} is the claim"),
        }
    }
    drop(events);
    assert!(member.await.unwrap().is_err(), "the group's member is gone");
    position
}

#[tokio::test]
async fn a_partition_begins_where_both_the_groups_offset_and_the_stores_durable_position_are_reached() {
    let at = |applied, durable| Some(Position { applied, durable, log: None });
    assert_eq!(begun(0, None).await, 0);
    assert_eq!(begun(7, None).await, 0, "the store lost its position, or was made anew: from the beginning");
    assert_eq!(begun(7, at(7, 7)).await, 7, "nothing twice");
    assert_eq!(begun(7, at(9, 9)).await, 7, "the offset was set back by hand, or lost its end");
    assert_eq!(begun(7, at(5, 5)).await, 5, "the store lost its end");
    assert_eq!(begun(7, at(7, 3)).await, 3, "the store may lose its end");
}
