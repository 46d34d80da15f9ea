//! What a server lost, and a release added: found missing, applied again, and built again from the beginning; of others nothing
//! changes.

use domain::Version;
use read_models::declared::On;
use read_models::history::HistoryModel;
use read_models::model::{Positions, Store};
use read_models::products::Products;
use read_models::search::{SearchModel, SearchRequest};
use read_models::{Asked, QueryError, ReadModel, Servers};
use toolkit::retry::GaveUp;

use super::parked::{MARK, marking};
use super::records::{created, fold, id, moved, priced, project, records, retry};
use super::{GENERATION, GROUP, Parts, SearchParts, open, positions_never_go_back};

const ON_CQL: [ReadModel; 2] = [ReadModel::Products, ReadModel::History];

async fn execute(servers: &Servers, statement: &str) {
    let cql = servers.cql().await.unwrap();
    cql.execute(&cql.prepare(statement).await.unwrap(), ()).await.unwrap();
}

async fn missing(servers: &Servers, read_models: &[ReadModel]) -> usize {
    servers.missing(read_models, GENERATION).await.unwrap().len()
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_else_is_lost_a_read_model_keeps_its_positions_and_those_of_the_lost_one_go() {
    let servers = Servers::fresh(&ON_CQL).await;
    let (store, others) = (open::<Products, _>(&servers).await, open::<HistoryModel, _>(&servers).await);
    positions_never_go_back(&store).await;
    positions_never_go_back(&others).await;
    let events = records(0, vec![created(0, "rings/gold"), moved("rings/old"), priced(5)]);
    for table in ["history_g1", "products_by_category_g1"] {
        execute(&servers, &format!("DROP TABLE {{keyspace}}.{table}")).await;
        assert_eq!(missing(&servers, &ON_CQL).await, 1, "{table}");
        let is_history = table == "history_g1";
        let history_is_missing = others.positions().is_there().await.is_err_and(|error| error.is_missing());
        let products_is_missing = store.positions().is_there().await.is_err_and(|error| error.is_missing());
        assert_eq!((history_is_missing, products_is_missing), (is_history, !is_history), "{table}");
        if !is_history {
            let late = store.write(fold(&store, &events).await, &retry()).await.unwrap_err();
            assert!(matches!(&late, GaveUp::Final(error) if error.is_missing()), "{late:?}");
        }
        servers.apply(&ON_CQL, GENERATION).await.unwrap();
        let (products, history) = (
            store.positions().read(GROUP, 0).await.unwrap(),
            others.positions().read(GROUP, 0).await.unwrap(),
        );
        assert_eq!(history, None, "what was lost is built again from the beginning");
        assert_eq!(products.is_some(), is_history, "{table}");
    }
    servers.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_of_a_newer_release_is_added_and_rows_without_it_are_read() {
    let servers = Servers::fresh(&[ReadModel::Products]).await;
    let store = open::<Products, _>(&servers).await;
    project::<Products, _>(&store, &records(0, vec![created(0, "rings")])).await;
    execute(&servers, "ALTER TABLE {keyspace}.products_g1 DROP left_categories").await;
    assert_eq!(missing(&servers, &[ReadModel::Products]).await, 1);
    let applied = servers.apply(&[ReadModel::Products], GENERATION).await.unwrap();
    let changed: Vec<_> = applied.iter().filter(|it| it.created).map(|it| it.what.as_str()).collect();
    assert!(changed.len() == 1 && changed[0].contains("left_categories"), "{changed:?}");
    assert_eq!(missing(&servers, &[ReadModel::Products]).await, 0);
    let queries = servers.product_queries().await;
    assert_eq!(queries.product(&id(0)).await.unwrap().unwrap().product.version, Version(1));
    servers.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_never_makes_an_index_up_and_a_lost_one_is_built_again_from_the_beginning() {
    let servers = Servers::fresh(&[ReadModel::Search]).await;
    let (store, queries) = (open::<SearchModel, _>(&servers).await, servers.search_queries().await);
    positions_never_go_back(&store).await;
    let late = fold::<SearchModel, _>(&store, &records(5, vec![created(5, "rings/gold"), priced(8)])).await;
    let On::Search { index, .. } = ReadModel::Search.declared().on else { panic!("search has an index") };
    let search = servers.search().await.unwrap();
    search.delete_index(&index.index(search.prefix(), GENERATION.get())).await.unwrap();
    let refused = store.write(late, &retry()).await.unwrap_err();
    assert!(matches!(&refused, GaveUp::Final(error) if error.is_missing()), "{refused:?}");
    assert!(store.positions().is_there().await.is_err_and(|error| error.is_missing()));
    assert!(matches!(queries.search(&SearchRequest::default()).await, Err(QueryError::Unavailable(_))));
    servers.apply(&[ReadModel::Search], GENERATION).await.unwrap();
    assert_eq!(queries.position(GROUP, 0).await.unwrap().applied, 0, "its positions went with it");
    servers.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_of_marks_that_is_missing_is_made_and_nothing_else_is_built_again() {
    let servers = Servers::fresh(&ON_CQL).await;
    let store = open::<Products, _>(&servers).await;
    positions_never_go_back(&store).await;
    execute(&servers, "DROP TABLE {keyspace}.products_parked_g1").await;
    assert_eq!(missing(&servers, &ON_CQL).await, 1);
    assert!(store.positions().is_there().await.is_err_and(|error| error.is_missing()));
    // Who reads a build that has none is told so by itself.
    let queries = servers.product_queries().await;
    assert!(queries.marks().count(GROUP).await.is_err_and(|error| error.is_missing()));
    servers.apply(&ON_CQL, GENERATION).await.unwrap();
    assert!(store.positions().read(GROUP, 0).await.unwrap().is_some());
    assert_eq!(queries.marks().count(GROUP).await.unwrap(), 0);
    servers.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mark_by_a_clock_that_is_ahead_hides_none_that_is_written_later() {
    let servers = Servers::fresh(&[ReadModel::Products]).await;
    let store = open::<Products, _>(&servers).await;
    let product = [id(0)];
    let of = async || store.marks().of_products(GROUP, &product).await.unwrap()[0];
    let ahead = jiff::Timestamp::now().as_microsecond() + 600_000_000;
    execute(
        &servers,
        &format!(
            "INSERT INTO {{keyspace}}.products_parked_g1 (group_id, product_id, partition_id, first_offset, since_ms, kind, \
             is_discarded) VALUES ('{GROUP}', '{}', 0, 1, 2, 'gap', false) USING TIMESTAMP {ahead}",
            id(0)
        ),
    )
    .await;
    assert_eq!(of().await.map(|it| it.first_offset), Some(1));
    for mark in [Some(MARK), None, Some(MARK)] {
        store.marks().write(GROUP, 0, &marking([(id(0).as_str(), mark)]), &retry()).await.unwrap();
        assert_eq!(of().await, mark);
    }
    servers.end().await;
}
