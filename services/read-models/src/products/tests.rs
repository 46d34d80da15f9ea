use domain::ProductId;

use super::row::ProductRow;
use super::*;
use crate::StoredProduct;
use crate::model::{Folded, ReadModel};
use crate::testing::{category, created, deleted, moved, priced, recorded, restored};

fn fold(state: Option<StoredProduct>, version: u64, event: domain::Event) -> Folded<Products> {
    Products::fold(state, &recorded(version, version as i64, event)).unwrap()
}

/// What a fold changes: category and whether there is a row after it.
fn changes(folded: &Folded<Products>) -> Vec<(String, bool)> {
    folded.changes.iter().map(|(key, row)| (key.category.to_string(), row.is_some())).collect()
}

#[test]
fn a_product_is_listed_in_its_category_and_leaves_the_one_before() {
    let folded = fold(None, 1, created("a/b"));
    assert_eq!(changes(&folded), [("a/b".to_owned(), true)]);
    let folded = fold(Some(folded.state), 2, moved("c"));
    assert_eq!(changes(&folded), [("a/b".to_owned(), false), ("c".to_owned(), true)]);
    let folded = fold(Some(folded.state), 3, priced(5));
    assert_eq!(changes(&folded), [("c".to_owned(), true)]);
    assert_eq!(folded.changes[0].1.as_ref().unwrap().product.price.minor_units(), 5);
}

#[test]
fn a_deleted_product_is_in_no_list_and_keeps_its_row() {
    let folded = fold(Some(fold(None, 1, created("a")).state), 2, deleted());
    assert_eq!(changes(&folded), [("a".to_owned(), false)]);
    assert_eq!(folded.state.product.deleted_from, Some(domain::Status::Listed));
    let folded = fold(Some(folded.state), 3, restored());
    assert_eq!(changes(&folded), [("a".to_owned(), true)]);
}

#[test]
fn time_never_runs_backwards() {
    let first = Products::fold(None, &recorded(1, 1_000, created("a"))).unwrap().state;
    let second = Products::fold(Some(first), &recorded(2, 900, priced(5))).unwrap().state;
    assert_eq!(second.updated_at.as_millisecond(), 1_000);
}

#[test]
fn a_row_is_read_as_it_was_written() {
    let state = fold(Some(fold(None, 1, created("a")).state), 2, deleted()).state;
    assert_eq!(ProductRow::from(&state).parse().unwrap(), state);
}

#[test]
fn a_product_lies_in_the_same_bucket_for_ever() {
    let bucket =
        |id: &str| CategoryKey { category: category("a"), product: ProductId::parse(id).unwrap() }.bucket();
    assert_eq!(["p-1", "p-2", "diamond-00001"].map(bucket), [5, 12, 13]);
    let mut counts = [0; BUCKETS as usize];
    for n in 0..1_600 {
        counts[usize::from(bucket(&format!("p-{n}")))] += 1;
    }
    assert!(counts.iter().all(|count| (50..200).contains(count)), "{counts:?}");
}
