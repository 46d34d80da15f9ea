//! The design's check of batches and crashes (`projection_batches`), on the real folds: whatever dies between two writes, and
//! however batches are cut afterwards, the rows become the same. And the check bites: each weaker rule is found out.

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
use crate::products::{CategoryKey, Products};

/// The rules as they are, or one weaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    AsTheyAre,
    /// Only the difference between a product's first and last state of a batch is written.
    CoalescedPerProduct,
    /// The state row is written anywhere among the other writes.
    StateAnywhere,
}

/// What a reader sees in the lists of categories, by category and product.
type Lists<'a> = BTreeMap<&'a (String, String), &'a StoredProduct>;

/// What a store holds of a row key: the newest write, `None` for a delete. At equal timestamps the delete wins, as in CQL.
#[derive(Debug, Default, Clone, PartialEq)]
struct Rows {
    states: BTreeMap<String, StoredProduct>,
    lists: BTreeMap<(String, String), (u64, Option<StoredProduct>)>,
}

#[derive(Debug, Clone)]
enum Op {
    State(StoredProduct),
    Row(RowChange<Products>),
}

impl Rows {
    fn write(&mut self, op: &Op) {
        match op {
            Op::State(state) => {
                let there = self.states.entry(state.product.id.to_string()).or_insert_with(|| state.clone());
                if state.product.version > there.product.version {
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
    fn visible(&self) -> (Vec<&StoredProduct>, Lists<'_>) {
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
    let before: BTreeMap<ProductId, Option<StoredProduct>> =
        records.iter().map(|r| (r.product.clone(), rows.states.get(r.product.as_str()).cloned())).collect();
    for missing in projection.begin(records.iter().map(|r| &r.product)) {
        let state = rows.states.get(missing.as_str()).cloned();
        projection.loaded(missing, state);
    }
    for record in records {
        let outcome = projection.apply(record).unwrap();
        assert!(matches!(outcome, Outcome::Applied | Outcome::AlreadyApplied), "{outcome:?} {record:?}");
    }
    let writes = projection.take_writes();
    let mut ops: Vec<Op> = if rules == Rules::CoalescedPerProduct {
        writes.states.iter().flat_map(|state| difference(before[&state.product.id].as_ref(), state)).collect()
    } else {
        writes.rows.into_iter().map(Op::Row).collect()
    };
    ops.shuffle(rng);
    let mut states: Vec<Op> = writes.states.into_iter().map(Op::State).collect();
    states.shuffle(rng);
    ops.extend(states);
    if rules == Rules::StateAnywhere {
        ops.shuffle(rng);
    }
    ops
}

fn difference(before: Option<&StoredProduct>, after: &StoredProduct) -> Vec<Op> {
    let change = |category: &CategoryPath, row| {
        let key = CategoryKey { category: category.clone(), product: after.product.id.clone() };
        Op::Row(RowChange { key, product: after.product.id.clone(), version: after.product.version, row })
    };
    let moved = before.map(|b| &b.product.category).filter(|c| **c != after.product.category);
    let here =
        change(&after.product.category, (after.product.status != Status::Deleted).then(|| after.clone()));
    moved.map(|category| change(category, None)).into_iter().chain([here]).collect()
}

/// Runs a history with crashes; whether the rows became what one undisturbed batch makes.
fn converges(seed: u64, rules: Rules) -> bool {
    let mut rng = StdRng::seed_from_u64(seed);
    let records = history(&mut rng);
    let mut expected = Rows::default();
    for op in batch(&mut Projection::new(10), &Rows::default(), &records, Rules::AsTheyAre, &mut rng) {
        expected.write(&op);
    }

    let mut rows = Rows::default();
    let (mut position, mut crashes) = (0, 0);
    let mut projection = Projection::new(2);
    while position < records.len() {
        let end = rng.random_range(position + 1..=records.len());
        let ops = batch(&mut projection, &rows, &records[position..end], rules, &mut rng);
        let dies = crashes < 50 && rng.random_bool(0.4);
        let done = if dies { rng.random_range(0..=ops.len()) } else { ops.len() };
        ops[..done].iter().for_each(|op| rows.write(op));
        if dies {
            crashes += 1;
            projection = Projection::new(2);
            // The position is written after the batch; sometimes even an older one was the last to be written.
            position = rng.random_range(0..=position);
        } else {
            position = end;
        }
    }
    rows.visible() == expected.visible()
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
fn the_check_finds_a_state_row_that_is_not_last() {
    assert!(found_wrong(Rules::StateAnywhere, 5_000) > 0);
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
    let mut projection = Projection::<Products>::new(10);
    assert_eq!(projection.begin([&id(0), &id(0)]), [id(0)], "each product is loaded once");
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
    let mut projection = Projection::<Products>::new(2);
    for n in 0..100 {
        let ids: Vec<_> = (n * 10..n * 10 + 10).map(id).collect();
        for missing in projection.begin(&ids) {
            projection.loaded(missing, None);
        }
        assert!(projection.begin(&ids).is_empty());
        assert!(projection.states.younger.len() + projection.states.older.len() <= 40);
    }
}
