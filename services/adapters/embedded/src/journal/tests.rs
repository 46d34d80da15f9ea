//! On a real disk: what is appended is read by all in one order, for ever.

use super::*;

fn open(dir: &tempfile::TempDir) -> (Tables, EmbeddedJournal) {
    let (tables, discarded) = Tables::open(dir.path(), "test", 1 << 20).unwrap();
    assert_eq!(discarded, None);
    let journal = EmbeddedJournal::new(&tables);
    (tables, journal)
}

async fn append(journal: &EmbeddedJournal, key: &str) {
    journal.append(key.to_owned(), format!("value of {key}").into_bytes()).await.unwrap();
}

/// The keys, and the offset to go on from.
async fn read(journal: &EmbeddedJournal, from: i64) -> (Vec<String>, i64) {
    let (entries, next) = journal.read(from).await.unwrap();
    let places: Vec<i64> = entries.iter().map(|entry| entry.offset).collect();
    assert_eq!(places, (from..next).collect::<Vec<_>>());
    assert!(entries.is_sorted_by_key(|entry| entry.appended_ms));
    let keys = entries.iter().map(|entry| {
        let key = std::str::from_utf8(&entry.key).unwrap();
        assert_eq!(entry.value, format!("value of {key}"));
        key.to_owned()
    });
    (keys.collect(), next)
}

#[tokio::test]
async fn what_was_appended_is_read_in_its_order_and_after_another_opening_too() {
    let dir = tempfile::tempdir().unwrap();
    let (tables, journal) = open(&dir);
    assert_eq!(read(&journal, 0).await, (vec![], 0));
    for key in ["b", "", "a"] {
        append(&journal, key).await;
    }
    let all = ["b", "", "a"].map(str::to_owned);
    assert_eq!(read(&journal, 0).await, (all.to_vec(), 3));
    assert_eq!(read(&journal, 2).await, (all[2..].to_vec(), 3));
    assert_eq!(read(&journal, 3).await, (vec![], 3));
    drop((tables, journal));
    let (_tables, journal) = open(&dir);
    assert_eq!(read(&journal, 0).await, (all.to_vec(), 3));
    append(&journal, "b").await;
    assert_eq!(read(&journal, 1).await, (["", "a", "b"].map(str::to_owned).to_vec(), 4));
}

#[tokio::test]
async fn the_first_append_after_an_opening_goes_on_behind_the_last_before_it() {
    let dir = tempfile::tempdir().unwrap();
    append(&open(&dir).1, "a").await;
    let (_tables, journal) = open(&dir);
    append(&journal, "b").await;
    assert_eq!(read(&journal, 0).await, (vec!["a".to_owned(), "b".to_owned()], 2));
}

#[tokio::test]
async fn times_never_go_back_though_clocks_do() {
    let dir = tempfile::tempdir().unwrap();
    let (tables, journal) = open(&dir);
    append(&journal, "a").await;
    let (before, _) = journal.read(0).await.unwrap();
    let ahead = before[0].appended_ms as u64 + 3_600_000;
    let row = journal.0.records.get(&0_i64.to_be_bytes()).unwrap().unwrap();
    tables.write([journal.0.records.put(&0_i64.to_be_bytes(), ahead, &row.bytes)]).unwrap();
    append(&journal, "b").await;
    let (entries, _) = journal.read(0).await.unwrap();
    assert_eq!(entries.iter().map(|it| it.appended_ms as u64).collect::<Vec<_>>(), [ahead, ahead]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_append_each_record_is_there_once_and_nobody_reads_another_order() {
    const EACH: usize = 25;
    let dir = tempfile::tempdir().unwrap();
    let (_tables, journal) = open(&dir);
    let appending = (0..4).map(|who| {
        let journal = journal.clone();
        tokio::spawn(async move {
            let mut seen = Vec::new();
            for n in 0..EACH {
                append(&journal, &format!("{who}/{n}")).await;
                // What is acknowledged is read.
                let (keys, next) = read(&journal, 0).await;
                assert!(keys.contains(&format!("{who}/{n}")) && keys.len() as i64 == next);
                seen.push(keys);
            }
            seen
        })
    });
    let mut seen = Vec::new();
    for appended in appending.collect::<Vec<_>>() {
        seen.extend(appended.await.unwrap());
    }
    let (all, next) = read(&journal, 0).await;
    assert_eq!(next as usize, 4 * EACH);
    assert!(seen.iter().all(|keys| all.starts_with(keys)), "one order");
    let mut each = all.clone();
    each.sort_unstable();
    each.dedup();
    assert_eq!(each.len(), all.len());
    for who in 0..4 {
        let own: Vec<&String> = all.iter().filter(|key| key.starts_with(&format!("{who}/"))).collect();
        assert_eq!(
            own,
            (0..EACH).map(|n| format!("{who}/{n}")).collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
    }
}

#[tokio::test]
async fn whoever_has_read_further_than_there_is_hears_that_the_journal_is_another_one() {
    let dir = tempfile::tempdir().unwrap();
    let (_tables, journal) = open(&dir);
    append(&journal, "a").await;
    let refused = journal.read(2).await.unwrap_err().to_string();
    assert!(refused.contains("ends at 1") && refused.contains("made anew"), "{refused}");
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_an_error_and_the_next_start_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let (tables, journal) = open(&dir);
    tables.write([journal.0.records.put(&0_i64.to_be_bytes(), 1, &[0, 0, 0, 9, b'k'])]).unwrap();
    let refused = journal.read(0).await.unwrap_err().to_string();
    assert!(refused.contains("record 0 cannot be read"), "{refused}");
    drop((tables, journal));
    let (_tables, discarded) = Tables::open(dir.path(), "test", 1 << 20).unwrap();
    assert!(discarded.is_some_and(|why| why.contains("record 0 cannot be read")));
}
