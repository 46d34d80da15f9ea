//! `products`: what is written is answered, older writes change nothing, lists are whole.

use std::collections::BTreeSet;

use domain::{CategoryPath, Event, ProductDiscontinued, ProductId, Status, Version};
use read_models::model::{EffectiveEvent, Store};
use read_models::products::Products;
use read_models::{Asked, PageRequest, QueryError, ReadModel};

use super::records::{created, deleted, fold, id, moved, priced, project, records, retry};
use super::{GROUP, Parts, open, positions_never_go_back};

pub(crate) async fn products_are_found_by_id_and_listed_by_category<A: Parts>() {
    let parts = A::fresh(&[ReadModel::Products]).await;
    let (store, queries) = (open::<Products, A>(&parts).await, parts.product_queries().await);
    let many: Vec<EffectiveEvent> =
        (0..100).flat_map(|n| records(n, vec![created(n, "rings/gold")])).collect();
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

    assert_eq!(queries.position(GROUP, 0).await.unwrap().applied, 0);
    positions_never_go_back(&store).await;
    assert_eq!(queries.position(GROUP, 0).await.unwrap().applied, 7);
    parts.end().await;
}

pub(crate) async fn a_list_shows_only_the_statuses_asked_for_page_by_page<A: Parts>() {
    let parts = A::fresh(&[ReadModel::Products]).await;
    let (store, queries) = (open::<Products, A>(&parts).await, parts.product_queries().await);
    let discontinued = || Event::ProductDiscontinued(ProductDiscontinued { reason: None });
    let events = |n: usize| match n % 10 {
        0 => vec![created(n, "rings"), discontinued()],
        1 => vec![created(n, "rings"), deleted()],
        _ => vec![created(n, "rings")],
    };
    let many: Vec<_> = (0..200).flat_map(|n| records(n, events(n))).collect();
    project::<Products, _>(&store, &many).await;
    let rings = CategoryPath::parse("rings").unwrap();
    for (statuses, is_shown) in [
        (vec![], (|n| n % 10 != 1) as fn(usize) -> bool),
        (vec![Status::Listed], |n| n % 10 > 1),
        (vec![Status::Discontinued], |n| n % 10 == 0),
        (vec![Status::Discontinued, Status::Listed], |n| n % 10 != 1),
        (vec![Status::Draft], |_| false),
    ] {
        let expected: BTreeSet<ProductId> = (0..200).filter(|n| is_shown(*n)).map(id).collect();
        for size in [1, 7, 200] {
            let (mut listed, mut token) = (Vec::new(), None);
            loop {
                let page = PageRequest::new(size, token);
                let page = queries.list_category(&rings, &statuses, &page).await.unwrap();
                assert!(page.items.len() <= size as usize);
                listed.extend(page.items.into_iter().map(|item| item.product_id));
                token = page.next;
                if token.is_none() {
                    break;
                }
            }
            assert_eq!(listed.len(), expected.len(), "{statuses:?}: no product twice");
            assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), expected, "{statuses:?} by {size}");
        }
    }
    let token = queries.list_category(&rings, &[], &PageRequest::new(1, None)).await.unwrap().next;
    let other = queries.list_category(&rings, &[Status::Listed], &PageRequest::new(1, token)).await;
    assert!(matches!(other, Err(QueryError::BadPageToken(_))), "the statuses belong to the question");
    parts.end().await;
}
