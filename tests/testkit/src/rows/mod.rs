//! Every row and document of a catalog's read models as text, so that two builds of them can be compared row for row, and
//! each with what the log says. Promises the same text of the same row, wherever it lies.

mod in_one_process;
mod on_servers;

use std::collections::BTreeMap;

pub(crate) use in_one_process::embedded_rows;
pub use on_servers::{drop_all, rows, tables};

/// What the stores hold: by table or index, without the generation, the rows in order.
pub type Rows = BTreeMap<String, Vec<String>>;

/// Panics naming the first rows that differ.
///
/// # Panics
/// If they do.
pub fn assert_same(what: &str, left: &Rows, right: &Rows) {
    assert!(left.keys().eq(right.keys()), "{what}: other tables");
    for (table, rows) in left {
        let other = &right[table];
        let differ = rows.iter().zip(other).find(|(one, other)| one != other);
        assert!(differ.is_none(), "{what}: {table} differs, first at {differ:?}");
        assert_eq!(rows.len(), other.len(), "{what}: {table} has another number of rows");
    }
}
