//! On a real disk: which change stays, in which order rows are read, and what crashes and damage leave.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::*;

struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("folio-tables-{}", uuid::Uuid::new_v4())))
    }

    fn open(&self) -> (Tables, Option<String>) {
        Tables::open(&self.0, "test", 1 << 20).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn row(version: u64, bytes: &[u8]) -> Row {
    Row { version, bytes: bytes.to_vec() }
}

#[test]
fn only_what_is_not_older_takes_effect_and_a_delete_is_remembered() {
    let dir = Dir::new();
    let (tables, _) = dir.open();
    let table = tables.table("t");
    let there = |changes: Vec<Change>| {
        tables.write(changes).unwrap();
        table.get(b"k").unwrap()
    };
    assert_eq!(there(vec![table.put(b"k", 3, b"c")]), Some(row(3, b"c")));
    assert_eq!(there(vec![table.put(b"k", 2, b"b"), table.delete(b"k", 2)]), Some(row(3, b"c")), "older");
    assert_eq!(there(vec![table.put(b"k", 3, b"again")]), Some(row(3, b"again")), "as new");
    assert_eq!(there(vec![table.delete(b"k", 3)]), None, "a delete of the same version stays");
    assert_eq!(there(vec![table.put(b"k", 3, b"c")]), None, "and the put before it does not come back");
    assert_eq!(there(vec![table.delete(b"k", 5), table.put(b"k", 4, b"d")]), None);
    assert_eq!(
        there(vec![table.put(b"k", 7, b"g"), table.put(b"k", 6, b"f")]),
        Some(row(7, b"g")),
        "in one write"
    );
    assert_eq!(tables.table("other").get(b"k").unwrap(), None, "another table");
    drop((tables, table));
    let (tables, discarded) = dir.open();
    assert_eq!(
        (tables.table("t").get(b"k").unwrap(), discarded),
        (Some(row(7, b"g")), None),
        "after a restart"
    );
}

#[test]
fn rows_are_read_in_both_orders_between_bounds_and_deleted_ones_are_not_counted() {
    use Bound::{Excluded, Included, Unbounded};
    use Order::{Ascending, Descending};

    let dir = Dir::new();
    let (tables, _) = dir.open();
    let table = tables.table("t");
    let neighbours = ["s", "t1", "u"].map(|name| tables.table(name).put(b"k", 1, b""));
    let rows = (0..10_u8).map(|key| table.put(&[key], 1, &[key]));
    tables.write(rows.chain(neighbours).chain([table.delete(&[4], 2)])).unwrap();
    let keys = |from: Bound<u8>, to: Bound<u8>, order, limit| {
        let (from, to) = (from.map(|key| [key]), to.map(|key| [key]));
        let bounds = (from.as_ref().map(<[u8; 1]>::as_slice), to.as_ref().map(<[u8; 1]>::as_slice));
        let found = table.range(bounds, order, limit).unwrap();
        found.into_iter().map(|(key, row)| (key == row.bytes).then_some(key[0])).collect::<Option<Vec<u8>>>()
    };
    assert_eq!(keys(Unbounded, Unbounded, Ascending, 99), Some(vec![0, 1, 2, 3, 5, 6, 7, 8, 9]));
    assert_eq!(keys(Unbounded, Unbounded, Descending, 3), Some(vec![9, 8, 7]));
    assert_eq!(keys(Included(3), Excluded(6), Ascending, 9), Some(vec![3, 5]));
    assert_eq!(keys(Excluded(3), Included(6), Descending, 9), Some(vec![6, 5]));
    assert_eq!(keys(Excluded(2), Unbounded, Ascending, 3), Some(vec![3, 5, 6]), "a limit counts rows");
    assert_eq!(keys(Included(6), Included(6), Ascending, 9), Some(vec![6]));
    for (from, to) in [
        (Included(7), Included(2)),
        (Excluded(6), Excluded(6)),
        (Included(6), Excluded(6)),
        (Excluded(6), Included(6)),
    ] {
        assert_eq!(keys(from, to, Ascending, 9), Some(vec![]), "{from:?} {to:?}");
    }
    assert_eq!(keys(Unbounded, Unbounded, Ascending, 0), Some(vec![]));
}

#[test]
fn of_many_threads_that_write_one_row_the_newest_version_stays() {
    let dir = Dir::new();
    let (tables, _) = dir.open();
    let table = tables.table("t");
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let (tables, table) = (&tables, &table);
            scope.spawn(move || {
                for n in 0..500 {
                    // Each version once, some of them deletes, in an order that no other thread has.
                    let version = (n * 4 + thread) * 7 % 2_000 + 1;
                    let put = table.put(b"k", version, &version.to_be_bytes());
                    tables
                        .write([if version % 10 == 0 { table.delete(b"k", version) } else { put }])
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(table.get(b"k").unwrap(), None, "version 2,000 is a delete");
    tables.write([table.put(b"k", 1_999, b"late")]).unwrap();
    assert_eq!(table.get(b"k").unwrap(), None);
}

#[test]
fn tables_that_failed_in_use_are_opened_empty_the_next_time() {
    let dir = Dir::new();
    let (tables, _) = dir.open();
    let table = tables.table("t");
    tables.write([table.put(b"k", 1, b"row")]).unwrap();
    // As damage that checksums did not show would leave it: a value that this module cannot have written.
    let key = table.key(b"k");
    tables.0.store.write([(key, vec![1, 2])]).unwrap();
    let failed = table.get(b"k").unwrap_err().to_string();
    assert!(failed.contains("a value without a version"), "{failed}");
    drop((tables, table));
    let (tables, discarded) = dir.open();
    let reason = discarded.unwrap();
    assert!(reason.contains("it failed in use") && reason.contains("without a version"), "{reason}");
    assert_eq!(tables.table("t").get(b"k").unwrap(), None);
    drop(tables);
    assert_eq!(dir.open().1, None, "once");
}

#[test]
fn tables_that_their_reader_does_not_trust_are_opened_empty_the_next_time() {
    let dir = Dir::new();
    let (tables, _) = dir.open();
    let table = tables.table("t");
    tables.write([table.put(b"k", 1, b"row")]).unwrap();
    tables.distrust("a row is no row");
    assert_eq!(table.get(b"k").unwrap(), Some(row(1, b"row")), "until then they go on");
    drop((tables, table));
    let (tables, discarded) = dir.open();
    assert!(discarded.is_some_and(|reason| reason.contains("a row is no row")));
    assert_eq!(tables.table("t").get(b"k").unwrap(), None);
}

const PER_ROUND: u32 = 50;

/// As a projector writes: rows, and then how far it is.
fn write_round(tables: &Tables, round: u32) -> Result<(), Error> {
    let (rows, marks) = (tables.table("rows"), tables.table("marks"));
    let of_round = (0..PER_ROUND).map(|n| rows.put(&(round * PER_ROUND + n).to_be_bytes(), 1, &[7; 300]));
    tables.write(of_round)?;
    tables.write([marks.put(b"mark", u64::from(round) + 1, &[])])
}

/// Every row below the mark is there, and there are none far behind it; the mark.
fn checked(tables: &Tables) -> u32 {
    let (rows, marks) = (tables.table("rows"), tables.table("marks"));
    let mark = marks.get(b"mark").unwrap().map_or(0, |row| row.version as u32);
    let found = rows.range((Bound::Unbounded, Bound::Unbounded), Order::Ascending, usize::MAX).unwrap();
    let there = found.len() as u32;
    assert!(
        there == mark * PER_ROUND || there == (mark + 1) * PER_ROUND,
        "{there} rows, and the mark is {mark}"
    );
    for (n, (key, row)) in found.iter().enumerate() {
        assert_eq!((key.as_slice(), row.bytes.len()), (&(n as u32).to_be_bytes()[..], 300));
    }
    mark
}

const CHILD_DIR: &str = "FOLIO_TEST_TABLES_DIR";

const ACKNOWLEDGED: &str = "acknowledged round ";

#[test]
#[ignore = "the process that the next test kills: it writes until then"]
fn a_process_that_writes_until_it_is_killed() {
    let dir = Dir(std::env::var_os(CHILD_DIR).expect("the directory, given by the next test").into());
    let (tables, discarded) = dir.open();
    assert_eq!(discarded, None);
    for round in checked(&tables).. {
        write_round(&tables, round).unwrap();
        println!("{ACKNOWLEDGED}{round}");
    }
}

#[test]
fn after_kill_9_at_any_moment_all_that_was_acknowledged_is_there_and_no_mark_is_ahead_of_its_rows() {
    let dir = Dir::new();
    drop(dir.open());
    for life in 0..8 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--ignored", "--nocapture", "--exact"])
            .arg("tables::tests::a_process_that_writes_until_it_is_killed")
            .env(CHILD_DIR, &dir.0)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stdout.take().unwrap()).lines();
        // The harness writes its own beside it.
        let rounds = told.filter_map(|line| line.unwrap().rsplit_once(ACKNOWLEDGED)?.1.parse::<u32>().ok());
        let last = rounds.take(20 + 67 * life).last();
        child.kill().unwrap();
        assert!(!child.wait().unwrap().success(), "it wrote until it was killed");
        let (tables, discarded) = dir.open();
        assert_eq!(discarded, None);
        let mark = checked(&tables);
        assert!(last.is_some_and(|last| mark > last), "the mark is {mark}, and {last:?} was acknowledged");
    }
}

/// A loss of power leaves any beginning of what was not synced.
#[test]
fn whatever_end_of_the_journal_is_lost_the_rows_below_the_mark_are_there() {
    let dir = Dir::new();
    let (tables, _) = dir.open();
    for round in 0..40 {
        write_round(&tables, round).unwrap();
    }
    drop(tables);
    let mut files = Vec::new();
    list(&dir.0, &mut files);
    let journals = files.iter().filter(|file| file.extension().is_some_and(|end| end == "jnl"));
    let [journal] = journals.collect::<Vec<_>>()[..] else { panic!("one journal: {files:?}") };
    let whole = fs::read(journal).unwrap();
    let written = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    let mut marks = Vec::new();
    for length in (0..written - 1).step_by(written / 60).chain([written - 1, written]) {
        let copied = Dir::new();
        for file in &files {
            let to = copied.0.join(file.strip_prefix(&dir.0).unwrap());
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            if file == journal {
                fs::write(to, &whole[..length]).unwrap();
            } else {
                fs::copy(file, to).unwrap();
            }
        }
        let (tables, discarded) = copied.open();
        marks.push(if discarded.is_some() { 0 } else { checked(&tables) });
    }
    assert!(marks.is_sorted() && marks.last() == Some(&40) && marks[30] > 10, "{marks:?}");
}

fn list(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { list(&path, into) } else { into.push(path) }
    }
}

#[test]
fn a_table_that_is_cleared_is_as_if_nothing_was_ever_written_into_it_and_others_keep_their_rows() {
    let dir = Dir::new();
    let (tables, _) = dir.open();
    let (table, neighbours) = (tables.table("t"), ["s", "t1", "u"].map(|name| tables.table(name)));
    // More than are removed at once.
    let keys = || (0..25_000_u32).map(u32::to_be_bytes);
    tables.write(keys().map(|key| table.put(&key, 9, &[7; 40]))).unwrap();
    tables.write([table.delete(&7_u32.to_be_bytes(), 9)]).unwrap();
    tables.write(neighbours.iter().map(|it| it.put(b"k", 9, b"row"))).unwrap();
    table.clear().unwrap();
    table.clear().unwrap();
    drop((tables, table, neighbours));
    let (tables, discarded) = dir.open();
    assert_eq!(discarded, None);
    let (table, all) = (tables.table("t"), (Bound::Unbounded, Bound::Unbounded));
    assert_eq!(table.range(all, Order::Ascending, 9).unwrap(), []);
    tables.write(keys().map(|key| table.put(&key, 1, b"old"))).unwrap();
    let found = table.range(all, Order::Ascending, usize::MAX).unwrap();
    assert_eq!(found.len(), 25_000, "what is older than what was there, or was deleted, is written");
    assert!(found.iter().all(|(_, it)| *it == row(1, b"old")));
    for name in ["s", "t1", "u"] {
        assert_eq!(tables.table(name).get(b"k").unwrap(), Some(row(9, b"row")), "{name}");
    }
}

#[test]
fn pages_have_no_more_rows_and_about_no_more_bytes_than_are_asked_for() {
    let dir = Dir::new();
    let (tables, _) = dir.open();
    let table = tables.table("t");
    let rows = (0..10_u8).map(|key| table.put(&[key], 1, &[0; 99]));
    tables.write(rows.chain([table.delete(&[4], 2)])).unwrap();
    let pages = |limit, bytes| {
        let (mut pages, mut after): (Vec<Vec<u8>>, Option<Vec<u8>>) = (Vec::new(), None);
        loop {
            let page = table.page(after.as_deref(), limit, bytes).unwrap();
            let Some((last, _)) = page.last() else { return pages };
            after = Some(last.clone());
            pages.push(page.iter().map(|(key, _)| key[0]).collect());
        }
    };
    assert_eq!(pages(4, 1_000_000), [vec![0, 1, 2, 3], vec![5, 6, 7, 8], vec![9]]);
    assert_eq!(pages(99, 201), [vec![0, 1, 2], vec![3, 5, 6], vec![7, 8, 9]]);
    assert_eq!(pages(99, 1), (0..10).filter(|key| *key != 4).map(|key| vec![key]).collect::<Vec<_>>());
    assert_eq!(pages(99, 1_000_000).len(), 1);
}

#[test]
fn between_a_look_and_its_changes_nobody_writes_and_a_look_can_be_all() {
    let dir = Dir::new();
    let (tables, _) = dir.open();
    let table = tables.table("t");
    let number = || table.get(b"k").map(|row| row.map_or(0, |row| row.version));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    let next = || Ok(Some([table.put(b"k", number()? + 1, &[])]));
                    assert!(tables.write_after(next).unwrap());
                }
            });
        }
    });
    assert_eq!(number().unwrap(), 800);
    assert!(!tables.write_after(|| Ok(None::<[Change; 1]>)).unwrap());
    let failed = Error::InUse { dir: dir.0.clone() };
    assert!(tables.write_after(|| Err::<Option<[Change; 1]>, _>(failed)).is_err());
    assert_eq!(number().unwrap(), 800);
}

#[test]
fn what_was_cleared_is_gone_from_the_disk_after_others_have_written_some_megabytes() {
    let dir = Dir::new();
    let (tables, _) = dir.open();
    let (large, other) = (tables.table("t"), tables.table("u"));
    let part = |table: &Table, part: u32, version| {
        tables
            .write((0..1_000).map(|n| table.put(&(part * 1_000 + n).to_be_bytes(), version, &[7; 500])))
            .unwrap();
    };
    let space = || tables.0.store.entries.disk_space() >> 20;
    (0..120).for_each(|n| part(&large, n, 1));
    assert!(space() > 40, "{} MB", space());
    large.clear().unwrap();
    let mut written = 0;
    while space() > 40 {
        assert!(written < 400, "{} MB are still there", space());
        part(&other, written % 10, u64::from(written));
        written += 1;
    }
}
