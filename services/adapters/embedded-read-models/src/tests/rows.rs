//! Rows as text: alike in builds that were filled alike, and what differs is found.

use std::collections::BTreeSet;

use read_models::compare::By;
use read_models::control::BuildStore;
use read_models::history::HistoryModel;
use read_models::model::{Fold, Opens, Store};
use read_models::products::Products;
use read_models::rows::{RowSource, product_of};
use read_models::search::SearchModel;
use serde_json::Value;
use tempfile::TempDir;

use super::*;
use crate::row_pages::MAX_ROWS;

const PRODUCTS: usize = 1_100;

/// All rows of a table of a build, page by page.
async fn pages(embedded: &Embedded, of: ReadModel, table: usize, generation: Generation) -> Vec<Vec<String>> {
    let declared = of.declared();
    let mut source = embedded.row_pages(declared, &declared.tables[table], generation).await.unwrap();
    let mut pages = Vec::new();
    while let Some(page) = source.next().await.unwrap() {
        pages.push(page);
    }
    assert_eq!(source.next().await.unwrap(), None);
    pages
}

/// Two builds of the same records, which came in another order and other batches.
async fn filled<M: Fold>(embedded: &Embedded)
where
    Embedded: Opens<M>,
{
    embedded.create(of::<M>(), g(2)).await.unwrap();
    let (first, second) = (store::<M>(embedded, g(1)).await, store::<M>(embedded, g(2)).await);
    fill(&first, &lives(0..PRODUCTS)).await;
    let mut from = PRODUCTS;
    while from > 0 {
        let to = from;
        from = from.saturating_sub(170);
        fill(&second, &lives(from..to)).await;
    }
}

async fn are_alike<M: Fold>()
where
    Embedded: Opens<M>,
{
    let (dir, of) = (TempDir::new().unwrap(), of::<M>());
    let embedded = open(&dir);
    filled::<M>(&embedded).await;
    for (at, table) in of.declared().tables.iter().enumerate() {
        let expected = match (of, at) {
            (ReadModel::Products | ReadModel::Search, 0) => PRODUCTS,
            (ReadModel::History, _) => (0..PRODUCTS).map(|n| life(n).len()).sum(),
            // Those that are not deleted.
            _ => (0..PRODUCTS).filter(|n| !n.is_multiple_of(3)).count(),
        };
        let [one, other] = [pages(&embedded, of, at, g(1)).await, pages(&embedded, of, at, g(2)).await];
        assert!(one.iter().all(|page| !page.is_empty() && page.len() <= MAX_ROWS));
        let (one, other) = (one.concat(), other.concat());
        assert_eq!(one.len(), expected, "{}", table.name);
        assert!(one == other, "{}: the same rows in the same order", table.name);
        assert_eq!(one.iter().collect::<BTreeSet<_>>().len(), expected, "each once");
        for row in &one {
            assert!(product_of(row).starts_with("p-"), "{row}");
        }
    }
    let compared = embedded.compare(of, [g(1), g(2)], By::Rows).await.unwrap();
    assert!(compared.is_same(), "{compared:?}");
    assert!(compared.rows.iter().all(|(_, [one, other])| one == other && *one > 0), "{:?}", compared.rows);
}

#[tokio::test]
async fn products_that_were_filled_alike_have_the_same_rows() {
    are_alike::<Products>().await;
}

#[tokio::test]
async fn histories_that_were_filled_alike_have_the_same_rows() {
    are_alike::<HistoryModel>().await;
}

#[tokio::test]
async fn indexes_that_were_filled_alike_have_the_same_documents() {
    are_alike::<SearchModel>().await;
}

/// Every row of the table is, by its key, changed by `damage`, which tells the new bytes of the row; `None`: it is lost.
fn damage(embedded: &Embedded, table: &str, key: &[u8], damage: impl Fn(Vec<u8>) -> Option<Vec<u8>>) {
    let tables = &embedded.0.tables;
    let table = tables.table(table);
    let row = table.get(key).unwrap().unwrap();
    let change = match damage(row.bytes) {
        Some(bytes) => table.put(key, row.version, &bytes),
        None => table.delete(key, row.version),
    };
    tables.write([change]).unwrap();
}

/// Other bytes in the place of these, which are in the row once.
fn replaced(row: &[u8], from: &str, to: &str) -> Vec<u8> {
    let found = row.windows(from.len()).filter(|some| *some == from.as_bytes());
    assert_eq!((found.count(), from.len()), (1, to.len()));
    let at = row.windows(from.len()).position(|some| some == from.as_bytes()).unwrap();
    let mut row = row.to_vec();
    row[at..at + to.len()].copy_from_slice(to.as_bytes());
    row
}

/// The products that differ, each with how many rows there are of it in either build.
async fn differences(embedded: &Embedded, of: ReadModel) -> Vec<(String, &'static str, [usize; 2])> {
    let compared = embedded.compare(of, [g(1), g(2)], By::Rows).await.unwrap();
    assert!(compared.hopeless.is_none() && !compared.is_same());
    let told = compared.differences.into_iter();
    told.map(|((product, table), rows)| (product, table, rows.map(|rows| rows.len()))).collect()
}

#[tokio::test]
async fn one_product_that_is_damaged_and_one_that_is_missing_are_found() {
    let dir = TempDir::new().unwrap();
    let embedded = open(&dir);
    filled::<Products>(&embedded).await;
    damage(&embedded, "products_g2", b"p-0007", |row| {
        Some(replaced(&row, "made by {hand}", "made by {Hand}"))
    });
    damage(&embedded, "products_g2", b"p-0008", |_| None);
    let of_lists = embedded.0.tables.table("products_by_category_g1");
    let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
    let rows = of_lists.range(all, adapter_embedded::tables::Order::Ascending, usize::MAX).unwrap();
    let (key, _) = rows.into_iter().find(|(key, _)| key.ends_with(b"p-0010")).unwrap();
    damage(&embedded, "products_by_category_g1", &key, |_| None);
    let expected = [
        ("p-0007".to_owned(), "products", [1, 1]),
        ("p-0008".to_owned(), "products", [1, 0]),
        ("p-0010".to_owned(), "products_by_category", [0, 1]),
    ];
    assert_eq!(differences(&embedded, ReadModel::Products).await, expected);
}

#[tokio::test]
async fn one_entry_that_is_damaged_one_that_is_missing_and_a_head_are_found() {
    let dir = TempDir::new().unwrap();
    let embedded = open(&dir);
    filled::<HistoryModel>(&embedded).await;
    let key = |id: &str, version: u64| [&crate::bytes::key_of(id)[..], &version.to_be_bytes()].concat();
    damage(&embedded, "history_g2", &key("p-0007", 2), |row| Some(replaced(&row, "ann", "Ann")));
    damage(&embedded, "history_g2", &key("p-0008", 1), |_| None);
    damage(&embedded, "history_heads_g1", b"p-0009", |_| None);
    let expected = [
        ("p-0007".to_owned(), "history", [1, 1]),
        ("p-0008".to_owned(), "history", [1, 0]),
        ("p-0009".to_owned(), "history", [4, 4]),
    ];
    assert_eq!(differences(&embedded, ReadModel::History).await, expected);
}

#[tokio::test]
async fn one_document_that_differs_and_one_that_is_missing_are_found() {
    let dir = TempDir::new().unwrap();
    let embedded = open(&dir);
    filled::<SearchModel>(&embedded).await;
    let second = store::<SearchModel>(&embedded, g(2)).await;
    // Not committed yet; beside it one that the other build does not have.
    let another: Vec<EffectiveEvent> = lives(PRODUCTS..PRODUCTS + 1);
    fill(&second, &another).await;
    let mut states = second.load(&[newest(7)]).await.unwrap();
    let mut state = states.remove(0).unwrap();
    state.product.version = Version(state.product.version.get() + 1);
    let writes = read_models::model::Writes { rows: Vec::new(), states: vec![state] };
    Store::write(&second, writes, &retry()).await.unwrap();
    let expected = [("p-0007".to_owned(), "search", [1, 1]), ("p-1100".to_owned(), "search", [0, 1])];
    assert_eq!(differences(&embedded, ReadModel::Search).await, expected);
}

#[tokio::test]
async fn a_build_that_is_not_there_has_no_rows_and_one_that_goes_ends_them() {
    let dir = TempDir::new().unwrap();
    let embedded = open(&dir);
    for of in ReadModel::ALL.iter().copied() {
        let declared = of.declared();
        let table = &declared.tables[0];
        let missing = embedded.row_pages(declared, table, g(2)).await.err().unwrap();
        assert!(missing.is_missing(), "{missing}");
        embedded.create(of, g(2)).await.unwrap();
        let mut source = embedded.row_pages(declared, table, g(2)).await.unwrap();
        embedded.drop_build(of, g(2)).await.unwrap();
        let missing = source.next().await.unwrap_err();
        assert!(missing.is_missing(), "{missing}");
        assert!(embedded.compare(of, [g(1), g(2)], By::Rows).await.unwrap_err().is_missing());
    }
}

#[tokio::test]
async fn rows_are_json_with_the_names_that_servers_give_them() {
    let dir = TempDir::new().unwrap();
    let embedded = open(&dir);
    fill(&store::<Products>(&embedded, g(1)).await, &lives(3..4)).await;
    fill(&store::<HistoryModel>(&embedded, g(1)).await, &lives(3..4)).await;
    fill(&store::<SearchModel>(&embedded, g(1)).await, &lives(3..4)).await;
    let rows = pages(&embedded, ReadModel::Products, 0, g(1)).await.concat();
    let row: Value = serde_json::from_str(&rows[0]).unwrap();
    assert_eq!((&row["status"], &row["deleted_from"]), (&"deleted".into(), &"listed".into()));
    assert_eq!(row["left_categories"], serde_json::json!({ "rings/gold": 2 }));
    let rows = pages(&embedded, ReadModel::History, 0, g(1)).await.concat();
    let row: Value = serde_json::from_str(&rows[3]).unwrap();
    assert_eq!((&row["version"], &row["head_version"], &row["actor"]), (&4.into(), &4.into(), &"ann".into()));
    let rows = pages(&embedded, ReadModel::Search, 0, g(1)).await.concat();
    assert!(rows[0].starts_with("\"p-0003\" v4 {\"product_id\":\"p-0003\""), "{}", rows[0]);
}
