//! Rows that a server refuses for good: all of them are told, and hold back no other.

use adapter_cql::Write;
use read_models::{ReadModel, Servers};

use super::Parts;
use super::records::retry;

#[tokio::test(flavor = "multi_thread")]
async fn all_rows_that_a_table_refuses_are_told_and_all_others_are_written() {
    let servers = Servers::fresh(&[ReadModel::Products]).await;
    let cql = servers.cql().await.unwrap();
    let insert = "INSERT INTO {keyspace}.products_g1 (product_id, version) VALUES (?, ?) USING TIMESTAMP 1";
    let insert = cql.prepare(insert).await.unwrap();
    let good = |id: &str| Write::new(&insert, (id.to_owned(), 1_i64)).of(id);
    // No number is a text.
    let bad = |of: &str| Write::new(&insert, (7_i32, 1_i64)).of(of);
    // Together, and each by itself.
    let together = [good("a"), bad("b"), good("c"), bad("d"), good("e")].map(|it| it.in_partition(1));
    // What comes last of an owner says that everything before it is there.
    let of_one = [bad("f"), good("f"), good("g")].map(|it| it.in_partition(2));
    let alone = [good("h"), bad("i"), good("j")];
    let writes = together.into_iter().chain(of_one).chain(alone).collect();
    let mut refused = cql.write_all(writes, &retry()).await.unwrap();
    refused.sort_by(|one, other| one.of.cmp(&other.of));
    assert_eq!(refused.iter().map(|it| &*it.of).collect::<Vec<_>>(), ["b", "d", "f", "i"], "{refused:?}");
    assert!(refused.iter().all(|it| it.problem.contains("products_g1")), "{refused:?}");
    let read = cql.prepare("SELECT product_id FROM {keyspace}.products_g1").await.unwrap();
    let rows: Vec<(String,)> = cql.rows(&read, ()).await.unwrap();
    let mut rows: Vec<String> = rows.into_iter().map(|(id,)| id).collect();
    rows.sort();
    assert_eq!(rows, ["a", "c", "e", "g", "h", "j"]);
    servers.end().await;
}
