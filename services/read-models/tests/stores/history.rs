//! `history`: whole or an error, paged, and folded to any past.

use domain::{CategoryPath, Version};
use jiff::Timestamp;
use read_models::history::{HistoryModel, Order, Past};
use read_models::model::{EffectiveEvent, Store, Wanted};
use read_models::products::Products;
use read_models::{PageRequest, QueryError, ReadModel};

use super::records::{created, fold, id, moved, priced, project, records, retry};
use super::{Parts, open};

pub(crate) async fn rows_that_a_store_lost_are_noticed_and_written_again_by_the_same_events<A: Parts>() {
    let parts = A::fresh(&[ReadModel::Products, ReadModel::History]).await;
    let (listed, past) = (open::<Products, A>(&parts).await, open::<HistoryModel, A>(&parts).await);
    let (products, history) = (parts.product_queries().await, parts.history_queries().await);
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
    parts.end().await;
}

pub(crate) async fn a_history_that_comes_again_is_folded_from_just_before_it<A: Parts>() {
    let parts = A::fresh(&[ReadModel::History]).await;
    let store = open::<HistoryModel, A>(&parts).await;
    let events = records(0, vec![created(0, "rings"), priced(5), priced(6)]);
    project::<HistoryModel, _>(&store, &events).await;
    let loaded = async |record: &EffectiveEvent| store.load(&[record.into()]).await.unwrap().remove(0);
    assert_eq!(loaded(&events[0]).await, None);
    assert_eq!(loaded(&events[2]).await.map(|head| head.version), Some(Version(2)));
    // An event of another log is seen as it is there.
    let other = EffectiveEvent { event_id: uuid::Uuid::from_u128(99), ..events[1].clone() };
    assert_eq!(
        loaded(&other).await.map(|head| (head.version, head.event_id)),
        Some((Version(2), events[1].event_id))
    );
    parts.end().await;
}

pub(crate) async fn a_history_is_paged_and_folded_to_any_past<A: Parts>() {
    let parts = A::fresh(&[ReadModel::History]).await;
    let (store, queries) = (open::<HistoryModel, A>(&parts).await, parts.history_queries().await);
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
    parts.end().await;
}
