use domain::{FoldError, Version};

use super::*;
use crate::model::{Fold, LogPosition};
use crate::testing::{created, priced, recorded};

#[test]
fn every_event_is_one_row_and_the_head_is_the_last() {
    let record = recorded(1, 5, created("a"));
    let folded = HistoryModel::fold(None, &record).unwrap();
    let (key, row) = &folded.changes[0];
    assert_eq!((folded.changes.len(), key.version), (1, Version(1)));
    let entry =
        Entry { event_id: record.event_id, event: record.event, place: record.place, meta: record.meta };
    assert_eq!(row.as_ref(), Some(&entry));
    assert_eq!((folded.state.version, folded.state.event_id), (Version(1), record.event_id));
}

#[test]
fn a_history_does_not_run_backwards() {
    let head = HistoryModel::fold(None, &recorded(1, 1_000, created("a"))).unwrap().state;
    let folded = HistoryModel::fold(Some(head), &recorded(2, 900, priced(5))).unwrap();
    let LogPosition { appended_at, offset, .. } = folded.changes[0].1.as_ref().unwrap().place;
    assert_eq!((appended_at.as_millisecond(), offset), (1_000, 12));
}

#[test]
fn a_history_has_no_gaps() {
    let gap = HistoryModel::fold(None, &recorded(2, 5, priced(5)));
    assert_eq!(gap.unwrap_err(), FoldError::OutOfTurn { expected: Version(1), actual: Version(2) });
}
