//! On a real disk: what is kept, what is refused, and who waits for whom.

mod crashes;
mod damage;
mod failures;

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ledger::{AppendId, LogRecord, NewRecord, RecordKey, Signal, Subject};
use tempfile::TempDir;
use uuid::Uuid;

use super::queue::{Append, Request};
use super::*;

const PARTITIONS: i32 = 3;

fn options() -> LogOptions {
    LogOptions { topic: "events".to_owned(), partitions: PARTITIONS, durable: true }
}

fn open(dir: &Path) -> EmbeddedLog {
    EmbeddedLog::open(dir, &options()).unwrap()
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn plain(n: usize) -> PlainRecord {
    let headers = [("n", n.to_string().as_bytes())].into_iter().collect();
    let value = (n % 10 != 9).then(|| vec![n as u8; n * 37 % 900].into());
    PlainRecord { key: format!("key {n}").into(), value, headers }
}

/// Appends records `from..to`, in turn to each partition, all at once; they are acknowledged.
fn append(log: &EmbeddedLog, from: usize, to: usize) -> Vec<Offset> {
    let partition = |n: usize| Partition(n as i32 % PARTITIONS);
    let appended: Vec<_> = (from..to).map(|n| log.append(partition(n), &plain(n))).collect();
    wait(async {
        let mut offsets = Vec::new();
        for offset in appended {
            offsets.push(offset.await.unwrap());
        }
        offsets
    })
}

/// All that can be read, by partition, or why it cannot.
fn read(log: &EmbeddedLog) -> Result<Vec<Vec<LogRecord>>, String> {
    let mut partitions = vec![Vec::new(); PARTITIONS as usize];
    wait(log.reader().read(|partition, record| partitions[partition.0 as usize].push(record)))
        .map_err(|error| error.to_string())?;
    Ok(partitions)
}

/// Whether `records` are those that were appended first, without a gap.
fn assert_prefix(records: &[Vec<LogRecord>]) {
    for (partition, records) in records.iter().enumerate() {
        for (offset, record) in records.iter().enumerate() {
            let expected = plain(offset * PARTITIONS as usize + partition);
            assert_eq!(record.offset, offset as Offset);
            assert_eq!((&record.key, &record.value), (&expected.key, &expected.value));
            assert_eq!(record.headers, expected.headers);
        }
        assert!(records.is_sorted_by_key(|record| record.timestamp_ms));
    }
}

fn counted(records: &[Vec<LogRecord>]) -> usize {
    records.iter().map(Vec::len).sum()
}

fn list(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { list(&path, into) } else { into.push(path) }
    }
}

/// Copies what is used of each file: journals are longer than what is in them.
fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    list(from, &mut files);
    for file in files {
        let target = to.path().join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        let (bytes, length) = (fs::read(&file).unwrap(), fs::metadata(&file).unwrap().len());
        let used = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        fs::write(&target, &bytes[..used]).unwrap();
        File::options().write(true).open(&target).unwrap().set_len(length).unwrap();
    }
    to
}

/// An opening ends the journal where it is used: what follows is 64 MiB that need not be copied each time.
fn trim(dir: &Path) {
    drop(open(dir));
}

/// Waits until some of the log was sorted into files.
fn wait_for_tables(dir: &Path) {
    let start = Instant::now();
    loop {
        let mut files = Vec::new();
        list(&dir.join("log/data/keyspaces/1"), &mut files);
        if files.iter().any(|file| file.parent().unwrap().ends_with("tables")) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "nothing was sorted into files: {files:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The newest journal, and how many of its bytes are in use.
fn journal(dir: &Path) -> (PathBuf, usize) {
    let mut files = Vec::new();
    list(dir, &mut files);
    let number = |path: &PathBuf| path.file_stem().unwrap().to_str().unwrap().parse::<u64>().unwrap();
    let journals = files.into_iter().filter(|file| file.extension().is_some_and(|it| it == "jnl"));
    let path = journals.max_by_key(number).unwrap();
    let used = fs::read(&path).unwrap().iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    (path, used)
}

#[test]
fn what_was_acknowledged_is_there_after_each_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut appended = 0;
    for more in [0, 1, 299, 3_000, 5] {
        let log = open(dir.path());
        let records = read(&log).unwrap();
        assert_eq!(counted(&records), appended);
        assert_prefix(&records);
        let offsets = append(&log, appended, appended + more);
        let expected = (appended..appended + more).map(|n| n as Offset / Offset::from(PARTITIONS));
        assert!(offsets.into_iter().eq(expected), "offsets have no gaps");
        appended += more;
    }
}

#[test]
fn what_lies_in_files_is_there_like_what_lies_in_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(dir.path(), &LogOptions { durable: false, ..options() }).unwrap();
    for from in (0..60_000).step_by(2_000) {
        append(&log, from, from + 2_000);
    }
    wait_for_tables(dir.path());
    drop(log);
    let records = read(&open(dir.path())).unwrap();
    assert_eq!(counted(&records), 60_000);
    assert_prefix(&records);
}

#[test]
fn another_log_than_the_one_asked_for_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 0, 3);
    let identity = log.identity();
    drop(log);
    for other in
        [LogOptions { partitions: 4, ..options() }, LogOptions { topic: "others".to_owned(), ..options() }]
    {
        let refused = EmbeddedLog::open(dir.path(), &other).unwrap_err();
        assert!(matches!(refused, LogError::Other { .. }), "{refused}");
        let said = refused.to_string();
        assert!(said.contains("is of topic events of 3 partitions, in format 1, not of topic "), "{said}");
    }
    let none = EmbeddedLog::open(dir.path(), &LogOptions { partitions: 0, ..options() }).unwrap_err();
    assert!(matches!(none, LogError::Invalid(_)), "{none}");
    let log = open(dir.path());
    assert_eq!((log.identity(), counted(&read(&log).unwrap())), (identity.clone(), 3));
    let another = tempfile::tempdir().unwrap();
    assert_ne!(open(another.path()).identity(), identity, "a log made anew is another one");
}

#[test]
fn one_process_has_it_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let _log = open(dir.path());
    let second = EmbeddedLog::open(dir.path(), &options()).unwrap_err();
    assert!(matches!(second, LogError::InUse { .. }), "{second}");
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let unusable = EmbeddedLog::open(&file.join("below"), &options()).unwrap_err().to_string();
    assert!(unusable.contains("cannot make the directory"), "{unusable}");
}

#[test]
fn a_log_whose_making_was_interrupted_is_made_again() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("log.unfinished/data")).unwrap();
    fs::write(dir.path().join("log.unfinished/data/0.jnl"), "what was begun").unwrap();
    append(&open(dir.path()), 0, 3);
    assert_eq!(counted(&read(&open(dir.path())).unwrap()), 3);
    assert!(!dir.path().join("log.unfinished").exists());
}

#[test]
fn time_never_runs_backwards_in_a_partition() {
    let dir = tempfile::tempdir().unwrap();
    let mut written = Vec::new();
    for now_ms in [5_000, 4_000, 6_000, 1_000] {
        let (store, next) = Store::open(dir.path(), &options()).unwrap();
        let ends = Arc::new(Ends::new(next.iter().map(|end| end.offset)));
        let store = Arc::new(store);
        let (mut writer, _) = Writer::new(Arc::clone(&store), Arc::clone(&ends), next);
        let draft = Some(Draft::new(b"key", None, &Headers::new()));
        let reply = Reply::Once(oneshot::channel().0);
        writer.write(vec![Request::Append(Append { partition: Partition(1), draft, reply })], now_ms);
        let end = ends.of(Partition(1)).unwrap();
        let limit = store::Limit { records: 9, bytes: 999 };
        written = store.read(Partition(1), 0, end, limit).unwrap().iter().map(|it| it.timestamp_ms).collect();
    }
    assert_eq!(written, [5_000, 5_000, 6_000, 6_000]);
}

#[test]
fn a_partition_that_is_not_there_is_an_answer_and_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    for partition in [Partition(PARTITIONS), Partition(-1)] {
        let AppendError::Unknown(said) = wait(log.append(partition, &plain(1))).unwrap_err();
        assert_eq!(said, format!("there is no partition {partition}"));
        assert!(wait(log.reader().ends.of(partition)).is_err());
        assert!(wait(log.reader().ranges.each(partition, 0, 1, |_| ())).is_err());
    }
    let group = "g".repeat(MAX_GROUP_NAME + 1);
    assert!(log.join(GroupOptions::new(group)).unwrap_err().to_string().contains("choose a shorter one"));
}

/// An inbox that takes no records until it is let.
#[derive(Default)]
struct Held {
    signals: Mutex<Vec<Signal>>,
    gate: Mutex<()>,
}

impl Inbox for Held {
    fn deliver(&self, signal: Signal) {
        if matches!(signal, Signal::Records { .. }) {
            drop(self.gate.lock().unwrap());
        }
        self.signals.lock().unwrap().push(signal);
    }
}

impl Held {
    fn count(&self, is: impl Fn(&Signal) -> bool) -> usize {
        self.signals.lock().unwrap().iter().filter(|signal| is(signal)).count()
    }

    fn wait_for(&self, what: &str, is: impl Fn(&Signal) -> bool, count: usize) {
        let start = Instant::now();
        while self.count(&is) < count {
            assert!(start.elapsed() < Duration::from_secs(30), "{what}: {} of {count}", self.count(&is));
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn event(n: u64) -> NewRecord {
    let key = RecordKey {
        subject: Subject::parse("p").unwrap(),
        version: n + 1,
        basis: 0,
        event_id: Uuid::from_u128(u128::from(n)),
    };
    NewRecord { key, value: vec![1; 100].into(), headers: Headers::new() }
}

#[test]
fn an_inbox_that_holds_back_the_tail_holds_back_no_append() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 0, 30);
    let inbox = Arc::new(Held::default());
    let writer = log.event_log(Arc::clone(&inbox) as Arc<dyn Inbox>);
    let held = inbox.gate.lock().unwrap();
    writer.tail_from(Partition(0), 0);
    let is_acknowledged = |signal: &Signal| matches!(signal, Signal::Appended { outcome: Ok(_), .. });
    for n in 0..2_000 {
        writer.append(Partition(n as i32 % PARTITIONS), AppendId(n), event(n));
    }
    inbox.wait_for("reports", is_acknowledged, 2_000);
    writer.ask_end_offset(Partition(0), 7);
    inbox.wait_for("the end", |signal| matches!(signal, Signal::EndOffset { outcome: Ok(677), .. }), 1);
    assert_eq!(inbox.count(|signal| matches!(signal, Signal::Records { .. })), 0);
    drop(held);
    inbox.wait_for("the tail", |signal| matches!(signal, Signal::Position { position: 677, .. }), 1);
}

#[test]
fn a_tail_from_beyond_the_end_fails_and_the_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    append(&log, 0, 3);
    let inbox = Arc::new(Held::default());
    let writer = log.event_log(Arc::clone(&inbox) as Arc<dyn Inbox>);
    for (partition, from) in [(0, 2), (1, -1), (2, 1)] {
        writer.tail_from(Partition(partition), from);
    }
    let is_out_of_range = |signal: &Signal| matches!(signal, Signal::TailFailed { error: ledger::TailError::OutOfRange, partition } if partition.0 < 2);
    inbox.wait_for("failures", is_out_of_range, 2);
    append(&log, 3, 6);
    inbox.wait_for("the third", |signal| matches!(signal, Signal::Position { position: 2, .. }), 1);
}
