//! What is parked, on a member that works: by itself, when it is asked, and after another process took over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use contract::avro::{SchemaIds, encode, known_schemas};
use event_reader::feed::{Commit, RangeReader};
use ledger::{Headers, LogRecord};
use read_models::control::{Desk, Selection, Step};
use read_models::model::State;
use read_models::products::ProductState;
use toolkit::dead_letters::Kind;
use toolkit::journal::Journal;

use super::*;
use crate::testing::InMemory;

mod durable;
mod marks;
mod missing;
mod refused;
mod registry;
mod replaced;

/// An id that the registry does not know until it is cured.
const LATE: u32 = 4_711;
const PATIENCE: usize = 2_000;

/// Rows that stay, of whoever is not refused.
#[derive(Debug, Clone, Default)]
struct Kept(Arc<Mutex<Rows>>);

#[derive(Debug, Default)]
struct Rows {
    states: BTreeMap<String, ProductState>,
    refused: BTreeSet<String>,
    /// How often somebody has written.
    writes: usize,
    position: Option<Position>,
    /// When the store was started, if it may lose what it acknowledged.
    start: Option<u64>,
    marks: marks::Marked,
}

impl Kept {
    fn versions(&self) -> BTreeMap<String, u64> {
        let rows = self.0.lock().unwrap();
        rows.states.iter().map(|(product, it)| (product.clone(), it.head().version.get())).collect()
    }
}

impl Positions for Kept {
    async fn read(&self, _: &str, _: i32) -> Result<Option<Position>, Error> {
        Ok(self.0.lock().unwrap().position)
    }

    async fn write(&self, _: &str, _: i32, position: Position) -> Result<(), Error> {
        self.0.lock().unwrap().position = Some(position);
        Ok(())
    }

    async fn is_there(&self) -> Result<(), Error> {
        Ok(())
    }

    async fn starts(&self) -> Result<Option<Starts>, Error> {
        let start = self.0.lock().unwrap().start;
        Ok(Some(start.map(|it| ("store".to_owned(), it.to_string())).into_iter().collect()))
    }
}

impl Store<Products> for Kept {
    type Positions = Self;

    async fn load(&self, wanted: &[Wanted]) -> Result<Vec<Option<ProductState>>, Error> {
        let rows = self.0.lock().unwrap();
        Ok(wanted.iter().map(|it| rows.states.get(it.product.as_str()).cloned()).collect())
    }

    async fn write(&self, writes: Writes<Products>, _: &Retry) -> Result<(), GaveUp<Error>> {
        let mut rows = self.0.lock().unwrap();
        rows.writes += 1;
        let mut refused = BTreeMap::new();
        for state in &writes.states {
            let product = state.product().as_str().to_owned();
            if rows.refused.contains(&product) {
                refused.insert(product, "a mapping says no".to_owned());
                continue;
            }
            let known = rows.states.get(&product).map_or(0, |it| it.head().version.get());
            if state.head().version.get() >= known {
                rows.states.insert(product, state.clone());
            }
        }
        writes.outcome(refused).map_err(GaveUp::Final)
    }

    fn positions(&self) -> &Self {
        self
    }

    fn marks(&self) -> &dyn Marks {
        self
    }
}

impl Reached for Kept {
    fn position<'a>(&'a self, _: Generation, _: &'a str, _: i32) -> Positioned<'a> {
        let position = self.0.lock().unwrap().position;
        Box::pin(async move { Ok(position) })
    }
}

type Log = Arc<Mutex<Vec<LogRecord>>>;

/// All that outlives a member.
struct World {
    log: Log,
    rows: Kept,
    letters: Arc<Letters>,
    registry: LocalRegistry,
    registry_is_away: Arc<AtomicBool>,
    desk: Desk,
    builds: watch::Sender<Builds>,
    versions: BTreeMap<String, u64>,
    running: Option<CancellationToken>,
    /// Where the group's offset is when a process begins.
    begins: i64,
    durability: Option<Arc<Durability>>,
    /// So many records come in a batch.
    at_once: usize,
    /// How far the process is that runs.
    progress: Progress,
}

/// What is wrong with an event.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// Its schema is not known yet.
    Late,
    /// It is none.
    Garbage,
}

impl World {
    fn new() -> Self {
        let desk = Desk::new(Arc::new(InMemory::default()) as Arc<dyn Journal>);
        let builds = watch::channel(Builds::first()).0;
        Self {
            log: Log::default(),
            rows: Kept::default(),
            letters: Arc::default(),
            registry: LocalRegistry::knowing("events"),
            registry_is_away: Arc::default(),
            desk,
            builds,
            versions: BTreeMap::new(),
            running: None,
            begins: 0,
            durability: None,
            at_once: 3,
            progress: Progress::default(),
        }
    }

    fn append(&mut self, product: &str, wrong: Wrong) {
        let created = r#"{"sku": "s", "name": "n", "description": "", "category": "c", "brand": "b", "status": "draft",
                          "price": {"minor_units": 1, "currency": "USD"}, "attributes": {}, "tags": []}"#;
        let version = self.versions.entry(product.to_owned()).or_default();
        *version += 1;
        let (kind, data) = match *version {
            1 => ("ProductCreated", created.to_owned()),
            _ => ("PriceChanged", format!(r#"{{"price": {{"minor_units": {version}, "currency": "USD"}}}}"#)),
        };
        let event = contract::json::event_from_data(kind, &data).unwrap();
        // With the ids that the registry gives.
        let ids = SchemaIds::new(known_schemas().iter().copied().zip(1..)).unwrap();
        let mut value = encode(&event, &ids).unwrap().to_vec();
        match wrong {
            Wrong::Nothing => {}
            Wrong::Late => value[1..5].copy_from_slice(&LATE.to_be_bytes()),
            Wrong::Garbage => value = b"\0garbage".to_vec(),
        }
        let mut log = self.log.lock().unwrap();
        let offset = log.len() as i64;
        let id = uuid::Uuid::from_u128(offset.unsigned_abs().into());
        let key = format!("{product}/{version}/{offset}/{id}").into();
        let value = Some(Bytes::from(value));
        log.push(LogRecord { offset, timestamp_ms: 1, key, value, headers: Headers::default() });
    }

    /// A release that knows the schema: of changes of prices.
    fn cure(&self) {
        let known = known_schemas().iter().find(|it| it.fqn.ends_with("PriceChanged")).unwrap();
        self.registry.hold(LATE, contract::avro::subject("events", known.fqn), known.text);
    }

    /// Another process takes the partition over.
    async fn restart(&mut self) {
        if let Some(running) = self.running.take() {
            running.cancel();
        }
        let (log, shutdown) = (Arc::clone(&self.log), CancellationToken::new());
        let (ends, asked) = EndOffsets::channel("t");
        let at = Arc::clone(&log);
        std::thread::spawn(move || {
            asked.into_iter().for_each(|it| it.answer(Ok(at.lock().unwrap().len() as i64)));
        });
        let (ranges, asked) = RangeReader::channel("t");
        let of = Arc::clone(&log);
        std::thread::spawn(move || {
            for read in asked {
                let some = of.lock().unwrap()[read.from as usize..read.to as usize].to_vec();
                read.give(Ok(some));
            }
        });
        let mut served: Option<GroupServer> = None;
        let group = Group::served(LogReader { partitions: 1, ranges, ends }, |server| {
            served = Some(server);
            Ok::<_, Infallible>(std::thread::current())
        });
        let (group, behind) = (group.unwrap(), served.unwrap());
        let schemas = registry::Schemas::new(&self.registry, &self.registry_is_away);
        let retry = Retry::until(shutdown.clone());
        let heard = watch::channel(std::time::Instant::now() + Duration::from_hours(1)).1;
        let default = super::context(self.rows.clone(), &group).await;
        self.progress = default.progress.clone();
        let context = Context {
            durability: self.durability.clone().unwrap_or_else(|| Arc::clone(&default.durability)),
            decoder: Arc::new(Decoder::open(Arc::new(schemas), &retry).await.unwrap()),
            letters: Arc::clone(&self.letters) as Arc<dyn toolkit::dead_letters::DeadLetters>,
            progress: self.progress.clone(),
            decided: Decided {
                generation: Generation::FIRST,
                builds: self.builds.subscribe(),
                heard: Some(heard),
            },
            ..default
        };
        tokio::spawn(Member::new(group, context).run(shutdown.clone()));
        tokio::spawn(serve(behind, log, (self.begins, self.at_once), shutdown.clone()));
        self.running = Some(shutdown);
    }

    async fn decided(&mut self, step: Step) {
        let decided = self.desk.decide(ReadModel::Products, "tester", |_| Ok(step.clone())).await;
        decided.unwrap().unwrap();
        self.builds.send_replace(self.desk.builds(ReadModel::Products).clone());
    }

    fn letters(&self) -> Vec<(i64, Kind)> {
        let letters = self.letters.all.lock().unwrap();
        letters.values().map(|it| (it.outline.offset, it.outline.kind)).collect()
    }

    /// Waits until the partition is applied to its end, and these letters are there: offsets, kinds, whether they were given up.
    async fn has(&self, expected: &[(i64, Kind)]) {
        let mut found = Vec::new();
        for _ in 0..PATIENCE {
            found = self.letters();
            let end = self.log.lock().unwrap().len() as i64;
            let applied = self.rows.0.lock().unwrap().position.map(|it| it.applied);
            if found == expected && applied == Some(end) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        assert_eq!(found, expected, "{:?}", self.rows.0.lock().unwrap().position);
        panic!("the partition is not applied: {:?}", self.rows.0.lock().unwrap().position);
    }

    fn rows(&self, expected: &[(&str, u64)]) {
        let expected = expected.iter().map(|(product, version)| ((*product).to_owned(), *version)).collect();
        assert_eq!(self.rows.versions(), expected);
    }

    /// The rows are what they would be if nothing had ever failed.
    async fn equals_one_that_never_failed(&self) {
        let mut other = World::new();
        other.log = Arc::clone(&self.log);
        other.registry = self.registry.clone();
        other.restart().await;
        other.has(&[]).await;
        let (one, other) = (self.rows.0.lock().unwrap(), other.rows.0.lock().unwrap());
        assert_eq!(one.states, other.states);
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(running) = &self.running {
            running.cancel();
        }
    }
}

/// As an adapter: claims one after another, from where it begins, and so many records at a time.
async fn serve(server: GroupServer, log: Log, (begins, at_once): (i64, usize), shutdown: CancellationToken) {
    let GroupServer { commands, commits, events } = server;
    std::thread::spawn(move || commits.into_iter().for_each(|commit: Commit| commit.reply(Ok(()))));
    let mut claim = Claim { partition: Partition(0), epoch: 1 };
    let mut position = begins;
    events.send(GroupEvent::Assigned { claim, position }).await.unwrap();
    let mut is_asked = false;
    while !shutdown.is_cancelled() {
        match commands.try_recv() {
            Ok(Command::Next(of)) => is_asked |= of == claim,
            Ok(Command::Seek(of, to)) if of == claim => {
                (claim, position, is_asked) = (Claim { epoch: claim.epoch + 1, ..claim }, to, false);
                events.send(GroupEvent::Assigned { claim, position }).await.unwrap();
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(2)).await,
        }
        let records: Vec<LogRecord> =
            log.lock().unwrap().iter().skip(position as usize).take(at_once).cloned().collect();
        if is_asked && !records.is_empty() {
            position += records.len() as i64;
            is_asked = false;
            drop(events.send(GroupEvent::Batch { claim, records, position }).await);
        }
    }
}

fn redrive(product: &str) -> Step {
    let which = Selection { product: Some(product.to_owned()), ..Selection::default() };
    Step::Redrive { which, per_second: None, why: "a test".to_owned() }
}

#[tokio::test]
async fn a_record_that_cannot_be_decoded_is_parked_with_its_product_until_a_release_can() {
    let mut world = World::new();
    for (product, wrong) in [
        ("a", Wrong::Nothing),
        ("b", Wrong::Nothing),
        ("a", Wrong::Late),
        ("b", Wrong::Nothing),
        ("a", Wrong::Nothing),
        ("b", Wrong::Nothing),
    ] {
        world.append(product, wrong);
    }
    world.restart().await;
    let parked = [(2, Kind::Undecodable), (4, Kind::Follows)];
    world.has(&parked).await;
    world.rows(&[("a", 1), ("b", 3)]);
    let first = world.letters.all.lock().unwrap()[&(0, 2)].clone();
    assert!(first.outline.reason.contains("4711") && first.outline.attempts == 1, "{first:?}");
    assert_eq!(first.original.key, world.log.lock().unwrap()[2].key);

    // Another process comes to the same, and what is appended meanwhile follows.
    world.restart().await;
    world.append("a", Wrong::Nothing);
    world.append("b", Wrong::Nothing);
    world.has(&[(2, Kind::Undecodable), (4, Kind::Follows), (6, Kind::Follows)]).await;
    world.rows(&[("a", 1), ("b", 4)]);
    let attempts = world.letters.all.lock().unwrap()[&(0, 2)].outline.attempts;
    assert!(attempts <= 2, "it is tried once: {attempts}");

    world.cure();
    world.restart().await;
    world.has(&[]).await;
    world.rows(&[("a", 4), ("b", 4)]);
    world.append("a", Wrong::Nothing);
    world.has(&[]).await;
    world.rows(&[("a", 5), ("b", 4)]);
    world.equals_one_that_never_failed().await;
}

#[tokio::test]
async fn a_redrive_applies_what_it_can_and_leaves_the_rest_parked() {
    let mut world = World::new();
    for (product, wrong) in [
        ("a", Wrong::Nothing),
        ("a", Wrong::Late),
        ("a", Wrong::Nothing),
        ("a", Wrong::Garbage),
        ("a", Wrong::Nothing),
        ("b", Wrong::Nothing),
    ] {
        world.append(product, wrong);
    }
    world.restart().await;
    let follows = |offset| (offset, Kind::Follows);
    world.has(&[(1, Kind::Undecodable), follows(2), follows(3), follows(4)]).await;
    world.cure();
    world.decided(redrive("b")).await;
    world.decided(redrive("a")).await;
    // It is believed for some seconds that there is no such schema; the redrive has said so again.
    tokio::time::sleep(Duration::from_secs(6)).await;
    world.decided(redrive("a")).await;
    world.has(&[(3, Kind::Undecodable), follows(4)]).await;
    world.rows(&[("a", 3), ("b", 1)]);
    let first = world.letters.all.lock().unwrap()[&(0, 3)].clone();
    assert!(first.outline.attempts == 1 && first.outline.acted > 0, "{first:?}");
}

#[tokio::test]
async fn a_product_whose_rows_the_store_refuses_holds_back_no_other() {
    let mut world = World::new();
    for product in ["a", "b", "c", "a", "b", "c", "b"] {
        world.append(product, Wrong::Nothing);
    }
    world.rows.0.lock().unwrap().refused.insert("b".to_owned());
    world.restart().await;
    let follows = |offset| (offset, Kind::Follows);
    world.has(&[(1, Kind::RefusedByStore), follows(4), follows(6)]).await;
    world.rows(&[("a", 2), ("c", 2)]);
    // A redrive is refused again, and says so.
    world.decided(redrive("b")).await;
    for _ in 0..PATIENCE {
        if world.letters.all.lock().unwrap()[&(0, 1)].outline.attempts == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let first = world.letters.all.lock().unwrap()[&(0, 1)].clone();
    assert!(first.outline.attempts == 2 && first.outline.reason.contains("mapping"), "{first:?}");
    world.rows.0.lock().unwrap().refused.clear();
    world.decided(redrive("b")).await;
    world.has(&[]).await;
    world.equals_one_that_never_failed().await;
}

#[tokio::test]
async fn a_product_that_is_given_up_stays_as_it_is_until_it_is_redriven() {
    let mut world = World::new();
    for (product, wrong) in
        [("a", Wrong::Nothing), ("a", Wrong::Late), ("a", Wrong::Nothing), ("b", Wrong::Nothing)]
    {
        world.append(product, wrong);
    }
    world.restart().await;
    world.has(&[(1, Kind::Undecodable), (2, Kind::Follows)]).await;
    let which = Selection { kind: Some(Kind::Undecodable), ..Selection::default() };
    world.decided(Step::Discard { which, why: "nobody needs it".to_owned() }).await;
    world.has(&[(1, Kind::Undecodable)]).await;
    world.append("a", Wrong::Nothing);
    world.append("b", Wrong::Nothing);
    world.has(&[(1, Kind::Undecodable)]).await;
    world.rows(&[("a", 1), ("b", 2)]);
    assert!(world.letters.all.lock().unwrap()[&(0, 1)].outline.is_discarded);
    // Nobody tries it by himself, whatever a release can.
    world.cure();
    world.restart().await;
    world.append("a", Wrong::Nothing);
    world.has(&[(1, Kind::Undecodable)]).await;
    world.rows(&[("a", 1), ("b", 2)]);
    world.decided(redrive("a")).await;
    world.has(&[]).await;
    world.rows(&[("a", 5), ("b", 2)]);
    world.equals_one_that_never_failed().await;
}

#[tokio::test]
async fn rows_of_another_log_park_their_product_and_stay() {
    let mut world = World::new();
    for product in ["a", "b", "a"] {
        world.append(product, Wrong::Nothing);
    }
    world.restart().await;
    world.has(&[]).await;
    // The same version, of an event that this log does not have.
    let theirs = {
        let mut rows = world.rows.0.lock().unwrap();
        let state = rows.states.get_mut("a").unwrap();
        std::sync::Arc::make_mut(&mut state.stored).event_id = uuid::Uuid::from_u128(99);
        rows.position = Some(Position { applied: 2, durable: 2, log: None });
        rows.states["a"].clone()
    };
    world.restart().await;
    world.append("a", Wrong::Nothing);
    world.append("b", Wrong::Nothing);
    world.has(&[(2, Kind::Diverged), (3, Kind::Follows)]).await;
    assert_eq!(world.rows.0.lock().unwrap().states["a"], theirs);
    world.rows(&[("a", 2), ("b", 2)]);
}

#[tokio::test]
async fn nothing_is_settled_before_what_is_parked_is_acknowledged() {
    let mut world = World::new();
    for (product, wrong) in [("a", Wrong::Garbage), ("b", Wrong::Nothing)] {
        world.append(product, wrong);
    }
    world.restart().await;
    world.has(&[(0, Kind::Undecodable)]).await;
    *world.letters.is_away.lock().unwrap() = true;
    world.append("a", Wrong::Nothing);
    world.append("b", Wrong::Nothing);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.rows.0.lock().unwrap().position.map(|it| it.applied), Some(2));
    *world.letters.is_away.lock().unwrap() = false;
    world.has(&[(0, Kind::Undecodable), (2, Kind::Follows)]).await;
    world.rows(&[("b", 2)]);
}
