//! Are two builds of a read model the same, row for row? Changes nothing.
//!
//! Promises: reads each table once per pass, in bounded memory; a row that is written to meanwhile is no difference.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::sleep;

use crate::declared::{Holds, Table};
use crate::rows::{RowSource, product_of, version_of};
use crate::{Error, Generation, ReadModel};

/// A row that is equal in one of the passes is no difference.
const PASSES: usize = 3;
/// Between two of them: projectors that run are much faster.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes of rows that have no equal in the other build yet.
const UNMATCHED_BYTES: usize = 128 << 20;

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Compared {
    /// Rows of each build, by table.
    pub rows: Vec<(Table, [u64; 2])>,
    /// What differs, by product and table: the rows of the one build and of the other.
    pub differences: BTreeMap<(String, &'static str), [Vec<String>; 2]>,
    /// So much differs in this table that there is no use in telling what.
    pub hopeless: Option<Table>,
}

/// Rows that have no equal in the other build.
type Unmatched = [BTreeSet<String>; 2];

impl Compared {
    pub fn is_same(&self) -> bool {
        self.differences.is_empty() && self.hopeless.is_none()
    }

    /// Rows of the first build.
    pub fn rows(&self) -> u64 {
        self.rows.iter().map(|(_, [one, _])| one).sum()
    }
}

/// What of the rows is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// All of them, as they are.
    Rows,
    /// Of builds whose rows differ because a release makes others: that each product, and each event, is there in the same version, in
    /// the tables that have a row for each and that both have.
    Versions,
}

impl By {
    fn takes(self, table: &Table) -> bool {
        self == Self::Rows || matches!(table.holds, Holds::Products | Holds::Events)
    }

    fn text(self, row: String) -> String {
        match self {
            Self::Rows => row,
            Self::Versions => version_of(&row).unwrap_or(row),
        }
    }
}

/// Compares all tables of two builds.
///
/// # Errors
/// If the store does not answer or has not got both.
pub async fn compare(
    rows: &dyn RowSource,
    read_model: ReadModel,
    builds: [Generation; 2],
    by: By,
) -> Result<Compared, Error> {
    let mut compared = Compared::default();
    let pass = |table| pass(rows, read_model, table, builds, by);
    for table in read_model.declared().tables.iter().filter(|it| by.takes(it)) {
        let (mut counts, mut differ) = match pass(table).await {
            Ok(Some(passed)) => passed,
            Ok(None) => {
                compared.hopeless = Some(*table);
                return Ok(compared);
            }
            // The other release has no such table.
            Err(error) if error.is_missing() && by == By::Versions => continue,
            Err(error) => return Err(error),
        };
        for _ in 1..PASSES {
            if differ.iter().all(BTreeSet::is_empty) {
                break;
            }
            sleep(PAUSE).await;
            let Some((now, still)) = pass(table).await? else { continue };
            counts = now;
            for (differ, still) in differ.iter_mut().zip(&still) {
                differ.retain(|row| still.contains(row));
            }
        }
        compared.rows.push((*table, counts));
        for (build, rows) in differ.into_iter().enumerate() {
            for row in rows {
                compared.differences.entry((product_of(&row), table.name)).or_default()[build].push(row);
            }
        }
    }
    Ok(compared)
}

/// Reads a table of both builds side by side: how many rows there are, and those without an equal. `None`: too many.
async fn pass(
    rows: &dyn RowSource,
    read_model: ReadModel,
    table: &'static Table,
    builds: [Generation; 2],
    by: By,
) -> Result<Option<([u64; 2], Unmatched)>, Error> {
    let mut one = rows.row_pages(read_model.declared(), table, builds[0]).await?;
    let mut other = rows.row_pages(read_model.declared(), table, builds[1]).await?;
    let (mut counts, mut unmatched, mut bytes) = ([0, 0], Unmatched::default(), 0_usize);
    loop {
        let pages = tokio::try_join!(one.next(), other.next())?;
        if let (None, None) = pages {
            return Ok(Some((counts, unmatched)));
        }
        for (build, rows) in [pages.0, pages.1].into_iter().enumerate() {
            for row in rows.unwrap_or_default().into_iter().map(|row| by.text(row)) {
                counts[build] += 1;
                if unmatched[1 - build].remove(&row) {
                    bytes = bytes.saturating_sub(row.len());
                } else {
                    bytes += row.len();
                    unmatched[build].insert(row);
                }
            }
        }
        if bytes > UNMATCHED_BYTES {
            return Ok(None);
        }
    }
}
