//! How far a build goes, in each role: what it settles, and where it says that it stands.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use bytes::Bytes;
use contract::avro::{SchemaIds, encode};
use event_reader::feed::Commit;
use ledger::{Headers, LogRecord};
use read_models::builds::held_group;
use read_models::control::{Decision, Desk, Hold, Proposed, Role, Step, Switch};
use read_models::model::State;
use toolkit::journal::Journal;

use super::*;
use crate::testing::InMemory;

const GROUP: &str = "g";

/// Positions of groups, of one build or of several, and what was asked of the rows.
#[derive(Debug, Clone, Default)]
struct Shelf {
    positions: Arc<Mutex<BTreeMap<String, Position>>>,
    asked: Arc<Mutex<Asked>>,
}

#[derive(Debug, Default)]
struct Asked {
    /// Products whose states were loaded.
    loaded: usize,
    /// The versions of the states of each write.
    written: Vec<Vec<u64>>,
}

impl Shelf {
    fn put(&self, group: &str, applied: i64, durable: i64) {
        self.positions.lock().unwrap().insert(group.to_owned(), Position { applied, durable, log: None });
    }

    fn applied(&self, group: &str) -> Option<i64> {
        self.positions.lock().unwrap().get(group).map(|it| it.applied)
    }

    /// Waits until the group is there, and for as long again to see that it goes no further.
    async fn stands(&self, group: &str, applied: i64) {
        for _ in 0..2_000 {
            if self.applied(group) == Some(applied) {
                tokio::time::sleep(Duration::from_millis(150)).await;
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(self.applied(group), Some(applied), "{group}");
    }
}

impl Positions for Shelf {
    async fn read(&self, group: &str, _: i32) -> Result<Option<Position>, Error> {
        Ok(self.positions.lock().unwrap().get(group).copied())
    }

    async fn write(&self, group: &str, _: i32, position: Position) -> Result<(), Error> {
        let mut all = self.positions.lock().unwrap();
        let known = all.entry(group.to_owned()).or_insert(position);
        if position.applied >= known.applied {
            *known = position;
        }
        Ok(())
    }

    async fn is_there(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn starts(&self) -> Result<Option<Starts>, Error> {
        Ok(Some(Starts::new()))
    }
}

impl Store<Products> for Shelf {
    type Positions = Self;

    async fn load(&self, wanted: &[Wanted]) -> Result<Vec<Option<ProductState>>, Error> {
        self.asked.lock().unwrap().loaded += wanted.len();
        Ok(vec![None; wanted.len()])
    }

    async fn write(&self, writes: Writes<Products>, _: &Retry) -> Result<(), GaveUp<Error>> {
        let versions = writes.states.iter().map(|it| it.head().version.get()).collect();
        self.asked.lock().unwrap().written.push(versions);
        Ok(())
    }

    fn positions(&self) -> &Self {
        self
    }

    fn marks(&self) -> &dyn Marks {
        &Unmarked
    }
}

impl Reached for Shelf {
    fn position<'a>(&'a self, _: Generation, group: &'a str, _: i32) -> Positioned<'a> {
        let position = self.positions.lock().unwrap().get(group).copied();
        Box::pin(async move { Ok(position) })
    }
}

/// A member with one partition, whose log ends at [`Stage::END`] when it is claimed.
struct Stage {
    desk: Desk,
    builds: watch::Sender<Builds>,
    heard: Arc<watch::Sender<Instant>>,
    shelf: Shelf,
    others: Shelf,
    shutdown: CancellationToken,
}

impl Stage {
    const END: i64 = 60;
    /// Batches go up to here.
    const END_OF_LOG: i64 = 100;

    /// The build of this number, after these steps; it has this position, as applied and durable. One batch is all there is.
    async fn of(number: u32, steps: Vec<Step>, position: (i64, i64)) -> Self {
        // Of keys that are none: what they are does not matter.
        let record = |offset| record(offset, "none".to_owned(), None);
        Self::with(number, steps, position, vec![(position.1..Self::END_OF_LOG).map(record).collect()]).await
    }

    async fn with(
        number: u32,
        steps: Vec<Step>,
        (applied, durable): (i64, i64),
        batches: Vec<Vec<LogRecord>>,
    ) -> Self {
        let journal: Arc<dyn Journal> = Arc::new(InMemory::default());
        let mut desk = Desk::new(journal);
        for step in steps {
            decide(&mut desk, step).await;
        }
        let (builds, decided) = watch::channel(desk.builds(ReadModel::Products).clone());
        let (heard, last) = watch::channel(Instant::now());
        let (shelf, others) = (Shelf::default(), Shelf::default());
        shelf.put(GROUP, applied, durable);
        let shutdown = CancellationToken::new();
        let generation = Generation::try_from(number).unwrap();
        let decided = Decided { generation, builds: decided, heard: Some(last) };
        let (group, server) = group();
        let context = Context {
            decided,
            followed: Followed {
                reached: Arc::new(others.clone()),
                read_model: ReadModel::Products,
                group_prefix: "folio".to_owned(),
            },
            ..super::context(shelf.clone(), &group).await
        };
        tokio::spawn(Member::new(group, context).run(shutdown.clone()));
        tokio::spawn(serve(server, durable, batches));
        Self { desk, builds, heard: Arc::new(heard), shelf, others, shutdown }
    }

    /// What was decided is known of from now on.
    fn hears(&self) {
        let (heard, shutdown) = (Arc::clone(&self.heard), self.shutdown.clone());
        tokio::spawn(async move {
            while !shutdown.is_cancelled() {
                heard.send_replace(Instant::now());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        });
    }

    async fn decided(&mut self, step: Step) {
        decide(&mut self.desk, step).await;
        self.builds.send_replace(self.desk.builds(ReadModel::Products).clone());
    }

    fn hold(&self) -> Hold {
        match self.desk.builds(ReadModel::Products).role(Generation::FIRST) {
            Role::Held(hold) => hold,
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

async fn decide(desk: &mut Desk, step: Step) {
    desk.look().await.unwrap();
    let revision = desk.builds(ReadModel::Products).revision;
    let Decision { step, by } = Decision { step, by: "tester".to_owned() };
    assert_eq!(desk.propose(ReadModel::Products, revision, step, &by).await.unwrap(), Proposed::Taken);
}

fn group() -> (Group, GroupServer) {
    let mut served: Option<GroupServer> = None;
    let (ends, asked) = EndOffsets::channel("t");
    std::thread::spawn(move || {
        for (number, question) in asked.into_iter().enumerate() {
            // A look at the log and the question for its end, when it is claimed; more has come later.
            question.answer(Ok(if number < 2 { Stage::END } else { Stage::END_OF_LOG }));
        }
    });
    let log = LogReader { partitions: 1, ranges: beginning("none"), ends };
    let group = Group::served(log, |server| {
        served = Some(server);
        Ok::<_, Infallible>(std::thread::current())
    });
    (group.unwrap(), served.unwrap())
}

fn record(offset: Offset, key: String, value: Option<Bytes>) -> LogRecord {
    LogRecord { offset, timestamp_ms: 1, key: key.into(), value, headers: Headers::default() }
}

/// As an adapter: one claim, and the batches one after the other.
async fn serve(
    GroupServer { commands, commits, events }: GroupServer,
    from: i64,
    batches: Vec<Vec<LogRecord>>,
) {
    std::thread::spawn(move || commits.into_iter().for_each(|commit: Commit| commit.reply(Ok(()))));
    let claim = Claim { partition: Partition(0), epoch: 1 };
    events.send(GroupEvent::Assigned { claim, position: from }).await.unwrap();
    let mut batches = batches.into_iter();
    loop {
        let commands = commands.clone();
        let command = tokio::task::spawn_blocking(move || commands.recv()).await.unwrap();
        match command {
            Ok(Command::Next(of)) if of == claim => {
                let Some(records) = batches.next() else { continue };
                let position = records.last().map_or(from, |it| it.offset + 1);
                drop(events.send(GroupEvent::Batch { claim, records, position }).await);
            }
            Ok(Command::Next(_)) => {}
            _ => return,
        }
    }
}

/// Ten batches of ten records: five products in turn, each created, listed and then given one price after the other.
fn of_five_products() -> Vec<Vec<LogRecord>> {
    let created = r#"{"sku": "s", "name": "n", "description": "", "category": "c", "brand": "b", "status": "draft",
                      "price": {"minor_units": 1, "currency": "USD"}, "attributes": {}, "tags": []}"#;
    let of = |offset: Offset| {
        let (product, version) = (offset % 5, offset / 5 + 1);
        let (kind, data) = match version {
            1 => ("ProductCreated", created.to_owned()),
            2 => ("ProductListed", r#"{"status": "listed"}"#.to_owned()),
            _ => ("PriceChanged", format!(r#"{{"price": {{"minor_units": {version}, "currency": "USD"}}}}"#)),
        };
        let event = contract::json::event_from_data(kind, &data).unwrap();
        let value = encode(&event, &SchemaIds::without_registry()).unwrap();
        let id = uuid::Uuid::from_u128(offset.unsigned_abs().into());
        record(offset, format!("p-{product}/{version}/{offset}/{id}"), Some(value))
    };
    (0..10).map(|batch| (batch * 10..batch * 10 + 10).map(of).collect()).collect()
}

fn a_build() -> Step {
    let generation = Generation::try_from(2).unwrap();
    Step::Build { generation, format: 1, switch: Switch::ByHand }
}

fn hold() -> Step {
    Step::Hold { to: Generation::try_from(2).unwrap(), force: true }
}

#[tokio::test]
async fn nothing_is_begun_before_it_is_known_what_was_decided() {
    let stage = Stage::of(1, Vec::new(), (10, 10)).await;
    stage.shelf.stands(GROUP, 10).await;
    stage.hears();
    stage.shelf.stands(GROUP, Stage::END_OF_LOG).await;
}

#[tokio::test]
async fn a_build_that_is_not_read_never_passes_the_one_that_is() {
    let stage = Stage::of(2, vec![a_build()], (0, 0)).await;
    stage.hears();
    for reached in [30, 31, 70] {
        stage.others.put("folio.products.g1", reached, 0);
        stage.shelf.stands(GROUP, reached).await;
    }
    stage.others.put("folio.products.g1", 5_000, 0);
    stage.shelf.stands(GROUP, Stage::END_OF_LOG).await;
}

#[tokio::test]
async fn what_is_read_stands_still_at_what_may_have_been_shown_says_so_and_goes_on() {
    // Stored up to 30, and whoever had it before may have shown anything up to the end of the log.
    let mut stage = Stage::of(1, vec![a_build(), hold()], (30, 20)).await;
    stage.hears();
    stage.shelf.stands(GROUP, Stage::END).await;
    let held = held_group(GROUP, stage.hold());
    stage.shelf.stands(&held, Stage::END).await;
    stage.decided(Step::Release { reason: "enough".to_owned() }).await;
    stage.shelf.stands(GROUP, Stage::END_OF_LOG).await;
}

#[tokio::test]
async fn where_it_was_told_already_that_it_stands_still_it_stands() {
    let stage = Stage::of(1, vec![a_build(), hold()], (30, 20)).await;
    let held = held_group(GROUP, stage.hold());
    stage.shelf.put(&held, 40, 40);
    stage.hears();
    stage.shelf.stands(GROUP, 40).await;
    stage.shelf.stands(&held, 40).await;
}

#[tokio::test]
async fn a_build_to_switch_to_says_where_it_is_when_it_has_applied_again_what_it_may_have_lost() {
    // Its position says 50, of which all but 20 may be lost.
    let stage = Stage::of(2, vec![a_build(), hold()], (50, 20)).await;
    let held = held_group(GROUP, stage.hold());
    stage.others.put("folio.products.g1", 40, 40);
    stage.hears();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stage.shelf.applied(&held), None, "what lies between 40 and 50 may be lost");
    stage.others.put("folio.products.g1", 50, 50);
    stage.shelf.stands(&held, 50).await;
    stage.others.put("folio.products.g1", 60, 60);
    stage.shelf.stands(&held, 60).await;
    stage.shelf.stands(GROUP, 60).await;
}

#[tokio::test]
async fn what_was_switched_to_goes_no_further_before_gateways_have_followed() {
    let mut stage = Stage::of(2, vec![a_build(), hold(), Step::Switch], (50, 20)).await;
    stage.hears();
    stage.shelf.stands(GROUP, 50).await;
    stage.decided(Step::Live).await;
    stage.shelf.stands(GROUP, Stage::END_OF_LOG).await;
}

#[tokio::test]
async fn a_build_as_of_some_time_ends_where_the_log_was_then_whatever_others_do() {
    let step = |ends| {
        let (generation, name) = (Generation::try_from(3).unwrap(), "then".to_owned());
        Step::AsOf { generation, format: 1, name, as_of_ms: 1, ends, expires_ms: i64::MAX }
    };
    let mut stage = Stage::of(3, vec![a_build(), step(vec![42])], (0, 0)).await;
    stage.hears();
    stage.shelf.stands(GROUP, 42).await;
    // A switch between others is none of its business.
    for next in [hold(), Step::Switch, Step::Live] {
        stage.decided(next).await;
    }
    stage.shelf.stands(GROUP, 42).await;
    let behind = Stage::of(3, vec![a_build(), step(vec![0])], (0, 0)).await;
    behind.hears();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(behind.shelf.applied(GROUP), Some(0), "nothing was there then");
}

#[tokio::test]
async fn a_build_that_is_not_read_writes_once_what_changed_often_before_it_began_and_asks_for_nothing_new() {
    let stage = Stage::with(2, vec![a_build()], (0, 0), of_five_products()).await;
    stage.others.put("folio.products.g1", 5_000, 0);
    stage.hears();
    stage.shelf.stands(GROUP, Stage::END_OF_LOG).await;
    let asked = stage.shelf.asked.lock().unwrap();
    assert_eq!(asked.loaded, 0, "each product's first event is there");
    // The log ended at 60 when it began: what came later is written as it comes.
    let versions: Vec<u64> = asked.written.iter().map(|it| it.iter().copied().max().unwrap_or(0)).collect();
    assert_eq!(versions, [12, 14, 16, 18, 20]);
    assert!(asked.written.iter().all(|it| it.len() == 5), "{:?}", asked.written);
}

#[tokio::test]
async fn what_is_read_is_written_as_it_comes_and_asks_for_nothing_where_nothing_was_applied_before() {
    let stage = Stage::with(1, Vec::new(), (0, 0), of_five_products()).await;
    stage.hears();
    stage.shelf.stands(GROUP, Stage::END_OF_LOG).await;
    let asked = stage.shelf.asked.lock().unwrap();
    assert_eq!((asked.loaded, asked.written.len()), (0, 10));
}

#[tokio::test]
async fn what_is_put_off_is_written_before_a_hold_says_where_it_stands() {
    // All is replay.
    let mut batches = of_five_products();
    batches.truncate(3);
    let mut stage = Stage::with(2, vec![a_build()], (0, 0), batches).await;
    stage.others.put("folio.products.g1", 30, 30);
    stage.hears();
    stage.decided(hold()).await;
    let held = held_group(GROUP, stage.hold());
    stage.shelf.stands(&held, 30).await;
    let asked = stage.shelf.asked.lock().unwrap();
    assert_eq!(asked.written.last().map(Vec::len), Some(5), "{:?}", asked.written);
}
