//! The design's check of batches and crashes (`projection_batches`), on every read model's fold: whatever dies between two writes,
//! whatever a store forgets of what it acknowledged last, and however batches are cut afterwards, the rows become the same. And
//! the check bites: each weaker rule is found out.

use std::collections::{BTreeMap, HashMap};

use domain::{
    CategoryPath, Event, Money, PriceChanged, ProductCreated, ProductDeleted, ProductMoved, ProductRestored,
    Status,
};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use super::*;
use crate::model::{LogPosition, Meta, Opens, rewound};
use crate::products::Products;
use crate::{ReadModel, Servers, Visitor};

/// The rules as they are, or one weaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rules {
    AsTheyAre,
    /// Only what a product's last event of a batch changed is written.
    CoalescedPerProduct,
    /// Of a record that comes again no row is written again.
    SeenIsSkipped,
}

/// What a store holds: each product's newest state, and of a row key the newest write. At equal timestamps a delete wins, as in
/// CQL.
#[derive(Debug)]
struct Rows<M: Fold> {
    states: BTreeMap<ProductId, M::State>,
    rows: HashMap<M::Key, RowChange<M>>,
}

#[derive(Debug, Clone)]
enum Op<M: Fold> {
    State(M::State),
    Row(RowChange<M>),
}

impl<M: Fold> Op<M> {
    /// The row that it writes.
    fn row(&self) -> (ProductId, Option<M::Key>) {
        match self {
            Self::State(state) => (state.product().clone(), None),
            Self::Row(change) => (change.product.clone(), Some(change.key.clone())),
        }
    }
}

impl<M: Fold> Rows<M> {
    fn new() -> Self {
        Self { states: BTreeMap::new(), rows: HashMap::new() }
    }

    fn write(&mut self, op: Op<M>) {
        match op {
            Op::State(state) => {
                let there = self.states.get(state.product()).map(|it| it.head().version);
                if there < Some(state.head().version) {
                    self.states.insert(state.product().clone(), state);
                }
            }
            Op::Row(change) => {
                let rank = |it: &RowChange<M>| (it.version, it.row.is_none());
                if self.rows.get(&change.key).map(rank) < Some(rank(&change)) {
                    self.rows.insert(change.key.clone(), change);
                }
            }
        }
    }

    /// As a store does it: just before the wanted version where rows tell that, else as it is.
    fn load(&self, wanted: &Wanted) -> Option<M::State> {
        let state = self.states.get(&wanted.product)?;
        let Some(told_by) = M::TOLD_BY.filter(|_| state.head().version >= wanted.version) else {
            return Some(state.clone());
        };
        let told = |version: u64| {
            let mut rows = self.rows.values().filter(|it| it.product == wanted.product);
            let row = rows.find(|it| it.version.get() == version)?;
            Some(told_by(&row.key, row.row.as_ref()?))
        };
        rewound(wanted, told(wanted.version.get() - 1), told(wanted.version.get()))
    }

    /// Whether a reader sees the same.
    fn looks_like(&self, other: &Self) -> bool {
        let visible = |rows: &Self| {
            rows.rows
                .iter()
                .filter_map(|(key, it)| Some((key.clone(), it.row.clone()?)))
                .collect::<HashMap<_, _>>()
        };
        self.states == other.states && visible(self) == visible(other)
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
fn history(rng: &mut StdRng) -> Vec<EffectiveEvent> {
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
            EffectiveEvent {
                product: id(n),
                version,
                event_id: Uuid::from_u128(offset as u128 + 1),
                event,
                place: LogPosition {
                    partition: 0,
                    offset,
                    appended_at: Timestamp::from_millisecond(rng.random_range(0..1_000)).unwrap(),
                },
                meta: Meta::default(),
            }
        })
        .collect()
}

/// Applies the records in one batch, as a projector does; gives the writes in the order they are made, or nothing if the records
/// do not fit on what the store holds.
fn batch<M: Fold>(
    projection: &mut Projection<M>,
    rows: &Rows<M>,
    records: &[EffectiveEvent],
    rules: Rules,
    rng: &mut StdRng,
) -> Option<Vec<Op<M>>> {
    projection.begin();
    for missing in projection.missing(records) {
        let state = rows.load(&missing);
        projection.loaded(missing.product, state);
    }
    let mut last: BTreeMap<&ProductId, Version> = BTreeMap::new();
    for record in records {
        let seen =
            projection.states.get(&record.product).is_some_and(|it| it.head().version >= record.version);
        if seen && rules == Rules::SeenIsSkipped {
            continue;
        }
        last.insert(&record.product, record.version);
        let outcome = projection.apply(record).unwrap();
        if !matches!(outcome, Outcome::Applied | Outcome::AlreadyApplied) {
            return None;
        }
    }
    let Writes { rows: mut changes, states } = projection.take_writes();
    if rules == Rules::CoalescedPerProduct {
        changes.retain(|change| change.version >= last[&change.product]);
    }
    let mut ops: Vec<Op<M>> =
        changes.into_iter().map(Op::Row).chain(states.into_iter().map(Op::State)).collect();
    // States go last for those who read. For what the rows become it would not matter: a record that comes again writes all
    // of its rows again.
    ops.shuffle(rng);
    Some(ops)
}

/// A store that may forget what it acknowledged last, of each row by itself, as nodes and shards do.
#[derive(Debug)]
struct Forgetful<M: Fold> {
    rows: Rows<M>,
    /// Everything written, in order.
    ops: Vec<Op<M>>,
    /// Positions that were written, and how many writes came before.
    positions: Vec<(usize, usize)>,
}

impl<M: Fold> Forgetful<M> {
    fn write(&mut self, ops: &[Op<M>]) {
        for op in ops {
            self.rows.write(op.clone());
        }
        self.ops.extend_from_slice(ops);
    }

    /// Keeps everything up to a position, and of what came later the beginning, of each row another; gives that position.
    fn forget(&mut self, rng: &mut StdRng) -> usize {
        let kept = rng.random_range(0..=self.positions.len());
        let (position, durable) = kept.checked_sub(1).map_or((0, 0), |last| self.positions[last]);
        self.positions.truncate(kept);
        let mut ends = HashMap::new();
        let ops = std::mem::take(&mut self.ops);
        self.rows = Rows::new();
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
pub(crate) fn converges<M: Fold>(seed: u64, rules: Rules) -> bool {
    let mut rng = StdRng::seed_from_u64(seed);
    let records = history(&mut rng);
    let mut expected = Rows::<M>::new();
    for op in batch(&mut new(10), &Rows::new(), &records, Rules::AsTheyAre, &mut rng).unwrap() {
        expected.write(op);
    }

    let mut store = Forgetful { rows: Rows::<M>::new(), ops: Vec::new(), positions: Vec::new() };
    let (mut position, mut crashes) = (0, 0);
    let mut projection = new(2);
    while position < records.len() || crashes == 0 {
        let end = rng.random_range((position + 1).min(records.len())..=records.len());
        let ops = batch(&mut projection, &store.rows, &records[position..end], rules, &mut rng);
        let Some(ops) = ops else { return false };
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
    store.rows.looks_like(&expected)
}

fn new<M: Fold>(capacity: usize) -> Projection<M> {
    Projection::new(capacity, 1 << 20)
}

/// [`converges`], of any read model.
#[derive(Debug, Clone, Copy)]
struct Run(u64, Rules);

impl Visitor<Servers> for Run {
    type Output = bool;

    fn visit<M: Fold>(self) -> bool
    where
        Servers: Opens<M>,
    {
        converges::<M>(self.0, self.1)
    }
}

/// How often a read model's rows became wrong.
fn found_wrong(rules: Rules, seeds: u64) -> usize {
    let runs = ReadModel::ALL.iter().flat_map(|read_model| (0..seeds).map(move |seed| (read_model, seed)));
    runs.filter(|(read_model, seed)| !read_model.visit(Run(*seed, rules))).count()
}

#[test]
fn crashes_and_other_batches_change_no_row() {
    for read_model in ReadModel::ALL {
        for seed in 0..20_000 {
            assert!(read_model.visit(Run(seed, Rules::AsTheyAre)), "{read_model}, seed {seed}");
        }
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
    let first = EffectiveEvent {
        product: id(0),
        version: Version(1),
        event_id: Uuid::from_u128(1),
        event: created(&mut rng),
        place: LogPosition { partition: 0, offset: 0, appended_at: Timestamp::UNIX_EPOCH },
        meta: Meta::default(),
    };
    let mut projection = new::<Products>(10);
    let missing = projection.missing([&first, &first]);
    assert_eq!(missing, [Wanted::from(&first)], "each product is loaded once");
    projection.loaded(id(0), None);
    for later in [2, 3] {
        let later = EffectiveEvent { version: Version(later), ..first.clone() };
        assert_eq!(projection.apply(&later).unwrap(), Outcome::Gap { there: Version(0) });
    }
    assert_eq!(projection.apply(&first).unwrap(), Outcome::Applied);
    assert_eq!(projection.apply(&first).unwrap(), Outcome::AlreadyApplied);
    let other = EffectiveEvent { event_id: Uuid::from_u128(9), ..first };
    assert_eq!(projection.apply(&other).unwrap(), Outcome::Diverged { there: Uuid::from_u128(1) });
}

#[test]
fn states_of_the_last_batch_are_never_forgotten() {
    let mut rng = StdRng::seed_from_u64(1);
    let created = EffectiveEvent { event: created(&mut rng), ..record(0) };
    for (capacity, max_bytes) in [(2, usize::MAX), (usize::MAX, 2_000)] {
        let mut projection = Projection::<Products>::new(capacity, max_bytes);
        for n in 0..100 {
            let records: Vec<EffectiveEvent> = (n * 10..n * 10 + 10).map(record).collect();
            for round in 0..2 {
                projection.begin();
                let missing = projection.missing(&records);
                assert_eq!(missing.len(), if round == 0 { 10 } else { 0 });
                for wanted in missing {
                    let created = EffectiveEvent { product: wanted.product.clone(), ..created.clone() };
                    let state = Products::fold(None, &created).unwrap().state;
                    projection.loaded(wanted.product, Some(state));
                }
            }
            assert!(projection.states.younger.len() + projection.states.older.len() <= 40);
        }
    }
}

#[test]
fn states_that_are_to_be_written_are_kept_however_many_batches_that_is_put_off() {
    let mut rng = StdRng::seed_from_u64(1);
    let mut projection = Projection::<Products>::new(2, usize::MAX);
    for n in 0..20 {
        projection.begin();
        projection.loaded(id(n), None);
        let created = EffectiveEvent { event: created(&mut rng), ..record(n) };
        assert_eq!(projection.apply(&created).unwrap(), Outcome::Applied);
    }
    assert!(projection.changed_bytes() > 20 * 200, "{}", projection.changed_bytes());
    let writes = projection.take_writes();
    assert_eq!((writes.states.len(), writes.rows.len(), projection.changed_bytes()), (20, 20, 0));
}

/// A record of product `n` that says nothing.
fn record(n: usize) -> EffectiveEvent {
    EffectiveEvent {
        product: id(n),
        version: Version(1),
        event_id: Uuid::from_u128(1),
        event: Event::ProductDeleted(ProductDeleted { reason: None }),
        place: LogPosition { partition: 0, offset: 0, appended_at: Timestamp::UNIX_EPOCH },
        meta: Meta::default(),
    }
}
