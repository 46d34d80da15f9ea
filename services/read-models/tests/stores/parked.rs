//! Marks of what is parked: what was written last is what everybody finds, of each group and product for itself.

use std::collections::BTreeMap;
use std::time::Duration;

use read_models::Asked;
use read_models::history::HistoryModel;
use read_models::marks::{MAX_COUNTED, Mark, Marking, Marks};
use read_models::model::Store;
use read_models::products::Products;
use read_models::search::SearchModel;
use read_models::{ProductId, ReadModel};
use toolkit::dead_letters::Kind;

use super::records::retry;
use super::{GROUP, SearchParts, open};

pub(crate) const MARK: Mark =
    Mark { first_offset: 7, since_ms: 1_700_000_000_123, kind: Kind::RefusedByStore, is_discarded: false };

pub(crate) fn marking<const N: usize>(marks: [(&str, Option<Mark>); N]) -> Marking {
    marks.into_iter().map(|(product, mark)| (product.to_owned(), mark)).collect()
}

pub(crate) async fn marks_are_what_was_written_last_of_each_product<A: SearchParts>() {
    let parts = A::fresh(ReadModel::ALL).await;
    let queries = parts.product_queries().await;
    are_what_was_written_last(open::<Products, A>(&parts).await.marks(), queries.marks()).await;
    let queries = parts.history_queries().await;
    are_what_was_written_last(open::<HistoryModel, A>(&parts).await.marks(), queries.marks()).await;
    let queries = parts.search_queries().await;
    are_what_was_written_last(open::<SearchModel, A>(&parts).await.marks(), queries.marks()).await;
    parts.end().await;
}

async fn count_is(asked: &dyn Marks, group: &str, count: u64) {
    let mut told = 0;
    // It may lag.
    for _ in 0..400 {
        told = asked.count(group).await.unwrap();
        if told == count {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(told, count, "{group}");
}

/// The same of those of a partition.
async fn are_in(written: &dyn Marks, group: &str, partition: i32, marks: BTreeMap<String, Mark>) {
    let mut there = BTreeMap::new();
    for _ in 0..400 {
        there = written.of_partition(group, partition).await.unwrap();
        if there == marks {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(there, marks, "{group} {partition}");
}

async fn are_what_was_written_last(written: &dyn Marks, asked: &dyn Marks) {
    const OTHER: &str = "test.g10";
    let ids = ["a", "b", "c", "B"].map(|id| ProductId::parse(id).unwrap());
    let of_products = async |group: &'static str| asked.of_products(group, &ids).await.unwrap();
    let write = async |group, partition, marks| {
        written.write(group, partition, &marks, &retry()).await.unwrap();
    };
    assert_eq!(written.of_partition(GROUP, 3).await.unwrap(), BTreeMap::new());
    assert_eq!(of_products(GROUP).await, [None; 4]);
    count_is(asked, GROUP, 0).await;

    let given_up = Mark { first_offset: 0, kind: Kind::Undecodable, is_discarded: true, ..MARK };
    write(GROUP, 3, marking([("a", Some(MARK)), ("b", Some(given_up)), ("c", None)])).await;
    write(GROUP, 4, marking([("c", Some(MARK))])).await;
    write(OTHER, 3, marking([("a", Some(given_up))])).await;
    for _ in 0..2 {
        let there = BTreeMap::from([("a".to_owned(), MARK), ("b".to_owned(), given_up)]);
        are_in(written, GROUP, 3, there).await;
        assert_eq!(of_products(GROUP).await, [Some(MARK), Some(given_up), Some(MARK), None]);
        assert_eq!(of_products(OTHER).await, [Some(given_up), None, None, None]);
        count_is(asked, GROUP, 3).await;
        count_is(asked, OTHER, 1).await;
        // The same again changes nothing.
        write(GROUP, 3, marking([("a", Some(MARK)), ("b", Some(given_up))])).await;
    }

    let later = Mark { first_offset: 9, kind: Kind::Gap, ..MARK };
    write(GROUP, 3, marking([("a", None), ("b", Some(later))])).await;
    assert_eq!(of_products(GROUP).await, [None, Some(later), Some(MARK), None]);
    assert_eq!(written.of_partition(GROUP, 3).await.unwrap(), BTreeMap::from([("b".to_owned(), later)]));
    count_is(asked, GROUP, 2).await;
    write(GROUP, 3, marking([("a", Some(MARK))])).await;
    assert_eq!(of_products(GROUP).await, [Some(MARK), Some(later), Some(MARK), None], "it comes back");
    assert_eq!(of_products(OTHER).await, [Some(given_up), None, None, None], "of a group for itself");

    // More than are read at once, and than are counted.
    let many: Marking = (0..1_300).map(|n| (format!("p-{n}"), Some(MARK))).collect();
    write(OTHER, 5, many.clone()).await;
    let there = many.iter().filter_map(|(product, mark)| Some((product.clone(), (*mark)?))).collect();
    are_in(written, OTHER, 5, there).await;
    count_is(asked, OTHER, MAX_COUNTED).await;
    write(OTHER, 5, many.into_keys().map(|product| (product, None)).collect()).await;
    assert_eq!(written.of_partition(OTHER, 5).await.unwrap(), BTreeMap::new());
    count_is(asked, OTHER, 1).await;
}
