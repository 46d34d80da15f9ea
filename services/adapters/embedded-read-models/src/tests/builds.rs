//! Builds are made, opened, published, named and dropped, and what a crash leaves of that.

use std::fs;

use read_models::compare::By;
use read_models::control::BuildStore;
use read_models::history::HistoryModel;
use read_models::model::{Fold, Opens, Positions, Store};
use read_models::products::Products;
use read_models::search::{Queries, SearchModel, SearchRequest};
use read_models::testing::Unmarked;
use read_models::{Error, Generation, ReadModel};
use tempfile::TempDir;

use super::*;
use crate::{catalog, history, positions, products, search};

/// That a build is missing, in plain words.
fn assert_missing<T: std::fmt::Debug>(
    outcome: Result<T, Error>,
    read_model: ReadModel,
    generation: Generation,
) {
    let missing = outcome.unwrap_err();
    assert!(missing.is_missing() && !missing.is_transient(), "{missing:?}");
    assert_eq!(missing.to_string(), format!("build {generation} of {read_model} is not there"));
}

async fn is_dropped_and_others_stay<M: Fold>()
where
    Embedded: Opens<M>,
{
    let (dir, of) = (TempDir::new().unwrap(), of::<M>());
    let embedded = open(&dir);
    assert_eq!(embedded.all(of).await.unwrap(), [g(1)], "the first is there though nobody made it");
    assert_missing(Opens::<M>::open(&embedded, g(2)).await, of, g(2));
    assert_missing(embedded.ready(of, g(2)).await, of, g(2));
    embedded.create(of, g(2)).await.unwrap();
    let stores = [store::<M>(&embedded, g(1)).await, store::<M>(&embedded, g(2)).await];
    fill(&stores[0], &lives(0..10)).await;
    fill(&stores[1], &lives(0..20)).await;
    embedded.create(of, g(2)).await.unwrap();
    embedded.ready(of, g(2)).await.unwrap();
    assert_eq!(version(&stores[1], 5).await, Some(3), "what is there stays");
    drop((stores, embedded));

    let embedded = open(&dir);
    assert_eq!(embedded.all(of).await.unwrap(), [g(1), g(2)]);
    let [first, second] = [store::<M>(&embedded, g(1)).await, store::<M>(&embedded, g(2)).await];
    assert_eq!((version(&first, 15).await, version(&second, 15).await), (None, Some(4)));
    assert_eq!((applied(&first).await, applied(&second).await), (Some(93 + 1), Some(192 + 1)));
    let mut late = Projection::<M>::new(10, 1 << 20);
    late.begin();
    late.missing(&life(30)).into_iter().for_each(|wanted| late.loaded(wanted.product, None));
    late.apply(&life(30)[0]).unwrap();
    embedded.drop_build(of, g(2)).await.unwrap();
    embedded.drop_build(of, g(2)).await.unwrap();
    assert_eq!(embedded.all(of).await.unwrap(), [g(1)]);
    assert_missing(Opens::<M>::open(&embedded, g(2)).await, of, g(2));
    // Whoever has it open.
    assert_missing(second.load(&[newest(5)]).await, of, g(2));
    assert_missing(second.positions().read(GROUP, 0).await, of, g(2));
    assert_missing(second.positions().write(GROUP, 0, Position::default()).await, of, g(2));
    assert_missing(second.positions().is_there().await, of, g(2));
    let refused = second.write(late.take_writes(), &retry()).await.unwrap_err();
    assert!(refused.to_string().contains("is not there"), "{refused}");
    first.positions().is_there().await.unwrap();
    assert_eq!((version(&first, 5).await, applied(&first).await), (Some(3), Some(94)), "another build");

    // With its number again, as after decisions were lost: from the beginning, and not through what was opened before.
    embedded.create(of, g(2)).await.unwrap();
    let again = store::<M>(&embedded, g(2)).await;
    assert_eq!((version(&again, 5).await, applied(&again).await), (None, None));
    fill(&again, &life(5)[..1]).await;
    assert_eq!(version(&again, 5).await, Some(1), "older than what was there");
    assert_missing(second.load(&[newest(5)]).await, of, g(2));
    embedded.drop_build(of, g(1)).await.unwrap();
    drop((first, second, again, embedded));

    let embedded = open(&dir);
    assert_eq!(embedded.all(of).await.unwrap(), [g(2)], "the first one, too, can be dropped");
    assert_missing(Opens::<M>::open(&embedded, g(1)).await, of, g(1));
    assert_eq!(version(&store::<M>(&embedded, g(2)).await, 5).await, Some(1));
}

#[tokio::test]
async fn a_dropped_build_of_products_is_missing_and_other_builds_keep_their_rows() {
    is_dropped_and_others_stay::<Products>().await;
}

#[tokio::test]
async fn a_dropped_build_of_history_is_missing_and_other_builds_keep_their_rows() {
    is_dropped_and_others_stay::<HistoryModel>().await;
}

#[tokio::test]
async fn a_dropped_build_of_search_is_missing_and_other_builds_keep_their_rows() {
    is_dropped_and_others_stay::<SearchModel>().await;
}

/// What a crash leaves after each part of a drop: a build that is there, and is made again from the beginning.
async fn is_made_again<M: Fold>(parts: &[fn(&Embedded)])
where
    Embedded: Opens<M>,
{
    let of = of::<M>();
    for done in 1..=parts.len() {
        let dir = TempDir::new().unwrap();
        let embedded = open(&dir);
        embedded.create(of, g(2)).await.unwrap();
        fill(&store::<M>(&embedded, g(2)).await, &lives(0..20)).await;
        drop(embedded);
        let embedded = open(&dir);
        parts[..done].iter().for_each(|part| part(&embedded));
        drop(embedded);
        let embedded = open(&dir);
        assert_eq!(embedded.all(of).await.unwrap(), [g(1), g(2)], "{done}");
        let left = store::<M>(&embedded, g(2)).await;
        assert_eq!(applied(&left).await, None, "{done}: it says that it has come nowhere");
        fill(&left, &lives(0..20)).await;
        fill(&store::<M>(&embedded, g(1)).await, &lives(0..20)).await;
        let compared = embedded.compare(of, [g(1), g(2)], By::Rows).await.unwrap();
        assert!(compared.is_same(), "{done}: {compared:?}");
        embedded.drop_build(of, g(2)).await.unwrap();
        assert_eq!(embedded.all(of).await.unwrap(), [g(1)]);
    }
}

fn clear(embedded: &Embedded, table: &str) {
    embedded.0.tables.table(&format!("{table}_g2")).clear().unwrap();
}

#[tokio::test]
async fn a_drop_that_ends_anywhere_leaves_a_build_of_products_that_is_made_again_from_the_beginning() {
    is_made_again::<Products>(&[
        |it| clear(it, &positions::table(ReadModel::Products)),
        |it| clear(it, products::TABLES[0]),
        |it| clear(it, products::TABLES[1]),
    ])
    .await;
    is_made_again::<Products>(&[
        |it| clear(it, &positions::table(ReadModel::Products)),
        |it| clear(it, products::TABLES[1]),
    ])
    .await;
}

#[tokio::test]
async fn a_drop_that_ends_anywhere_leaves_a_build_of_history_that_is_made_again_from_the_beginning() {
    is_made_again::<HistoryModel>(&[
        |it| clear(it, &positions::table(ReadModel::History)),
        |it| clear(it, history::TABLES[0]),
        |it| clear(it, history::TABLES[1]),
    ])
    .await;
}

#[tokio::test]
async fn a_drop_that_ends_anywhere_leaves_a_build_of_search_that_is_made_again_from_the_beginning() {
    is_made_again::<SearchModel>(&[
        |it| search::distrust(&it.0.dir.join("search-g2"), "it was dropped"),
        |it| {
            let files = fs::read_dir(it.0.dir.join("search-g2/index")).unwrap();
            let files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
            files[..files.len() / 2].iter().for_each(|file| fs::remove_file(file).unwrap());
        },
        |it| fs::remove_dir_all(it.0.dir.join("search-g2")).unwrap(),
    ])
    .await;
}

#[tokio::test]
async fn of_two_publications_the_one_that_was_decided_later_stays_whichever_came_last() {
    let dir = TempDir::new().unwrap();
    let embedded = open(&dir);
    for of in ReadModel::ALL.iter().copied() {
        let told = embedded.publication(of);
        assert_eq!((told.read().await.unwrap(), told.named("x").await.unwrap()), (g(1), None), "at first");
        assert_missing(embedded.publish(of, g(2), None, 1).await, of, g(2));
        assert_missing(embedded.name(of, g(2), "x", 1).await, of, g(2));
        embedded.create(of, g(2)).await.unwrap();
        embedded.create(of, g(3)).await.unwrap();
        embedded.publish(of, g(2), Some(g(1)), 4).await.unwrap();
        assert_eq!(told.read().await.unwrap(), g(2), "at once");
        embedded.publish(of, g(1), Some(g(2)), 3).await.unwrap();
        assert_eq!(embedded.published(of).await.unwrap().generation, g(2), "{of}: an older revision");
        embedded.publish(of, g(3), Some(g(2)), 7).await.unwrap();
        embedded.name(of, g(2), "last-year", 5).await.unwrap();
        embedded.name(of, g(3), "last-year", 4).await.unwrap();
        assert_eq!(told.named("last-year").await.unwrap(), Some(g(2)));
        assert_eq!(told.named("last").await.unwrap(), None);
    }
    drop(embedded);
    let embedded = open(&dir);
    for of in ReadModel::ALL.iter().copied() {
        let told = embedded.publication(of);
        assert_eq!(told.read().await.unwrap(), g(3), "{of}");
        assert_eq!(told.named("last-year").await.unwrap(), Some(g(2)), "{of}");
        embedded.name(of, g(3), "last-year", 6).await.unwrap();
        embedded.drop_build(of, g(2)).await.unwrap();
        assert_eq!(told.named("last-year").await.unwrap(), Some(g(3)), "{of}");
        assert_eq!(embedded.all(of).await.unwrap(), [g(1), g(3)], "{of}");
    }
}

#[tokio::test]
async fn an_index_is_opened_when_it_is_asked_for_and_the_one_that_is_read_at_the_start() {
    let dir = TempDir::new().unwrap();
    let is_there = |name: &str| dir.path().join(name).join("index").exists();
    let embedded = open(&dir);
    assert!(is_there("search") && !is_there("search-g2"));
    embedded.create(ReadModel::Search, g(2)).await.unwrap();
    assert!(!is_there("search-g2"));
    let index = embedded.search_index(g(2)).await.unwrap();
    assert!(is_there("search-g2"));
    fill::<SearchModel>(&index, &lives(0..5)).await;
    let same = embedded.clone().search_index(g(2)).await.unwrap();
    assert_eq!(version(&same, 4).await, Some(3), "one for all who ask");
    embedded.publish(ReadModel::Search, g(2), Some(g(1)), 1).await.unwrap();
    let request = SearchRequest::default();
    assert_eq!(Queries::new(same.clone()).search(&request).await.unwrap().total, 3, "found once published");
    embedded.drop_build(ReadModel::Search, g(1)).await.unwrap();
    drop((index, same, embedded));
    let embedded = open(&dir);
    assert!(!dir.path().join("search").exists(), "what was dropped is not made again");
    let (index, unmarked) = (dir.path().join("search-g2"), std::sync::Arc::new(Unmarked));
    let taken = search::EmbeddedSearch::open(&index, "a log", std::sync::Arc::default(), unmarked);
    assert!(taken.unwrap_err().to_string().contains("in use"), "what is read is open");
    drop(embedded);
}

#[tokio::test]
async fn an_index_that_nothing_tells_of_is_found_and_a_build_of_its_number_begins_without_it() {
    let dir = TempDir::new().unwrap();
    let embedded = open(&dir);
    embedded.create(ReadModel::Search, g(2)).await.unwrap();
    fill::<SearchModel>(&embedded.search_index(g(2)).await.unwrap(), &lives(0..5)).await;
    embedded.0.tables.distrust("for the test");
    drop(embedded);
    for name in ["search-g", "search-g0", "search-g03", "search-4", "searches", "search-g5.old"] {
        fs::create_dir(dir.path().join(name)).unwrap();
    }
    let embedded = open(&dir);
    assert_eq!(embedded.all(ReadModel::Search).await.unwrap(), [g(1), g(2)]);
    assert_eq!(embedded.all(ReadModel::Products).await.unwrap(), [g(1)]);
    assert_missing(embedded.search_index(g(2)).await, ReadModel::Search, g(2));
    embedded.create(ReadModel::Search, g(2)).await.unwrap();
    let index = embedded.search_index(g(2)).await.unwrap();
    assert_eq!((version::<SearchModel>(&index, 1).await, applied::<SearchModel>(&index).await), (None, None));
    embedded.drop_build(ReadModel::Search, g(2)).await.unwrap();
    fs::create_dir(dir.path().join("search-g2")).unwrap();
    assert_eq!(embedded.all(ReadModel::Search).await.unwrap(), [g(1), g(2)], "left by a drop");
    embedded.drop_build(ReadModel::Search, g(2)).await.unwrap();
    assert_eq!(embedded.all(ReadModel::Search).await.unwrap(), [g(1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_can_be_dropped_while_it_is_asked_and_written_to() {
    let dir = TempDir::new().unwrap();
    let embedded = open(&dir);
    let mut answered = 0;
    for round in 0..10 {
        embedded.create(ReadModel::Search, g(2)).await.unwrap();
        let index = embedded.search_index(g(2)).await.unwrap();
        fill::<SearchModel>(&index, &lives(0..100)).await;
        let queries = Queries::new(index.clone());
        queries.refresh().await.unwrap();
        let asking = tokio::spawn(async move {
            let mut answers = 0;
            loop {
                match queries.search(&SearchRequest::default()).await {
                    Ok(found) => assert!(found.total >= 66),
                    Err(error) => return (answers, error.to_string()),
                }
                answers += 1;
            }
        });
        let writing = tokio::spawn(async move {
            let mut next = 100;
            loop {
                let mut projection = Projection::<SearchModel>::new(100, 1 << 20);
                projection.begin();
                let record = &life(next)[0];
                projection.missing([record]);
                projection.loaded(record.product.clone(), None);
                projection.apply(record).unwrap();
                if let Err(gave_up) = Store::write(&index, projection.take_writes(), &retry()).await {
                    return gave_up.to_string();
                }
                next += 1;
            }
        });
        tokio::time::sleep(std::time::Duration::from_millis(20 * round)).await;
        embedded.drop_build(ReadModel::Search, g(2)).await.unwrap();
        assert!(!dir.path().join("search-g2").exists());
        let (answers, ended) = asking.await.unwrap();
        answered += answers;
        assert!(ended.contains("build g2 of search is not there"), "{ended}");
        let ended = writing.await.unwrap();
        assert!(ended.contains("build g2 of search is not there"), "{ended}");
        assert!(!dir.path().join("search-g2").exists(), "nobody has written there again");
    }
    assert!(answered > 0);
}

#[tokio::test]
async fn what_is_published_and_cannot_be_read_is_an_error_and_the_next_start_begins_anew() {
    let dir = TempDir::new().unwrap();
    let embedded = open(&dir);
    let table = embedded.0.tables.table("published");
    let name = catalog::read_by_all(ReadModel::Products);
    embedded.0.tables.write([table.put(name.as_bytes(), 1, &[0; 4])]).unwrap();
    let failed = embedded.published(ReadModel::Products).await.unwrap_err().to_string();
    assert!(failed.contains("row products cannot be read") && failed.contains("start again"), "{failed}");
    drop((embedded, table));
    assert_eq!(open(&dir).published(ReadModel::Products).await.unwrap().generation, g(1));
}
