//! Every question that `products` and `history` answer, compared with what the events say, folded by the domain alone. The
//! events are random (each run the same), and come as they may: in any batches, again, and late.

use std::collections::BTreeMap;

use contract::json::event_data;
use domain::{
    Attributes, CategoryPath, DetailsRevised, Event, InitialStatus, Product, ProductCreated,
    ProductDiscontinued, ProductId, ProductListed, ProductRestored, Status, Tags, Version,
};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use read_models::history::{HistoryEntry, HistoryModel, Order, Past};
use read_models::model::{EffectiveEvent, LogPosition, Meta, Store, Wanted};
use read_models::products::{CategoryItem, CategoryKey, Products, Queries};
use read_models::{PageRequest, ReadModel, StoredProduct};
use uuid::Uuid;

use super::records::{created, deleted, fold, id, moved, priced, project, records, retry};
use super::{Parts, open};

const CATEGORIES: [&str; 4] = ["rings", "rings/gold", "rings-old", "watches"];
const PRODUCTS: usize = 60;
const EVENTS: usize = 600;

/// What a product went through: after each event, the product and its entry.
type Lives = BTreeMap<ProductId, Vec<(StoredProduct, HistoryEntry)>>;

/// Ids whose order by bytes is not the one of a dictionary, and of which some begin others.
fn product_id(n: usize) -> ProductId {
    let text = match n % 6 {
        0 => format!("p{n}"),
        1 => format!("P{n}"),
        2 => format!("p{}-a", n - 2),
        3 => format!("p{}.a", n - 3),
        4 => format!("p{}_a", n - 4),
        _ => format!("{n}"),
    };
    ProductId::parse(&text).unwrap()
}

fn next_event(random: &mut StdRng, n: usize, before: Option<&Product>) -> Event {
    let category = CATEGORIES.choose(random).unwrap();
    let Some(before) = before else {
        let Event::ProductCreated(event) = created(n, category) else { panic!("a creation") };
        let status = if random.random_bool(0.3) { InitialStatus::Draft } else { InitialStatus::Listed };
        return Event::ProductCreated(ProductCreated { status, ..event });
    };
    if let Some(status) = before.deleted_from {
        return Event::ProductRestored(ProductRestored { status });
    }
    match random.random_range(0..6) {
        0 => priced(random.random_range(0..10_000)),
        1 => moved(category),
        2 => Event::ProductListed(ProductListed {}),
        3 => Event::ProductDiscontinued(ProductDiscontinued { reason: None }),
        4 => deleted(),
        _ => Event::DetailsRevised(DetailsRevised {
            attributes: Some(Attributes::parse([("größe", "42 μm"), ("note", "a=b")]).unwrap()),
            tags: Some(Tags::parse(if random.random_bool(0.5) { vec![] } else { vec!["b", "a"] }).unwrap()),
            ..DetailsRevised::default()
        }),
    }
}

/// Random events of many products in the order of a log, and what is to be answered of them.
fn lived(random: &mut StdRng) -> (Vec<EffectiveEvent>, Lives) {
    let (mut log, mut lives) = (Vec::new(), Lives::new());
    for offset in 0..EVENTS {
        let n = random.random_range(0..PRODUCTS);
        let (id, life) = (product_id(n), lives.entry(product_id(n)).or_default());
        let before = life.last().map(|(stored, _)| stored.clone());
        let product = before.as_ref().map(|stored| stored.product.clone());
        let event = next_event(random, n, product.as_ref());
        let version = product.as_ref().map_or(Version::FIRST, |product| product.version.next());
        // Clocks of brokers that are not quite together.
        let appended_at =
            Timestamp::from_millisecond(offset as i64 * 10 + random.random_range(-60..60)).unwrap();
        let record = EffectiveEvent {
            product: id.clone(),
            version,
            event_id: Uuid::from_u128(random.random()),
            event: event.clone(),
            place: LogPosition { partition: 0, offset: offset as i64, appended_at },
            meta: Meta {
                actor: random.random_bool(0.5).then(|| "änn".to_owned()),
                principal: random.random_bool(0.5).then(|| "key:shöp".to_owned()),
                command_id: random.random_bool(0.5).then(|| Uuid::from_u128(random.random())),
                correlation_id: random.random_bool(0.5).then(|| format!("c-{offset}")),
                occurred_at: random.random_bool(0.5).then_some(appended_at),
            },
        };
        let product = domain::evolve(product, &id, version, &event).unwrap();
        let updated_at = before.map_or(appended_at, |before| before.updated_at.max(appended_at));
        let entry = HistoryEntry {
            version,
            event_id: record.event_id,
            event_type: event.type_name().to_owned(),
            event: serde_json::to_value(event_data(&event)).unwrap(),
            actor: record.meta.actor.clone(),
            principal: record.meta.principal.clone(),
            command_id: record.meta.command_id,
            correlation_id: record.meta.correlation_id.clone(),
            partition: 0,
            offset: offset as i64,
            appended_at: updated_at,
            occurred_at: record.meta.occurred_at,
        };
        life.push((StoredProduct { product, event_id: record.event_id, updated_at }, entry));
        log.push(record);
    }
    (log, lives)
}

/// As projectors do that crash, are thought dead, or have to begin earlier.
async fn projected<M: read_models::model::Fold, S: Store<M>>(
    store: &S,
    log: &[EffectiveEvent],
    random: &mut StdRng,
) {
    let (mut at, mut late) = (0, Vec::new());
    while at < log.len() {
        let end = log.len().min(at + random.random_range(1..80));
        if random.random_bool(0.3) {
            late.push(fold::<M, S>(store, &log[at..end]).await);
        }
        project::<M, S>(store, &log[at..end]).await;
        at = if random.random_bool(0.3) { at.saturating_sub(random.random_range(0..50)) } else { end };
        if random.random_bool(0.3)
            && let Some(writes) = late.pop()
        {
            store.write(writes, &retry()).await.unwrap();
        }
    }
    for writes in late {
        store.write(writes, &retry()).await.unwrap();
    }
}

fn item(stored: &StoredProduct) -> CategoryItem {
    let product = stored.product.clone();
    CategoryItem {
        product_id: product.id,
        sku: product.sku,
        name: product.name,
        brand: product.brand,
        price: product.price,
        status: product.status,
        version: product.version,
        event_id: stored.event_id,
        updated_at: stored.updated_at,
    }
}

/// All pages of a list, of which none is longer than `size`.
async fn listed(
    queries: &Queries,
    category: &CategoryPath,
    statuses: &[Status],
    size: u32,
) -> Vec<Vec<CategoryItem>> {
    let (mut pages, mut token) = (Vec::new(), None);
    loop {
        let page = queries.list_category(category, statuses, &PageRequest::new(size, token)).await.unwrap();
        assert!(page.items.len() <= size as usize);
        pages.push(page.items);
        token = page.next;
        if token.is_none() {
            return pages;
        }
    }
}

pub(crate) async fn every_question_is_answered_as_the_folds_say_after_any_batches_crashes_and_late_writes<
    A: Parts,
>() {
    let parts = A::fresh(&[ReadModel::Products, ReadModel::History]).await;
    let mut random = StdRng::seed_from_u64(7);
    let (log, lives) = lived(&mut random);
    let (list, past) = (open::<Products, A>(&parts).await, open::<HistoryModel, A>(&parts).await);
    projected::<Products, _>(&list, &log, &mut random).await;
    projected::<HistoryModel, _>(&past, &log, &mut random).await;
    of_products(&parts.product_queries().await, &lives, &mut random).await;
    of_history(&parts.history_queries().await, &lives).await;
    states(&list, &past, &lives).await;
    parts.end().await;
}

async fn of_products(queries: &Queries, lives: &Lives, random: &mut StdRng) {
    let now = |id: &ProductId| lives.get(id).map(|life| life[life.len() - 1].0.clone());
    for id in lives.keys() {
        assert_eq!(queries.product(id).await.unwrap(), now(id));
        let version = now(id).unwrap().product.version;
        assert!(queries.is_consistent(id, version).await.unwrap(), "{id}");
        assert!(!queries.is_consistent(id, version.next()).await.unwrap(), "{id}");
    }
    let mut several: Vec<ProductId> = lives.keys().cloned().collect();
    several.extend([id(900), several[0].clone(), id(901)]);
    several.shuffle(random);
    let expected: Vec<_> = several.iter().map(now).collect();
    assert_eq!(queries.products(&several).await.unwrap(), expected, "in the order asked for");
    assert_eq!(queries.products(&[]).await.unwrap(), []);
    for category in CATEGORIES.into_iter().chain(["ring", "gold", "rings/gold/old"]) {
        let category = CategoryPath::parse(category).unwrap();
        for statuses in
            [&[][..], &[Status::Draft], &[Status::Listed, Status::Discontinued], &[Status::Deleted]]
        {
            let is_wanted =
                |status| status != Status::Deleted && (statuses.is_empty() || statuses.contains(&status));
            let there = lives
                .keys()
                .filter_map(now)
                .filter(|stored| stored.product.category == category && is_wanted(stored.product.status));
            let mut expected: Vec<CategoryItem> = there.map(|stored| item(&stored)).collect();
            let bucket = |product: &ProductId| {
                CategoryKey { category: category.clone(), product: product.clone() }.bucket()
            };
            expected
                .sort_by_key(|item| (bucket(&item.product_id), item.product_id.as_str().as_bytes().to_vec()));
            for size in [1, 3, 500] {
                let pages = listed(queries, &category, statuses, size).await;
                assert_eq!(pages.concat(), expected, "{category} {statuses:?} by {size}");
            }
        }
    }
}

async fn of_history(queries: &read_models::history::Queries, lives: &Lives) {
    for (id, life) in lives {
        let head = queries.head(id).await.unwrap().unwrap();
        let (newest, _) = life.last().unwrap();
        assert_eq!((head.version, head.event_id), (newest.product.version, newest.event_id));
        for order in [Order::NewestFirst, Order::OldestFirst] {
            let mut expected: Vec<HistoryEntry> = life.iter().map(|(_, entry)| entry.clone()).collect();
            if order == Order::NewestFirst {
                expected.reverse();
            }
            let page = queries.history(id, order, &PageRequest::new(500, None)).await.unwrap();
            assert_eq!((page.items, page.next), (expected, None), "{id} {order:?}");
        }
        for (stored, entry) in life {
            let at = queries.product_at(id, Past::Version(entry.version)).await.unwrap();
            assert_eq!(at.as_ref(), Some(stored), "{id} at {}", entry.version);
            let time = entry.appended_at;
            let then =
                life.iter().rev().find(|(_, entry)| entry.appended_at <= time).map(|(stored, _)| stored);
            assert_eq!(
                queries.product_at(id, Past::Time(time)).await.unwrap().as_ref(),
                then,
                "{id} at {time}"
            );
        }
        let next = newest.product.version.next();
        assert_eq!(queries.product_at(id, Past::Version(next)).await.unwrap(), None, "{id} at {next}");
    }
}

/// What a projector loads: of `history` just before any version, of `products` the newest.
async fn states<A: Store<Products>, B: Store<HistoryModel>>(list: &A, past: &B, lives: &Lives) {
    for (id, life) in lives {
        let wanted = life.iter().map(|(stored, entry)| Wanted {
            product: id.clone(),
            version: entry.version,
            event_id: stored.event_id,
        });
        let wanted: Vec<Wanted> = wanted.collect();
        let before = std::iter::once(None).chain(life.iter().map(|(stored, _)| Some(stored)));
        for (state, before) in past.load(&wanted).await.unwrap().into_iter().zip(before) {
            let state = state.map(|head| (head.version, head.event_id, head.appended_at));
            let before = before.map(|it| (it.product.version, it.event_id, it.updated_at));
            assert_eq!(state, before, "{id}");
        }
        let newest = &life[life.len() - 1].0;
        for state in list.load(&wanted).await.unwrap() {
            assert_eq!(state.map(|state| state.stored).as_deref(), Some(newest));
        }
    }
}

pub(crate) async fn a_list_ends_where_its_last_row_is_whatever_the_size_of_its_pages<A: Parts>() {
    const COUNT: usize = 40;
    let parts = A::fresh(&[ReadModel::Products]).await;
    let (store, queries) = (open::<Products, A>(&parts).await, parts.product_queries().await);
    let many: Vec<_> = (0..COUNT).flat_map(|n| records(n, vec![created(n, "rings")])).collect();
    project::<Products, _>(&store, &many).await;
    let rings = CategoryPath::parse("rings").unwrap();
    for size in 1..=COUNT + 1 {
        let pages = listed(&queries, &rings, &[], size as u32).await;
        let lengths: Vec<usize> = pages.iter().map(Vec::len).collect();
        let mut expected = vec![size; COUNT / size];
        expected.extend(Some(COUNT % size).filter(|rest| *rest > 0));
        assert_eq!(lengths, expected, "no page is empty, and none is short but the last");
    }
    let none = listed(&queries, &CategoryPath::parse("ring").unwrap(), &[], 5).await;
    assert_eq!(none, [vec![]]);
    parts.end().await;
}

pub(crate) async fn a_history_ends_where_its_last_row_is_whatever_the_size_of_its_pages<A: Parts>() {
    const COUNT: usize = 20;
    let parts = A::fresh(&[ReadModel::History]).await;
    let (store, queries) = (open::<HistoryModel, A>(&parts).await, parts.history_queries().await);
    for n in 0..3 {
        let events = std::iter::once(created(n, "rings")).chain((1..COUNT as i64).map(priced)).collect();
        project::<HistoryModel, _>(&store, &records(n, events)).await;
    }
    for order in [Order::NewestFirst, Order::OldestFirst] {
        for size in 1..=COUNT + 1 {
            let (mut versions, mut pages, mut token) = (Vec::new(), 0, None);
            loop {
                let page =
                    queries.history(&id(1), order, &PageRequest::new(size as u32, token)).await.unwrap();
                versions.extend(page.items.iter().map(|entry| entry.version.get() as usize));
                (pages, token) = (pages + 1, page.next);
                if token.is_none() {
                    break;
                }
            }
            let mut expected: Vec<usize> = (1..=COUNT).collect();
            if order == Order::NewestFirst {
                expected.reverse();
            }
            assert_eq!((versions, pages), (expected, COUNT.div_ceil(size)), "{order:?} by {size}");
        }
    }
    let unknown = queries.history(&id(9), Order::OldestFirst, &PageRequest::default()).await.unwrap();
    assert_eq!((unknown.items, unknown.next), (vec![], None));
    parts.end().await;
}
