use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use domain::{
    Attributes, Brand, CategoryPath, Description, Money, Name, Product, ProductId, Sku, Status, Tags, Version,
};
use jiff::Timestamp;
use read_models::model::{Position, Positions, Store, Wanted, Writes};
use read_models::search::{Queries, SearchModel, SearchRequest};
use read_models::testing::Unmarked;
use read_models::{Error, PageRequest, StoredProduct};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use toolkit::retry::Retry;
use uuid::Uuid;

use super::EmbeddedSearch;

const GROUP: &str = "test.g1";
const LOG: &str = "a log";

fn id(n: usize) -> ProductId {
    ProductId::parse(&format!("p-{n:03}")).unwrap()
}

pub(super) fn product(n: usize, version: u64) -> StoredProduct {
    let product = Product {
        id: id(n),
        sku: Sku::parse(&format!("RING-{n}")).unwrap(),
        name: Name::parse(&format!("Golden ring number {n} of {version}")).unwrap(),
        description: Description::parse("made by hand").unwrap(),
        category: CategoryPath::parse("rings/gold").unwrap(),
        brand: Brand::parse("Aurum").unwrap(),
        price: Money::new(1_000 + n as i64, "EUR").unwrap(),
        attributes: Attributes::parse([("size", "m")]).unwrap(),
        tags: Tags::parse(["gift"]).unwrap(),
        status: Status::Listed,
        deleted_from: None,
        version: Version(version),
    };
    StoredProduct {
        product,
        event_id: Uuid::from_u128(u128::from(version)),
        updated_at: Timestamp::UNIX_EPOCH,
    }
}

fn open(dir: &Path, log: &str) -> Result<EmbeddedSearch, Error> {
    EmbeddedSearch::open(dir, log, Arc::default(), Arc::new(Unmarked))
}

async fn write(search: &EmbeddedSearch, states: Vec<StoredProduct>) {
    let writes: Writes<SearchModel> = Writes { rows: Vec::new(), states };
    Store::write(search, writes, &Retry::until(CancellationToken::new())).await.unwrap();
}

async fn versions(search: &EmbeddedSearch, ids: std::ops::Range<usize>) -> Vec<u64> {
    let wanted = |n| Wanted { product: id(n), version: Version(1), event_id: Uuid::nil() };
    let loaded = search.load(&ids.map(wanted).collect::<Vec<_>>()).await.unwrap();
    loaded.iter().map(|state| state.as_ref().map_or(0, |state| state.product.version.get())).collect()
}

async fn position_to(search: &EmbeddedSearch, applied: i64) {
    let position = Position { applied, durable: applied, log: None };
    Positions::write(search, GROUP, 0, position).await.unwrap();
}

async fn applied(search: &EmbeddedSearch) -> Option<i64> {
    search.read(GROUP, 0).await.unwrap().map(|position| position.applied)
}

async fn total(search: &EmbeddedSearch) -> u64 {
    let request = SearchRequest { page: PageRequest::new(1, None), ..SearchRequest::default() };
    Queries::new(search.clone()).search(&request).await.unwrap().total
}

async fn refresh(search: &EmbeddedSearch) {
    Queries::new(search.clone()).refresh().await.unwrap();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            // A file that is gone meanwhile belongs to no commit any more.
            drop(fs::copy(entry.path(), to));
        }
    }
}

#[tokio::test]
async fn what_is_written_is_read_at_once_and_found_after_a_refresh_and_never_gets_older() {
    let dir = TempDir::new().unwrap();
    let search = open(dir.path(), LOG).unwrap();
    assert_eq!((search.discarded(), applied(&search).await), (None, None));
    write(&search, (0..5).map(|n| product(n, 2)).collect()).await;
    assert_eq!((total(&search).await, versions(&search, 0..6).await), (0, vec![2, 2, 2, 2, 2, 0]));
    refresh(&search).await;
    assert_eq!(total(&search).await, 5);
    write(&search, vec![product(0, 1), product(1, 3), product(2, 2)]).await;
    write(&search, vec![product(1, 2)]).await;
    let expected = vec![2, 3, 2, 2, 2];
    assert_eq!(versions(&search, 0..5).await, expected);
    refresh(&search).await;
    assert_eq!((total(&search).await, versions(&search, 0..5).await), (5, expected));
}

#[tokio::test]
async fn what_nobody_refreshes_is_found_by_itself_after_a_while() {
    let dir = TempDir::new().unwrap();
    let search = open(dir.path(), LOG).unwrap();
    write(&search, vec![product(0, 1)]).await;
    let end = Instant::now() + Duration::from_secs(30);
    while total(&search).await == 0 {
        assert!(Instant::now() < end, "no commit came");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn after_an_end_everything_written_is_there_and_meanwhile_nobody_else_opens_it() {
    let dir = TempDir::new().unwrap();
    let search = open(dir.path(), LOG).unwrap();
    write(&search, vec![product(0, 1), product(1, 4)]).await;
    position_to(&search, 7).await;
    let refused = open(dir.path(), LOG).unwrap_err();
    assert!(matches!(&refused, Error::Embedded(why) if why.contains("in use")), "{refused}");
    let other = search.clone();
    drop(search);
    assert_eq!(applied(&other).await, Some(7));
    drop(other);
    let search = open(dir.path(), LOG).unwrap();
    assert_eq!(search.discarded(), None);
    assert_eq!((total(&search).await, versions(&search, 0..2).await), (2, vec![1, 4]));
    assert_eq!(applied(&search).await, Some(7));
    position_to(&search, 5).await;
    assert_eq!(applied(&search).await, Some(7), "positions never go back");
}

/// As a projector does it: products, then the position. A copy of the directory is what a crash leaves.
#[tokio::test]
async fn after_a_crash_products_and_positions_are_those_of_one_moment() {
    let (dir, copies) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let search = open(dir.path(), LOG).unwrap();
    let mut seen = Vec::new();
    for step in 0..12_usize {
        // Product `n` has version 1 from the step on that brings it.
        write(&search, (step * 10..step * 10 + 10).map(|n| product(n, 1)).collect()).await;
        position_to(&search, (step + 1) as i64).await;
        if step % 3 == 1 {
            refresh(&search).await;
        }
        let crashed = copies.path().join(step.to_string());
        // A commit in between would make the copy one of two moments.
        let meta = || fs::read(dir.path().join("index/meta.json")).unwrap();
        loop {
            let before = meta();
            copy(dir.path(), &crashed);
            if meta() == before {
                break;
            }
            fs::remove_dir_all(&crashed).unwrap();
        }
        let crashed = open(&crashed, LOG).unwrap();
        assert_eq!(crashed.discarded(), None, "{step}");
        let applied = applied(&crashed).await.unwrap_or_default() as usize;
        let there = versions(&crashed, 0..120).await.iter().filter(|version| **version == 1).count();
        assert!(there >= applied * 10, "{step}: {there} products below position {applied}");
        assert_eq!(there as u64, total(&crashed).await);
        seen.push(applied);
    }
    assert!(seen.is_sorted() && seen.last() >= Some(&11), "{seen:?}");
}

/// All files of an index.
fn files(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.join("index")).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = files.filter(|path| path.is_file()).collect();
    files.sort();
    files
}

/// 60 products in two segments, one with replaced products, and position 9.
async fn built(dir: &Path) {
    let search = open(dir, LOG).unwrap();
    write(&search, (0..40).map(|n| product(n, 1)).collect()).await;
    refresh(&search).await;
    write(&search, (30..60).map(|n| product(n, 2)).collect()).await;
    position_to(&search, 9).await;
}

#[tokio::test]
async fn whichever_byte_of_what_it_says_of_its_positions_is_another_it_has_no_other_positions() {
    let (whole, copies) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    built(whole.path()).await;
    let meta = fs::read(whole.path().join("index/meta.json")).unwrap();
    let text = std::str::from_utf8(&meta).unwrap();
    let (from, to) = (text.find("\"payload\"").unwrap(), text.rfind('"').unwrap());
    assert!(text[from..=to].contains("sum"), "all of it: {text}");
    let mut discarded = 0;
    for at in from..=to {
        let damaged = copies.path().join(at.to_string());
        copy(whole.path(), &damaged);
        let mut flipped = meta.clone();
        flipped[at] ^= 1 << (at % 7);
        fs::write(damaged.join("index/meta.json"), flipped).unwrap();
        let search = open(&damaged, LOG).unwrap();
        let expected = if search.discarded().is_some() { (None, 0) } else { (Some(9), 60) };
        assert_eq!((applied(&search).await, total(&search).await), expected, "{at} of {text}");
        discarded += usize::from(search.discarded().is_some());
        drop(search);
        fs::remove_dir_all(&damaged).unwrap();
    }
    assert!(discarded > (to - from) / 2, "{discarded} discarded of {}", to - from);
}

#[tokio::test]
async fn a_damaged_index_is_whole_or_discarded_whatever_the_damage() {
    let (whole, copies) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    built(whole.path()).await;
    let (mut discarded, mut kept) = (0, 0);
    for (at, file) in files(whole.path()).iter().enumerate() {
        let name = file.file_name().unwrap();
        let content = fs::read(file).unwrap();
        for part in 0..12 {
            let damaged = copies.path().join(format!("{at}-{part}"));
            copy(whole.path(), &damaged);
            let path = damaged.join("index").join(name);
            match part {
                0 => fs::remove_file(&path).unwrap(),
                1 => fs::write(&path, b"").unwrap(),
                2..=5 => fs::write(&path, &content[..content.len() * (part - 1) / 5]).unwrap(),
                _ => {
                    let mut flipped = content.clone();
                    if let Some(byte) = flipped.get_mut(content.len() * (part - 6) / 6) {
                        *byte ^= 1 << (part % 7);
                    }
                    fs::write(&path, flipped).unwrap();
                }
            }
            let search = open(&damaged, LOG).unwrap();
            let (position, total) = (applied(&search).await, total(&search).await);
            if search.discarded().is_some() {
                assert_eq!((position, total), (None, 0), "{name:?} {part}");
                discarded += 1;
            } else {
                assert_eq!((position, total), (Some(9), 60), "{name:?} {part}");
                assert_eq!(versions(&search, 29..31).await, [1, 2], "{name:?} {part}");
                kept += 1;
            }
            write(&search, vec![product(99, 1)]).await;
            refresh(&search).await;
            assert_eq!(versions(&search, 99..100).await, [1], "it can be written again");
            drop(search);
            fs::remove_dir_all(&damaged).unwrap();
        }
    }
    assert!(discarded > 50, "{discarded} discarded, {kept} kept");
}

#[tokio::test]
async fn an_index_of_another_version_of_folio_is_built_again() {
    let dir = TempDir::new().unwrap();
    let search = open(dir.path(), LOG).unwrap();
    write(&search, vec![product(0, 1)]).await;
    position_to(&search, 1).await;
    drop(search);
    let meta = dir.path().join("index/meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    let other = text.replace(r#"\"format\":3"#, r#"\"format\":999"#);
    assert_ne!(text, other);
    fs::write(&meta, other).unwrap();
    let search = open(dir.path(), LOG).unwrap();
    assert!(search.discarded().is_some_and(|why| why.contains("format 999")), "{:?}", search.discarded());
    assert_eq!((applied(&search).await, total(&search).await), (None, 0));
}

#[tokio::test]
async fn an_index_of_another_log_is_built_again() {
    let dir = TempDir::new().unwrap();
    let search = open(dir.path(), LOG).unwrap();
    write(&search, vec![product(0, 1)]).await;
    position_to(&search, 1).await;
    drop(search);
    let search = open(dir.path(), "another").unwrap();
    let said = "it is built from a log, and not from another";
    assert_eq!(search.discarded(), Some(said));
    assert_eq!((applied(&search).await, total(&search).await), (None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_is_read_while_commits_run_never_goes_back() {
    let dir = TempDir::new().unwrap();
    let search = open(dir.path(), LOG).unwrap();
    write(&search, vec![product(0, 1)]).await;
    let reader = search.clone();
    let reading = tokio::spawn(async move {
        let (mut last, mut reads) = (1, 0);
        while last < 60 {
            let version = versions(&reader, 0..1).await[0];
            assert!(version >= last, "{version} after {last}");
            (last, reads) = (version, reads + 1);
        }
        reads
    });
    for version in 2..=60 {
        write(&search, vec![product(0, version)]).await;
        if version % 2 == 0 {
            refresh(&search).await;
        }
    }
    assert!(reading.await.unwrap() > 10);
}
