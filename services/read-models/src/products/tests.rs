use domain::ProductId;

use super::row::ProductRow;
use super::*;
use crate::model::{Fold, Folded};
use crate::testing::{category, created, deleted, moved, priced, recorded, restored};

fn fold(state: Option<ProductState>, version: u64, event: domain::Event) -> Folded<Products> {
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
    assert_eq!(folded.state.stored.product.deleted_from, Some(domain::Status::Listed));
    let folded = fold(Some(folded.state), 3, restored());
    assert_eq!(changes(&folded), [("a".to_owned(), true)]);
}

/// What is written again because of a record: category, version, whether there is a row.
fn again(state: &ProductState, version: u64, event: domain::Event) -> Vec<(String, u64, bool)> {
    let changes = Products::again(state, &recorded(version, version as i64, event)).into_iter();
    changes.map(|it| (it.key.category.to_string(), it.version.get(), it.row.is_some())).collect()
}

#[test]
fn a_state_tells_every_row_that_its_events_wrote() {
    let events = [created("a"), moved("b"), priced(5), moved("c"), moved("b")];
    let state =
        (1..).zip(events).fold(None, |state, (version, event)| Some(fold(state, version, event).state));
    let state = state.unwrap();
    let left: Vec<_> =
        state.left.iter().map(|(category, version)| (category.as_str(), version.get())).collect();
    assert_eq!(left, [("a", 2), ("c", 5)], "where it is now it has not left");
    let here = ("b".to_owned(), 5, true);
    assert_eq!(again(&state, 2, moved("b")), [("a".to_owned(), 2, false), here.clone()]);
    assert_eq!(again(&state, 3, priced(5)), std::slice::from_ref(&here));
    assert_eq!(again(&state, 5, moved("b")), [("c".to_owned(), 5, false), here]);
    let deleted_now = fold(Some(state), 6, deleted()).state;
    assert_eq!(again(&deleted_now, 6, deleted()), [("b".to_owned(), 6, false)]);
    assert_eq!(ProductRow::from(&deleted_now).parse().unwrap(), deleted_now);
}

#[test]
fn a_product_that_moves_without_end_takes_bounded_room() {
    let state = (2..200).fold(fold(None, 1, created("c1")).state, |state, version| {
        fold(Some(state), version, moved(&format!("c{version}"))).state
    });
    assert_eq!(state.left.len(), 32);
    assert_eq!(state.left.last().map(|(category, _)| category.as_str()), Some("c198"));
}

#[test]
fn time_never_runs_backwards() {
    let first = Products::fold(None, &recorded(1, 1_000, created("a"))).unwrap().state;
    let second = Products::fold(Some(first), &recorded(2, 900, priced(5))).unwrap().state;
    assert_eq!(second.stored.updated_at.as_millisecond(), 1_000);
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
