//! Lists of a category by status, on the real store.

use std::collections::BTreeSet;

use domain::{CategoryPath, Event, ProductDiscontinued, ProductId, Status};
use read_models::products::{Products, ProductsStore, Queries};
use read_models::{PageRequest, QueryError};

use super::cql;
use super::records::{created, deleted, id, project, records};

#[tokio::test(flavor = "multi_thread")]
async fn a_list_shows_only_the_statuses_asked_for_page_by_page() {
    let cql = cql().await;
    let store = ProductsStore::open(&cql).await.unwrap();
    let queries = Queries::open(&cql).await.unwrap();
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
    cql.drop_keyspace().await.unwrap();
}
