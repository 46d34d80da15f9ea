//! The design's check of batches and crashes (`projection_batches`), on the real folds: whatever dies between two writes,
//! whatever a store forgets of what it acknowledged last, and however batches are cut afterwards, the rows become the same. And
//! the check bites: each weaker rule is found out.

use std::collections::BTreeMap;

use domain::{
    CategoryPath, Event, Money, PriceChanged, ProductCreated, ProductDeleted, ProductMoved, ProductRestored,
    Status,
};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::*;
use crate::StoredProduct;
use crate::model::{Meta, Place};
use crate::products::{CategoryKey, ProductState, Products};

/// The rules as they are, or one weaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    AsTheyAre,
    /// Only the difference between a product's first and last state of a batch is written.
    CoalescedPerProduct,
    /// Of a record that comes again no row is written again.
    SeenIsSkipped,
}

/// What a reader sees in the lists of categories, by category and product.
type Lists<'a> = BTreeMap<&'a (String, String), &'a StoredProduct>;

/// What a store holds of a row key: the newest write, `None` for a delete. At equal timestamps the delete wins, as in CQL.
#[derive(Debug, Default, Clone, PartialEq)]
struct Rows {
    states: BTreeMap<String, ProductState>,
    lists: BTreeMap<(String, String), (u64, Option<StoredProduct>)>,
}

#[derive(Debug, Clone)]
enum Op {
    State(ProductState),
    Row(RowChange<Products>),
}

impl Op {
    /// The row that it writes.
    fn row(&self) -> (String, String) {
        match self {
            Self::State(state) => (String::new(), state.stored.product.id.to_string()),
            Self::Row(change) => (change.key.category.to_string(), change.key.product.to_string()),
        }
    }
}

impl Rows {
    fn write(&mut self, op: &Op) {
        match op {
            Op::State(state) => {
                let id = state.stored.product.id.to_string();
                let there = self.states.entry(id).or_insert_with(|| state.clone());
                if state.stored.product.version > there.stored.product.version {
                    *there = state.clone();
                }
            }
            Op::Row(change) => {
                let key = (change.key.category.to_string(), change.key.product.to_string());
                let version = change.version.get();
                let there = self.lists.get(&key).map(|(v, row)| (*v, row.is_none()));
                let newer = there.is_none_or(|(v, deleted)| {
                    version > v || (version == v && change.row.is_none() && !deleted)
                });
                if newer {
                    self.lists.insert(key, (version, change.row.clone()));
                }
            }
        }
    }

    /// What a reader sees.
    fn visible(&self) -> (Vec<&ProductState>, Lists<'_>) {
        let lists = self.lists.iter().filter_map(|(key, (_, row))| Some((key, row.as_ref()?))).collect();
        (self.states.values().collect(), lists)
    }
}

fn id(n: usize) -> ProductId {
    ProductId::parse(&format!("p-{n}")).unwrap()
}

fn category(rng: &mut StdRng) -> CategoryPath {
    CategoryPath::parse(["a", "b", "c"].choose(rng).unwrap()).unwrap()
}

fn created(rng: &mut StdRng) -> Event {
    Event::ProductCreated(ProductCreated {
        sku: domain::Sku::parse("SKU-1").unwrap(),
        name: domain::Name::parse("a thing").unwrap(),
        description: domain::Description::parse("").unwrap(),
        category: category(rng),
        brand: domain::Brand::parse("acme").unwrap(),
        price: Money::new(100, "EUR").unwrap(),
        attributes: domain::Attributes::default(),
        tags: domain::Tags::default(),
        status: domain::InitialStatus::Draft,
    })
}

/// A random history of one or two products in one partition.
fn history(rng: &mut StdRng) -> Vec<Recorded> {
    let mut states: BTreeMap<usize, domain::Product> = BTreeMap::new();
    let products = rng.random_range(1..=2);
    (0..rng.random_range(2..=9_i64))
        .map(|offset| {
            let n = rng.random_range(0..products);
            let state = states.remove(&n);
            let event = match &state {
                None => created(rng),
                Some(p) if p.status == Status::Deleted => {
                    Event::ProductRestored(ProductRestored { status: p.deleted_from.unwrap() })
                }
                Some(_) => match rng.random_range(0..6) {
                    0 => Event::ProductDeleted(ProductDeleted { reason: None }),
                    1 => Event::PriceChanged(PriceChanged { price: Money::new(offset, "EUR").unwrap() }),
                    _ => Event::ProductMoved(ProductMoved { category: category(rng) }),
                },
            };
            let version = state.as_ref().map_or(Version::FIRST, |p| p.version.next());
            let product = domain::evolve(state, &id(n), version, &event).unwrap();
            states.insert(n, product);
            Recorded {
                product: id(n),
                version,
                event_id: Uuid::from_u128(offset as u128 + 1),
                event,
                place: Place {
                    partition: 0,
                    offset,
                    appended_at: Timestamp::from_millisecond(rng.random_range(0..1_000)).unwrap(),
                },
                meta: Meta::default(),
            }
        })
        .collect()
}

/// Applies the records from `from` on in one batch, as a projector does; gives the writes in the order they are made.
fn batch(
    projection: &mut Projection<Products>,
    rows: &Rows,
    records: &[Recorded],
    rules: Rules,
    rng: &mut StdRng,
) -> Vec<Op> {
    let before: BTreeMap<ProductId, Option<ProductState>> =
        records.iter().map(|r| (r.product.clone(), rows.states.get(r.product.as_str()).cloned())).collect();
    projection.begin();
    for missing in projection.missing(records) {
        let state = rows.states.get(missing.product.as_str()).cloned();
        projection.loaded(missing.product, state);
    }
    for record in records {
        let seen =
            projection.states.get(&record.product).is_some_and(|it| it.head().version >= record.version);
        if seen && rules == Rules::SeenIsSkipped {
            continue;
        }
        let outcome = projection.apply(record).unwrap();
        assert!(matches!(outcome, Outcome::Applied | Outcome::AlreadyApplied), "{outcome:?} {record:?}");
    }
    let writes = projection.take_writes();
    let mut ops: Vec<Op> = if rules == Rules::CoalescedPerProduct {
        writes
            .states
            .iter()
            .flat_map(|state| difference(before[&state.stored.product.id].as_ref(), state))
            .collect()
    } else {
        writes.rows.into_iter().map(Op::Row).collect()
    };
    let mut states: Vec<Op> = writes.states.into_iter().map(Op::State).collect();
    ops.append(&mut states);
    // States go last for those who read. For what the rows become it would not matter: a record that comes again writes all
    // of its rows again.
    ops.shuffle(rng);
    ops
}

fn difference(before: Option<&ProductState>, after: &ProductState) -> Vec<Op> {
    let (before, after) = (before.map(|it| &it.stored), &after.stored);
    let change = |category: &CategoryPath, row| {
        let key = CategoryKey { category: category.clone(), product: after.product.id.clone() };
        Op::Row(RowChange { key, product: after.product.id.clone(), version: after.product.version, row })
    };
    let moved = before.map(|b| &b.product.category).filter(|c| **c != after.product.category);
    let here =
        change(&after.product.category, (after.product.status != Status::Deleted).then(|| after.clone()));
    moved.map(|category| change(category, None)).into_iter().chain([here]).collect()
}

/// A store that may forget what it acknowledged last, of each row by itself, as nodes and shards do.
#[derive(Debug, Default)]
struct Forgetful {
    rows: Rows,
    /// Everything written, in order.
    ops: Vec<Op>,
    /// Positions that were written, and how many writes came before.
    positions: Vec<(usize, usize)>,
}

impl Forgetful {
    fn write(&mut self, ops: &[Op]) {
        for op in ops {
            self.rows.write(op);
        }
        self.ops.extend_from_slice(ops);
    }

    /// Keeps everything up to a position, and of what came later the beginning, of each row another; gives that position.
    fn forget(&mut self, rng: &mut StdRng) -> usize {
        let kept = rng.random_range(0..=self.positions.len());
        let (position, durable) = kept.checked_sub(1).map_or((0, 0), |last| self.positions[last]);
        self.positions.truncate(kept);
        let mut ends: BTreeMap<(String, String), usize> = BTreeMap::new();
        let ops = std::mem::take(&mut self.ops);
        self.rows = Rows::default();
        for (n, op) in ops.iter().enumerate() {
            let end = *ends.entry(op.row()).or_insert_with(|| rng.random_range(durable..=ops.len()));
            if n < durable || n < end {
                self.write(std::slice::from_ref(op));
            }
        }
        position
    }
}

/// Runs a history with crashes of the projector and of the store; whether the rows became what one undisturbed batch makes.
fn converges(seed: u64, rules: Rules) -> bool {
    let mut rng = StdRng::seed_from_u64(seed);
    let records = history(&mut rng);
    let mut expected = Rows::default();
    for op in batch(&mut new(10), &Rows::default(), &records, Rules::AsTheyAre, &mut rng) {
        expected.write(&op);
    }

    let mut store = Forgetful::default();
    let (mut position, mut crashes) = (0, 0);
    let mut projection = new(2);
    while position < records.len() || crashes == 0 {
        let end = rng.random_range((position + 1).min(records.len())..=records.len());
        let ops = batch(&mut projection, &store.rows, &records[position..end], rules, &mut rng);
        let may_crash = crashes < 50;
        let dies = may_crash && rng.random_bool(0.3);
        let forgets = may_crash && rng.random_bool(0.2);
        let done = if dies { rng.random_range(0..=ops.len()) } else { ops.len() };
        store.write(&ops[..done]);
        if !dies {
            position = end;
            store.positions.push((position, store.ops.len()));
        }
        if dies || forgets {
            crashes += 1;
            projection = new(2);
            position = if forgets {
                store.forget(&mut rng)
            } else {
                // The position is written after the batch; sometimes even an older one was the last to be written.
                rng.random_range(0..=position)
            };
        }
        crashes += usize::from(position == records.len());
    }
    store.rows.visible() == expected.visible()
}

fn new(capacity: usize) -> Projection<Products> {
    Projection::new(capacity, 1 << 20)
}

fn found_wrong(rules: Rules, seeds: u64) -> usize {
    (0..seeds).filter(|seed| !converges(*seed, rules)).count()
}

#[test]
fn crashes_and_other_batches_change_no_row() {
    for seed in 0..20_000 {
        assert!(converges(seed, Rules::AsTheyAre), "seed {seed}");
    }
}

#[test]
fn the_check_finds_coalescing_per_product() {
    assert!(found_wrong(Rules::CoalescedPerProduct, 5_000) > 0);
}

#[test]
fn the_check_finds_rows_that_are_not_written_again() {
    assert!(found_wrong(Rules::SeenIsSkipped, 5_000) > 0);
}

#[test]
fn a_gap_and_a_divergence_are_told() {
    let mut rng = StdRng::seed_from_u64(1);
    let first = Recorded {
        product: id(0),
        version: Version(1),
        event_id: Uuid::from_u128(1),
        event: created(&mut rng),
        place: Place { partition: 0, offset: 0, appended_at: Timestamp::UNIX_EPOCH },
        meta: Meta::default(),
    };
    let mut projection = new(10);
    let missing = projection.missing([&first, &first]);
    assert_eq!(missing, [Wanted::from(&first)], "each product is loaded once");
    projection.loaded(id(0), None);
    for later in [2, 3] {
        let later = Recorded { version: Version(later), ..first.clone() };
        assert_eq!(projection.apply(&later).unwrap(), Outcome::Gap { there: Version(0) });
    }
    assert_eq!(projection.apply(&first).unwrap(), Outcome::Applied);
    assert_eq!(projection.apply(&first).unwrap(), Outcome::AlreadyApplied);
    let other = Recorded { event_id: Uuid::from_u128(9), ..first };
    assert_eq!(projection.apply(&other).unwrap(), Outcome::Diverged { there: Uuid::from_u128(1) });
}

#[test]
fn states_of_the_last_batch_are_never_forgotten() {
    let mut rng = StdRng::seed_from_u64(1);
    let created = Recorded { event: created(&mut rng), ..record(0) };
    for (capacity, max_bytes) in [(2, usize::MAX), (usize::MAX, 2_000)] {
        let mut projection = Projection::<Products>::new(capacity, max_bytes);
        for n in 0..100 {
            let records: Vec<Recorded> = (n * 10..n * 10 + 10).map(record).collect();
            for round in 0..2 {
                projection.begin();
                let missing = projection.missing(&records);
                assert_eq!(missing.len(), if round == 0 { 10 } else { 0 });
                for wanted in missing {
                    let created = Recorded { product: wanted.product.clone(), ..created.clone() };
                    let state = Products::fold(None, &created).unwrap().state;
                    projection.loaded(wanted.product, Some(state));
                }
            }
            assert!(projection.states.younger.len() + projection.states.older.len() <= 40);
        }
    }
}

/// A record of product `n` that says nothing.
fn record(n: usize) -> Recorded {
    Recorded {
        product: id(n),
        version: Version(1),
        event_id: Uuid::from_u128(1),
        event: Event::ProductDeleted(ProductDeleted { reason: None }),
        place: Place { partition: 0, offset: 0, appended_at: Timestamp::UNIX_EPOCH },
        meta: Meta::default(),
    }
}
