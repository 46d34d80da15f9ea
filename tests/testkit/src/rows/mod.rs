//! Every row and document of a catalog's read models as text, so that two builds of them can be compared row for row, and
//! each with what the log says. Promises the same text of the same row, wherever it lies.

mod on_servers;

use std::collections::BTreeMap;

use read_models::rows::RowSource;
use read_models::{Generation, ReadModel};

pub use on_servers::{drop_all, rows, tables};

/// What the stores hold: by table or index, without the generation, the rows in order.
pub type Rows = BTreeMap<String, Vec<String>>;

/// Reads everything of one build of each read model: of which one, is asked.
pub(crate) async fn rows_of(
    source: &dyn RowSource,
    read: impl AsyncFn(ReadModel) -> anyhow::Result<Generation>,
) -> anyhow::Result<Rows> {
    let mut all = Rows::new();
    for read_model in ReadModel::ALL {
        let (declared, generation) = (read_model.declared(), read(*read_model).await?);
        for table in declared.tables {
            let (mut rows, mut pages) = (Vec::new(), source.row_pages(declared, table, generation).await?);
            while let Some(page) = pages.next().await? {
                rows.extend(page);
            }
            rows.sort_unstable();
            all.insert(table.name.to_owned(), rows);
        }
    }
    Ok(all)
}

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
