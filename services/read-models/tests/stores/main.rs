//! The read models on the real stores: what is written is answered, older writes change nothing, pages are whole.

#![expect(clippy::unwrap_used, reason = "what a test needs and does not get ends it")]

mod lists;
mod records;
mod relevance;

use std::collections::BTreeSet;

use adapter_cql::Cql;
use adapter_cql::CqlConfig;
use adapter_search::Search;
use adapter_search::SearchConfig;
use domain::{CategoryPath, Currency, ProductId, Version};
use jiff::Timestamp;
use read_models::history::{HistoryModel, HistoryStore, Order, Past};
use read_models::model::{Position, ReadModel, Recorded, Store, Wanted};
use read_models::products::{Products, ProductsStore};
use read_models::search::{
    AttributeName, AttributeValue, Brand, Facet, Filters, SearchModel, SearchRequest, SearchStore, Sort,
    SuggestRequest, Tag,
};
use read_models::{PageRequest, QueryError, history, products, search, stores};
use records::{created, deleted, fold, id, moved, priced, project, records, retry};
use testkit::servers::{servers, test_prefix};
use toolkit::retry::GaveUp;

const GROUP: &str = "test.g1";

async fn cql() -> Cql {
    let config = CqlConfig {
        contact_points: vec![servers().addresses.cql_contact_point.clone()],
        keyspace: test_prefix(),
        ..CqlConfig::default()
    };
    let cql = Cql::connect(&config).await.unwrap();
    let replication = "{'class': 'SimpleStrategy', 'replication_factor': 1}";
    let applied = stores::apply_cql(&cql, replication).await.unwrap();
    assert!(applied.iter().all(|a| a.created), "{applied:?}");
    let again = stores::apply_cql(&cql, replication).await.unwrap();
    assert!(again.iter().all(|a| !a.created), "{again:?}");
    assert!(stores::check_cql(&cql).await.unwrap().is_empty());
    cql
}

async fn search() -> Search {
    let config = SearchConfig {
        url: servers().addresses.elasticsearch_url.clone(),
        index_prefix: test_prefix(),
        ..SearchConfig::default()
    };
    let search = Search::connect(&config).await.unwrap();
    assert_eq!(stores::check_search(&search).await.unwrap().len(), 6);
    let applied = stores::apply_search(&search).await.unwrap();
    assert!(applied.iter().all(|a| a.created), "{applied:?}");
    assert!(stores::apply_search(&search).await.unwrap().iter().all(|a| !a.created));
    assert!(stores::check_search(&search).await.unwrap().is_empty());
    search
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_found_by_id_and_listed_by_category() {
    let cql = cql().await;
    let store = ProductsStore::open(&cql).await.unwrap();
    let queries = products::Queries::open(&cql).await.unwrap();
    let many: Vec<Recorded> = (0..100).flat_map(|n| records(n, vec![created(n, "rings/gold")])).collect();
    project::<Products, _>(&store, &many).await;
    let first = records(0, vec![created(0, "rings/gold"), moved("rings/old"), priced(5)]);
    let old = fold::<Products, _>(&store, &first[..2]).await;
    project::<Products, _>(&store, &first).await;
    project::<Products, _>(&store, &records(1, vec![created(1, "rings/gold"), deleted()])).await;

    // A late write of an older state, as a process that was thought dead makes it.
    store.write(old, &retry()).await.unwrap();
    let product = queries.product(&id(0)).await.unwrap().unwrap();
    assert_eq!((product.product.version, product.product.price.minor_units()), (Version(3), 5));
    assert_eq!(product.product.category.as_str(), "rings/old");
    assert_eq!(product.event_id, first[2].event_id);
    let several = queries.products(&[id(1), id(900), id(2)]).await.unwrap();
    assert_eq!(several.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, true]);
    assert_eq!(several[0].as_ref().unwrap().product.status, domain::Status::Deleted);

    let gold = CategoryPath::parse("rings/gold").unwrap();
    let mut listed = Vec::new();
    let mut token = None;
    loop {
        let page = queries.list_category(&gold, &[], &PageRequest::new(7, token)).await.unwrap();
        assert!(page.items.len() <= 7);
        listed.extend(page.items.into_iter().map(|item| item.product_id));
        token = page.next;
        if token.is_none() {
            break;
        }
    }
    let expected: BTreeSet<ProductId> = (2..100).map(id).collect();
    assert_eq!(listed.len(), expected.len(), "no product twice");
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), expected);
    let whole = queries.list_category(&gold, &[], &PageRequest::new(500, None)).await.unwrap();
    assert_eq!(whole.items.iter().map(|i| i.product_id.clone()).collect::<Vec<_>>(), listed, "one order");
    let old = CategoryPath::parse("rings/old").unwrap();
    let token = queries.list_category(&gold, &[], &PageRequest::new(7, None)).await.unwrap().next;
    let foreign = queries.list_category(&old, &[], &PageRequest::new(7, token)).await;
    assert!(matches!(foreign, Err(QueryError::BadPageToken(_))));
    assert_eq!(queries.list_category(&old, &[], &PageRequest::default()).await.unwrap().items.len(), 1);

    assert_eq!(queries.position(GROUP, 0).await.unwrap(), 0);
    positions_never_go_back(&store).await;
    assert_eq!(queries.position(GROUP, 0).await.unwrap(), 7);

    // Whatever else is lost with it, a read model keeps its own positions; those of the lost one go.
    let others = HistoryStore::open(&cql).await.unwrap();
    positions_never_go_back(&others).await;
    assert!(store.starts().await.unwrap().is_some(), "the server tells when it was started");
    for table in ["history_g1", "products_by_category_g1"] {
        let lost = cql.prepare(&format!("DROP TABLE {{keyspace}}.{table}")).await.unwrap();
        cql.execute(&lost, ()).await.unwrap();
        assert_eq!(stores::check_cql(&cql).await.unwrap().len(), 1, "{table}");
        let is_history = table == "history_g1";
        assert_eq!(others.is_there().await.is_err_and(|error| error.is_missing()), is_history, "{table}");
        assert_eq!(store.is_there().await.is_err_and(|error| error.is_missing()), !is_history, "{table}");
        if !is_history {
            let late = store.write(fold(&store, &first).await, &retry()).await.unwrap_err();
            assert!(matches!(&late, GaveUp::Final(error) if error.is_missing()), "{late:?}");
        }
        stores::apply_cql(&cql, "").await.unwrap();
        let (products, history) =
            (store.position(GROUP, 0).await.unwrap(), others.position(GROUP, 0).await.unwrap());
        assert_eq!(history, None, "what was lost is built again from the beginning");
        assert_eq!(products.is_some(), is_history, "{table}");
    }
    cql.drop_keyspace().await.unwrap();
}

async fn positions_never_go_back<M: ReadModel>(store: &impl Store<M>) {
    let position = |applied, durable| Position { applied, durable };
    assert_eq!(store.position(GROUP, 0).await.unwrap(), None);
    for (written, stored) in [((7, 3), (7, 3)), ((5, 5), (7, 3))] {
        store.write_position(GROUP, 0, position(written.0, written.1)).await.unwrap();
        assert_eq!(store.position(GROUP, 0).await.unwrap(), Some(position(stored.0, stored.1)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_a_newer_release_is_added_and_rows_without_it_are_read() {
    let cql = cql().await;
    let store = ProductsStore::open(&cql).await.unwrap();
    project::<Products, _>(&store, &records(0, vec![created(0, "rings")])).await;
    let before = cql.prepare("ALTER TABLE {keyspace}.products_g1 DROP left_categories").await.unwrap();
    cql.execute(&before, ()).await.unwrap();
    assert_eq!(stores::check_cql(&cql).await.unwrap().len(), 1);
    let applied = stores::apply_cql(&cql, "").await.unwrap();
    let changed: Vec<_> = applied.iter().filter(|it| it.created).map(|it| it.what.as_str()).collect();
    assert!(changed.len() == 1 && changed[0].contains("left_categories"), "{changed:?}");
    assert!(stores::check_cql(&cql).await.unwrap().is_empty());
    let queries = products::Queries::open(&cql).await.unwrap();
    assert_eq!(queries.product(&id(0)).await.unwrap().unwrap().product.version, Version(1));
    cql.drop_keyspace().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_store_lost_are_noticed_and_written_again_by_the_same_events() {
    let cql = cql().await;
    let (listed, past) = (ProductsStore::open(&cql).await.unwrap(), HistoryStore::open(&cql).await.unwrap());
    let (products, history) =
        (products::Queries::open(&cql).await.unwrap(), history::Queries::open(&cql).await.unwrap());
    let events = records(0, vec![created(0, "rings"), priced(5), moved("gold"), priced(6)]);
    // As a crash leaves it: states are there, and of their other rows some are not.
    project::<Products, _>(&listed, &events[..2]).await;
    let mut writes = fold::<Products, _>(&listed, &events).await;
    writes.rows.clear();
    listed.write(writes, &retry()).await.unwrap();
    let mut writes = fold::<HistoryModel, _>(&past, &events).await;
    writes.rows.retain(|change| change.version != Version(3));
    past.write(writes, &retry()).await.unwrap();
    let consistent = async || products.is_consistent(&id(0), Version(4)).await.unwrap();
    let is_incomplete = |it: Result<bool, QueryError>| matches!(it, Err(QueryError::Incomplete(_)));
    let page = async |order, size| {
        history.history(&id(0), order, &PageRequest::new(size, None)).await.map(|page| page.items.is_empty())
    };
    let at = async |past| history.product_at(&id(0), past).await.map(|it| it.is_some());
    assert!(!consistent().await);
    for order in [Order::NewestFirst, Order::OldestFirst] {
        assert!(is_incomplete(page(order, 10).await), "{order:?}");
    }
    assert!(!page(Order::NewestFirst, 1).await.unwrap(), "what is whole is answered");
    assert!(is_incomplete(at(Past::Version(Version(4))).await));
    assert!(is_incomplete(at(Past::Version(Version(3))).await));
    assert!(is_incomplete(at(Past::Time(Timestamp::from_second(100).unwrap())).await));
    assert!(at(Past::Version(Version(2))).await.unwrap());
    let listed_in = async |category: &str| {
        let category = CategoryPath::parse(category).unwrap();
        products.list_category(&category, &[], &PageRequest::default()).await.unwrap().items.len()
    };
    assert_eq!((listed_in("rings").await, listed_in("gold").await), (1, 0), "a delete was lost too");

    project::<Products, _>(&listed, &events).await;
    project::<HistoryModel, _>(&past, &events[1..]).await;
    assert!(consistent().await);
    assert!(!products.is_consistent(&id(0), Version(5)).await.unwrap());
    assert_eq!((listed_in("rings").await, listed_in("gold").await), (0, 1));
    for order in [Order::NewestFirst, Order::OldestFirst] {
        assert!(!page(order, 10).await.unwrap(), "{order:?}");
    }
    assert!(at(Past::Version(Version(4))).await.unwrap());
    assert!(!at(Past::Version(Version(5))).await.unwrap(), "it is not there yet");
    cql.drop_keyspace().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_comes_again_is_folded_from_just_before_it() {
    let cql = cql().await;
    let store = HistoryStore::open(&cql).await.unwrap();
    let events = records(0, vec![created(0, "rings"), priced(5), priced(6)]);
    project::<HistoryModel, _>(&store, &events).await;
    let loaded = async |record: &Recorded| store.load(&[record.into()]).await.unwrap().remove(0);
    assert_eq!(loaded(&events[0]).await, None);
    assert_eq!(loaded(&events[2]).await.map(|head| head.version), Some(Version(2)));
    // An event of another log is seen as it is there.
    let other = Recorded { event_id: uuid::Uuid::from_u128(99), ..events[1].clone() };
    assert_eq!(
        loaded(&other).await.map(|head| (head.version, head.event_id)),
        Some((Version(2), events[1].event_id))
    );
    cql.drop_keyspace().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_paged_and_folded_to_any_past() {
    let cql = cql().await;
    let store = HistoryStore::open(&cql).await.unwrap();
    let queries = history::Queries::open(&cql).await.unwrap();
    // More events than fit in one mutation with their head.
    let events = std::iter::once(created(0, "rings")).chain((0..149).map(priced)).collect();
    let records = records(0, events);
    project::<HistoryModel, _>(&store, &records).await;
    project::<HistoryModel, _>(&store, &records[100..]).await;
    let wanted = |n: usize| Wanted { product: id(n), version: Version(151), event_id: uuid::Uuid::nil() };
    let state = &store.load(&[wanted(0), wanted(1)]).await.unwrap();
    assert_eq!(state[0].as_ref().map(|s| s.version), Some(Version(150)));
    assert!(state[1].is_none());

    for order in [Order::NewestFirst, Order::OldestFirst] {
        let mut versions = Vec::new();
        let mut token = None;
        loop {
            let page = queries.history(&id(0), order, &PageRequest::new(40, token)).await.unwrap();
            versions.extend(page.items.iter().map(|entry| entry.version.get()));
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        let expected: Vec<u64> = match order {
            Order::NewestFirst => (1..=150).rev().collect(),
            Order::OldestFirst => (1..=150).collect(),
        };
        assert_eq!(versions, expected);
    }
    let oldest = queries.history(&id(0), Order::OldestFirst, &PageRequest::new(2, None)).await.unwrap();
    let entry = &oldest.items[1];
    assert_eq!((entry.event_type.as_str(), entry.actor.as_deref()), ("PriceChanged", Some("ann")));
    assert_eq!(entry.event["price"]["minor_units"], 0);
    let price_at = async |past| {
        let product = queries.product_at(&id(0), past).await.unwrap();
        product.map(|p| (p.product.version.get(), p.product.price.minor_units()))
    };
    assert_eq!(price_at(Past::Version(Version(1))).await, Some((1, 1_000)));
    assert_eq!(price_at(Past::Version(Version(150))).await, Some((150, 148)));
    assert_eq!(price_at(Past::Version(Version(151))).await, None);
    assert_eq!(price_at(Past::Time(Timestamp::from_millisecond(2_500).unwrap())).await, Some((2, 0)));
    assert_eq!(price_at(Past::Time(Timestamp::UNIX_EPOCH)).await, None);
    assert_eq!(queries.head(&id(0)).await.unwrap().unwrap().version, Version(150));
    assert_eq!(queries.head(&id(9)).await.unwrap(), None);
    cql.drop_keyspace().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn products_are_searched_with_typos_filters_and_facets() {
    let search = search().await;
    let store = SearchStore::open(&search).await.unwrap();
    let queries = search::Queries::new(&search);
    let category = |n: usize| if n < 10 { "rings/gold" } else { "rings/silver" };
    let many: Vec<Recorded> = (0..30).flat_map(|n| records(n, vec![created(n, category(n))])).collect();
    project::<SearchModel, _>(&store, &many).await;
    let old = fold::<SearchModel, _>(&store, &records(0, vec![created(0, "rings/gold"), priced(7)])).await;
    project::<SearchModel, _>(&store, &records(0, vec![created(0, "rings/gold"), priced(5), deleted()]))
        .await;
    store.write(old, &retry()).await.unwrap();
    let stored = queries.product(&id(0)).await.unwrap().unwrap();
    assert_eq!((stored.product.version, stored.product.price.minor_units()), (Version(3), 5), "in real time");
    queries.refresh().await.unwrap();

    let found = async |request: &SearchRequest| queries.search(request).await.unwrap();
    let text = |text: &str| SearchRequest { text: Some(text.to_owned()), ..SearchRequest::default() };
    assert_eq!(found(&SearchRequest::default()).await.total, 29, "deleted products are not found");
    assert_eq!(found(&text("goldne rnig")).await.total, 29, "typos are tolerated");
    assert_eq!(found(&text("golden RING-7")).await.hits[0].found.product.id, id(7));
    assert_eq!(found(&text("golden aurum")).await.total, 14, "words may be in different fields");
    assert_eq!(found(&text("platinum")).await.total, 0);

    let filters = Filters {
        category: Some(CategoryPath::parse("rings").unwrap()),
        brands: vec![Brand::parse("Aurum").unwrap()],
        price_min: Some(1_004),
        currency: Some(Currency::parse("EUR").unwrap()),
        attributes: vec![(AttributeName::parse("size").unwrap(), AttributeValue::parse("m").unwrap())],
        tags: vec![Tag::parse("gift").unwrap()],
        ..Filters::default()
    };
    let facets = vec![
        Facet::Category,
        Facet::Attribute { name: AttributeName::parse("size").unwrap() },
        Facet::Price { bounds: vec![1_010] },
        Facet::AttributeNames,
    ];
    let mut request = SearchRequest {
        filters,
        facets,
        sort: Sort::PriceDescending,
        page: PageRequest::new(5, None),
        ..SearchRequest::default()
    };
    let first = found(&request).await;
    assert_eq!(first.total, 13);
    let counts: Vec<Vec<(String, u64)>> = first
        .facets
        .iter()
        .map(|facet| facet.buckets.iter().map(|b| (b.value.clone(), b.count)).collect())
        .collect();
    let pair = |value: &str, count| (value.to_owned(), count);
    assert_eq!(counts[0], [pair("rings", 13), pair("rings/silver", 10), pair("rings/gold", 3)]);
    assert_eq!(counts[1], [pair("m", 13)]);
    assert_eq!(counts[2], [pair("-1010", 4), pair("1010-", 10)]);
    assert_eq!(counts[3], [pair("size", 13)]);
    let mut pages = vec![first];
    while let Some(next) = pages.last().unwrap().next.clone() {
        request.page.token = Some(next);
        pages.push(found(&request).await);
    }
    let prices: Vec<u64> =
        pages.iter().flat_map(|page| &page.hits).map(|hit| hit.found.product.price.minor_units()).collect();
    assert_eq!(prices, (2..15).rev().map(|n| 1_000 + 2 * n).collect::<Vec<u64>>());
    request.sort = Sort::Newest;
    assert!(matches!(queries.search(&request).await, Err(QueryError::BadPageToken(_))));

    let suggest = async |prefix: &str| {
        let request = SuggestRequest { prefix: prefix.to_owned(), size: 5, statuses: Vec::new() };
        queries.suggest(&request).await.unwrap()
    };
    assert_eq!(suggest("golden ri").await.len(), 5);
    assert!(suggest("  ").await.is_empty());
    positions_never_go_back::<SearchModel>(&store).await;
    assert_eq!(queries.position(GROUP, 0).await.unwrap(), 7);
    assert!(store.starts().await.unwrap().is_some(), "the server tells when it was started");

    // A write never makes an index up.
    let late = fold::<SearchModel, _>(&store, &records(5, vec![created(5, "rings/gold"), priced(8)])).await;
    search.delete_index(&search::INDEX.index(search.prefix(), read_models::GENERATION)).await.unwrap();
    let refused = store.write(late, &retry()).await.unwrap_err();
    assert!(matches!(&refused, GaveUp::Final(error) if error.is_missing()), "{refused:?}");
    assert!(store.is_there().await.is_err_and(|error| error.is_missing()));
    assert!(matches!(queries.search(&SearchRequest::default()).await, Err(QueryError::Unavailable(_))));
    stores::apply_search(&search).await.unwrap();
    assert_eq!(
        queries.position(GROUP, 0).await.unwrap(),
        0,
        "what was lost is built again from the beginning"
    );
    for index in stores::INDICES {
        search.delete_index(&index.index(search.prefix(), read_models::GENERATION)).await.unwrap();
    }
}
