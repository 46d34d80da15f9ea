//! `search`: texts with typos, filters, facets, orders and pages.

use domain::{CategoryPath, Currency, Version};
use read_models::model::{EffectiveEvent, Store};
use read_models::search::{
    AttributeName, AttributeValue, Brand, Facet, Filters, SearchModel, SearchRequest, Sort, SuggestRequest,
    Tag,
};
use read_models::{Asked, PageRequest, QueryError, ReadModel};

use super::records::{created, deleted, fold, id, priced, project, records, retry};
use super::{GROUP, SearchParts, open, positions_never_go_back};

pub(crate) async fn products_are_searched_with_typos_filters_and_facets<A: SearchParts>() {
    let parts = A::fresh(&[ReadModel::Search]).await;
    let (store, queries) = (open::<SearchModel, A>(&parts).await, parts.search_queries().await);
    let category = |n: usize| if n < 10 { "rings/gold" } else { "rings/silver" };
    let many: Vec<EffectiveEvent> = (0..30).flat_map(|n| records(n, vec![created(n, category(n))])).collect();
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
    positions_never_go_back(&store).await;
    assert_eq!(queries.position(GROUP, 0).await.unwrap().applied, 7);
    parts.end().await;
}
