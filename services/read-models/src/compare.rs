//! Are two builds of a read model the same, row for row? Changes nothing.
//!
//! Promises: reads each table once per pass, in bounded memory; rows of the same version that are not equal are a difference; a row
//! that is written to meanwhile is none.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use tokio::time::sleep;

use crate::declared::{Holds, Table};
use crate::rows::{RowSource, product_of, version_of};
use crate::{Error, Generation, ReadModel};

/// A row without an equal in one of the passes, and with none of its version either, may be in motion: it has to be so in all.
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
        let mut different = of_one_version(table, &mut differ);
        for _ in 1..PASSES {
            if differ.iter().all(BTreeSet::is_empty) {
                break;
            }
            sleep(PAUSE).await;
            let Some((now, mut still)) = pass(table).await? else { continue };
            counts = now;
            for (known, more) in different.iter_mut().zip(of_one_version(table, &mut still)) {
                known.extend(more);
            }
            for (differ, still) in differ.iter_mut().zip(&still) {
                differ.retain(|row| still.contains(row));
            }
        }
        compared.rows.push((*table, counts));
        for (build, rows) in differ.into_iter().zip(different).enumerate() {
            for row in rows.0.into_iter().chain(rows.1) {
                compared.differences.entry((product_of(&row), table.name)).or_default()[build].push(row);
            }
        }
    }
    Ok(compared)
}

/// Takes out the rows that have one of the same product and version in the other build: what happened since is no excuse for them.
/// (It is one for the row of an event: the text of each tells its product's newest version too, as static columns do.)
fn of_one_version(table: &Table, differ: &mut Unmatched) -> Unmatched {
    if table.holds == Holds::Events {
        return Unmatched::default();
    }
    let versions = |rows: &BTreeSet<String>| -> HashMap<String, Vec<String>> {
        let mut all: HashMap<String, Vec<String>> = HashMap::new();
        for row in rows {
            if let Some(version) = version_of(row) {
                all.entry(version).or_default().push(row.clone());
            }
        }
        all
    };
    let [one, mut other] = [versions(&differ[0]), versions(&differ[1])];
    let mut found = Unmatched::default();
    for (version, rows) in one {
        let Some(others) = other.remove(&version) else { continue };
        found[0].extend(rows);
        found[1].extend(others);
    }
    for (differ, found) in differ.iter_mut().zip(&found) {
        differ.retain(|row| !found.contains(row));
    }
    found
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

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Mutex;

    use futures::FutureExt as _;

    use super::*;
    use crate::Answered;
    use crate::declared::Declared;
    use crate::rows::Pages;

    /// What each build has at each look, in turn; the last look is what it stays like.
    struct Shown([Mutex<VecDeque<Vec<String>>>; 2]);

    struct Once(Option<Vec<String>>);

    impl RowSource for Shown {
        fn row_pages(
            &self,
            _: &'static Declared,
            _: &'static Table,
            generation: Generation,
        ) -> Answered<'_, Box<dyn Pages>> {
            let mut looks = self.0[generation.get() as usize - 1].lock().unwrap();
            let rows = if looks.len() > 1 { looks.pop_front() } else { looks.front().cloned() };
            async move { Ok(Box::new(Once(rows)) as Box<dyn Pages>) }.boxed()
        }
    }

    impl Pages for Once {
        fn next(&mut self) -> Answered<'_, Option<Vec<String>>> {
            let rows = self.0.take();
            async move { Ok(rows) }.boxed()
        }
    }

    fn row(product: &str, version: u64, name: &str) -> String {
        format!(r#""{product}" v{version} {{"product_id":"{product}","version":{version},"name":"{name}"}}"#)
    }

    /// The products that differ, when the builds look like this one look after the other.
    async fn differing(one: &[&[String]], other: &[&[String]]) -> Vec<String> {
        let looks = |all: &[&[String]]| Mutex::new(all.iter().map(|rows| rows.to_vec()).collect());
        let shown = Shown([looks(one), looks(other)]);
        let builds = [Generation::FIRST, Generation::FIRST.next()];
        let compared = compare(&shown, ReadModel::Search, builds, By::Rows).await.unwrap();
        compared.differences.into_keys().map(|(product, _)| product).collect()
    }

    #[tokio::test]
    async fn a_product_that_never_rests_is_a_difference_only_where_both_show_the_same_version_of_it() {
        let still = row("still", 1, "n");
        let hot = |version, name| [row("hot", version, name), still.clone()];
        // The second build is one version behind at every look, and right.
        let (one, other) = ([hot(2, "a"), hot(3, "b"), hot(4, "c")], [hot(1, "x"), hot(2, "a"), hot(3, "b")]);
        assert!(
            differing(&one.each_ref().map(|it| &it[..]), &other.each_ref().map(|it| &it[..]))
                .await
                .is_empty()
        );
        // It is wrong, which shows when it is not behind for once.
        let wrong = [hot(1, "x"), hot(3, "wrong"), hot(3, "wrong")];
        let found = differing(&one.each_ref().map(|it| &it[..]), &wrong.each_ref().map(|it| &it[..])).await;
        assert_eq!(found, ["hot"]);
    }

    #[tokio::test]
    async fn a_row_too_many_and_one_too_few_are_differences_if_they_stay() {
        let both = [row("a", 1, "n"), row("b", 1, "n")];
        let one = &both[..1];
        assert_eq!(differing(&[&both], &[one]).await, ["b"]);
        assert_eq!(differing(&[one], &[&both]).await, ["b"]);
        assert!(differing(&[&both], &[one, &both]).await.is_empty(), "it was on its way");
    }
}
