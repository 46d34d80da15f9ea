//! On local disk: what a loss of power and damage leave, and that rows of another log are none.

use std::fs;
use std::path::{Path, PathBuf};

use embedded_read_models::{Embedded, Options};
use read_models::PageRequest;
use read_models::history::{HistoryModel, Order};
use read_models::model::{Opens, Position, Positions, Store};
use read_models::products::Products;

use super::embedded::{Dir, files};
use super::records::{created, id, project, records};
use super::{GENERATION, GROUP};

const BATCHES: usize = 12;
const PER_BATCH: usize = 20;

/// As the projectors of two read models do it: batch after batch, rows and then the position.
async fn projected(embedded: &Embedded) {
    let products = Opens::<Products>::open(embedded, GENERATION).await.unwrap();
    let history = Opens::<HistoryModel>::open(embedded, GENERATION).await.unwrap();
    for batch in 0..BATCHES {
        let products_of =
            (batch * PER_BATCH..(batch + 1) * PER_BATCH).map(|n| records(n, vec![created(n, "rings")]));
        let events: Vec<_> = products_of.flatten().collect();
        let reached = ((batch + 1) * PER_BATCH) as i64;
        let position = Position { applied: reached, durable: 0, log: None };
        project::<Products, _>(&products, &events).await;
        products.positions().write(GROUP, 0, position).await.unwrap();
        project::<HistoryModel, _>(&history, &events).await;
        history.positions().write(GROUP, 0, position).await.unwrap();
    }
}

/// How far both say that they are; everything below is there.
async fn reached(embedded: &Embedded) -> [i64; 2] {
    let products = embedded.product_rows(GENERATION).await.unwrap();
    let history = embedded.history_rows(GENERATION).await.unwrap();
    let of_products = products.positions().read(GROUP, 0).await.unwrap().unwrap_or_default();
    let of_history = history.positions().read(GROUP, 0).await.unwrap().unwrap_or_default();
    assert_eq!([of_products.durable, of_history.durable], [of_products.applied, of_history.applied]);
    let products = read_models::products::Queries::new(products);
    let history = read_models::history::Queries::new(history);
    for n in 0..BATCHES * PER_BATCH {
        if (n as i64) < of_products.applied {
            let product = products.product(&id(n)).await.unwrap().unwrap();
            assert!(products.is_consistent(&id(n), product.product.version).await.unwrap(), "{n}");
        }
        if (n as i64) < of_history.applied {
            assert!(history.head(&id(n)).await.unwrap().is_some(), "{n}");
            let page = history.history(&id(n), Order::NewestFirst, &PageRequest::default()).await;
            assert_eq!(page.unwrap().items.len(), 1, "{n}");
        }
    }
    [of_products.applied, of_history.applied]
}

fn copied(files: &[PathBuf], from: &Path, change: impl Fn(&Path, Vec<u8>) -> Vec<u8>) -> Dir {
    let to = Dir::new();
    for file in files {
        let target = to.0.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(target, change(file, fs::read(file).unwrap())).unwrap();
    }
    to
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_end_of_the_journal_is_lost_no_position_is_ahead_of_its_rows() {
    let dir = Dir::new();
    let embedded = dir.open();
    projected(&embedded).await;
    let all = (BATCHES * PER_BATCH) as i64;
    assert_eq!(reached(&embedded).await, [all, all]);
    drop(embedded);
    let files = files(&dir.0);
    let is_journal = |file: &Path| file.extension().is_some_and(|end| end == "jnl");
    let [journal] = files.iter().filter(|file| is_journal(file)).collect::<Vec<_>>()[..] else {
        panic!("one journal: {files:?}")
    };
    let written = fs::read(journal).unwrap().iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut positions = Vec::new();
    for length in (0..written - 1).step_by(written / 40).chain([written - 1, written]) {
        let cut = copied(&files, &dir.0, |file, mut bytes| {
            if is_journal(file) {
                bytes.truncate(length);
            }
            bytes
        });
        let [products, history] = reached(&cut.open()).await;
        assert!(products == history || products == history + PER_BATCH as i64, "{products} {history}");
        positions.push(history);
    }
    assert!(positions.is_sorted() && positions.last() == Some(&all), "{positions:?}");
    assert!(positions[20] > 0, "half of it is still of use: {positions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_tables_and_those_of_another_log_are_opened_empty_and_can_be_filled_again() {
    let dir = Dir::new();
    let embedded = dir.open();
    projected(&embedded).await;
    drop(embedded);
    let files = files(&dir.0);
    let all = (BATCHES * PER_BATCH) as i64;
    let mut discarded = 0;
    for file in &files {
        let damaged = copied(&files, &dir.0, |it, mut bytes| {
            if it == file {
                bytes.truncate(bytes.len() / 2);
                bytes.iter_mut().step_by(7).for_each(|byte| *byte ^= 0x55);
            }
            bytes
        });
        let name = file.file_name().unwrap();
        if name == "CACHEDIR.TAG" {
            // What no longer says that it is ours is nothing to discard.
            let refused = Embedded::open(&damaged.0, &Options::of_log("log 1")).unwrap_err().to_string();
            assert!(refused.contains("CACHEDIR.TAG"), "{refused}");
            continue;
        }
        let embedded = damaged.open();
        let [products, history] = reached(&embedded).await;
        assert!(history <= products && products <= all, "{name:?}");
        discarded += usize::from(products == 0);
        projected(&embedded).await;
        assert_eq!(reached(&embedded).await, [all, all], "{name:?}");
    }
    assert!(discarded > 0, "the damage shows");

    let other = Embedded::open(&dir.0, &Options::of_log("log 2")).unwrap();
    assert_eq!(reached(&other).await, [0, 0]);
    assert!(
        other.product_rows(GENERATION).await.unwrap().positions().read(GROUP, 0).await.unwrap().is_none()
    );
}
