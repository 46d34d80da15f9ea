use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use contract::avro::{KnownSchema, SchemaIds, encode, known_schemas};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use ledger::{Headers, LogRecord, Offset, Partition, RecordKey, VoidReason};
use tokio_util::sync::CancellationToken;
use toolkit::retry::Retry;
use uuid::Uuid;

use super::*;
use crate::feed::{EndOffsets, RangeReader};

const P: Partition = Partition(0);

fn retry() -> Retry {
    Retry::until(CancellationToken::new()).waiting(Duration::from_millis(1), Duration::from_millis(2))
}

/// Records with these keys, but for their event ids.
fn records(keys: &[&str]) -> Vec<LogRecord> {
    let record = |(offset, key): (usize, &&str)| LogRecord {
        offset: offset as Offset,
        timestamp_ms: 0,
        key: format!("{key}/{}", Uuid::from_u128(offset as u128)).into(),
        value: None,
        headers: Headers::new(),
    };
    keys.iter().enumerate().map(record).collect()
}

/// A topic of one partition in memory.
fn log(records: &[LogRecord]) -> LogReader {
    let ((ranges, stretches), (ends, questions)) = (RangeReader::channel("t"), EndOffsets::channel("t"));
    let (records, end) = (records.to_vec(), records.last().map_or(0, |it| it.offset + 1));
    std::thread::spawn(move || {
        for request in stretches {
            for record in records.iter().filter(|it| (request.from..request.to).contains(&it.offset)) {
                request.give(Ok(vec![record.clone()]));
            }
        }
    });
    std::thread::spawn(move || questions.into_iter().for_each(|question| question.answer(Ok(end))));
    LogReader { partitions: 1, ranges, ends }
}

const KEYS: [&str; 9] = ["a/1/0", "b/1/0", "a/2/1", "a/2/2", "nonsense", "a/3/3", "a/3/2", "b/9/7", "a/4/6"];

#[tokio::test]
async fn a_reader_from_any_start_counts_what_one_from_zero_counts() {
    let records = records(&KEYS);
    let log = log(&records);
    let mut complete = PartitionReader::complete(P, 1);
    let counts = |judged: Judged<'_>| (!judged.skips).then_some(judged.record.offset);
    let expected: Vec<Offset> =
        records.iter().filter_map(|it| complete.judge(it)).filter_map(counts).collect();
    assert_eq!(expected, [0, 1, 2, 5, 8]);
    // From 7 on the forged record is taken at its word: who keeps states compares.
    for start in 0..7 {
        let mut reader = PartitionReader::new(P, 1, start as Offset);
        let rest = &records[start..];
        reader.look_back(rest, &log.ranges, &retry()).await.unwrap();
        let counted: Vec<Offset> =
            rest.iter().filter_map(|it| reader.judge(it)).filter_map(counts).filter(|it| *it != 7).collect();
        assert_eq!(counted, expected.iter().copied().filter(|it| *it >= start as Offset).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn an_audit_counts_every_record_once() {
    let mut seen = Vec::new();
    let log = log(&records(&KEYS));
    let audit = log.audit(|_, key, record| seen.push((record.offset, key.version))).await.unwrap();
    assert_eq!(seen, [(0, 1), (1, 1), (2, 2), (5, 3), (8, 4)]);
    assert_eq!(audit.ends, [(P, 9)].into());
    assert_eq!((audit.records, audit.effective, audit.void), (9, 5, 2));
    assert_eq!((audit.garbage, audit.violations, audit.products), (1, 1, 2));
}

#[test]
fn a_tally_names_why_records_are_void_and_begins_anew_when_it_is_taken() {
    let mut reader = PartitionReader::complete(P, 1);
    for record in &records(&KEYS) {
        reader.judge(record);
    }
    let tally = reader.take_tally();
    assert_eq!(tally.void, BTreeMap::from([(VoidReason::Stale, 2)]));
    assert_eq!(reader.take_tally(), Tally::default());
}

/// A source that fails so many times first.
#[derive(Default)]
struct Source {
    texts: Mutex<BTreeMap<u32, String>>,
    failures: AtomicU32,
    /// An id that it never tells; 0: none.
    never: AtomicU32,
    asked: AtomicU32,
}

impl Source {
    fn answer<T: Send + 'static>(&self, answer: T) -> BoxFuture<'static, Result<T, SourceError>> {
        let fails = self
            .failures
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok();
        let error = SourceError { problem: "the registry is unavailable".to_owned(), transient: true };
        std::future::ready(if fails { Err(error) } else { Ok(answer) }).boxed()
    }
}

impl SchemaSource for Source {
    fn ids(&self) -> BoxFuture<'_, Result<Vec<(KnownSchema, u32)>, SourceError>> {
        self.answer(known_schemas().iter().copied().zip(1..).collect())
    }

    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.never.load(Ordering::Relaxed) == id {
            let error = SourceError { problem: "403".to_owned(), transient: true };
            return std::future::ready(Err(error)).boxed();
        }
        self.answer(self.texts.lock().unwrap().get(&id).cloned())
    }
}

/// A record whose value names this schema.
fn listed(schema: u32) -> (RecordKey, LogRecord) {
    let event = contract::json::event_from_data("ProductListed", r#"{"status": "listed"}"#).unwrap();
    let mut value = encode(&event, &SchemaIds::without_registry()).unwrap().to_vec();
    value[1..5].copy_from_slice(&schema.to_be_bytes());
    let record = LogRecord { value: Some(Bytes::from(value)), ..records(&["a/1/0"]).remove(0) };
    (RecordKey::parse(&record.key).unwrap(), record)
}

#[tokio::test]
async fn a_schema_is_learnt_however_long_its_source_is_unavailable() {
    let source = Arc::new(Source { failures: AtomicU32::new(3), ..Source::default() });
    let decoder = Decoder::open(source.clone(), &retry()).await.unwrap();
    let text = known_schemas().iter().find(|known| known.event_type == "ProductListed").unwrap().text;
    source.texts.lock().unwrap().insert(77, text.to_owned());
    source.failures.store(10, Ordering::Relaxed);
    let (key, record) = listed(77);
    let event = decoder.decode(P, &key, &record, &retry()).await.unwrap();
    assert_eq!(
        (event.product.as_str(), event.version.get(), event.event.type_name()),
        ("a", 1, "ProductListed")
    );
    let asked = source.asked.load(Ordering::Relaxed);
    decoder.decode(P, &key, &record, &retry()).await.unwrap();
    assert_eq!(source.asked.load(Ordering::Relaxed), asked, "it is known now");
}

#[tokio::test]
async fn a_value_is_poison_only_when_the_source_has_said_so_a_few_times() {
    let source = Arc::new(Source::default());
    let decoder = Decoder::open(source.clone(), &retry()).await.unwrap();
    let (key, record) = listed(99);
    let outcome = decoder.decode(P, &key, &record, &retry()).await;
    assert!(matches!(&outcome, Err(Undecoded::Poison(reason)) if reason.contains("99")), "{outcome:?}");
    assert_eq!(source.asked.load(Ordering::Relaxed), 5);
    let tombstone = LogRecord { value: None, ..record.clone() };
    assert!(matches!(decoder.decode(P, &key, &tombstone, &retry()).await, Err(Undecoded::Poison(_))));

    let stopped = CancellationToken::new();
    stopped.cancel();
    source.failures.store(100, Ordering::Relaxed);
    // Another one: that the source does not know the first is believed for a while.
    let (key, record) = listed(98);
    let outcome = decoder.decode(P, &key, &record, &Retry::until(stopped)).await;
    assert_eq!(outcome.unwrap_err(), Undecoded::Cancelled);
}

#[tokio::test]
async fn a_source_that_is_away_is_waited_for_once_and_whoever_was_turned_away_hears_of_its_return() {
    let source = Arc::new(Source::default());
    let decoder = Arc::new(Decoder::open(source.clone(), &retry()).await.unwrap());
    let looks = Arc::clone(&decoder);
    tokio::spawn(async move { looks.look_for_source(&retry()).await });
    let text = known_schemas().iter().find(|known| known.event_type == "ProductListed").unwrap().text;
    source.texts.lock().unwrap().insert(77, text.to_owned());
    source.failures.store(u32::MAX, Ordering::Relaxed);
    let mut returns = decoder.returns();
    let patience = Duration::from_millis(200);
    let begun = Instant::now();
    for id in [77, 78, 77] {
        let (key, record) = listed(id);
        let outcome = decoder.decode_within(Some(patience), P, &key, &record, &retry()).await;
        assert!(matches!(&outcome, Err(Undecoded::Unavailable(reason)) if reason.contains("77") || id != 77));
    }
    let took = begun.elapsed();
    assert!(took >= patience && took < 3 * patience, "{took:?}");
    assert!(!returns.has_changed().unwrap());
    // What needs no source flows.
    let known = known_schemas().iter().position(|known| known.event_type == "ProductListed").unwrap();
    let (key, record) = listed(known as u32 + 1);
    decoder.decode_within(Some(patience), P, &key, &record, &retry()).await.unwrap();

    source.failures.store(0, Ordering::Relaxed);
    returns.changed().await.unwrap();
    let (key, record) = listed(77);
    decoder.decode_within(Some(patience), P, &key, &record, &retry()).await.unwrap();
    let (key, record) = listed(78);
    let outcome = decoder.decode_within(Some(patience), P, &key, &record, &retry()).await;
    assert!(matches!(&outcome, Err(Undecoded::Poison(reason)) if reason.contains("78")), "{outcome:?}");
}

#[tokio::test]
async fn one_schema_that_its_source_never_tells_keeps_no_other_from_being_learnt() {
    let source = Arc::new(Source { never: AtomicU32::new(70), ..Source::default() });
    let decoder = Arc::new(Decoder::open(source.clone(), &retry()).await.unwrap());
    let text = known_schemas().iter().find(|known| known.event_type == "ProductListed").unwrap().text;
    source.texts.lock().unwrap().insert(77, text.to_owned());
    let mut returns = decoder.returns();
    let patience = Some(Duration::from_millis(100));
    let ((bad, of_bad), (good, of_good)) = (listed(70), listed(77));
    for (key, record) in [(&bad, &of_bad), (&good, &of_good)] {
        let outcome = decoder.decode_within(patience, P, key, record, &retry()).await;
        assert!(matches!(outcome, Err(Undecoded::Unavailable(_))), "{outcome:?}");
    }
    let looks = Arc::clone(&decoder);
    tokio::spawn(async move { looks.look_for_source(&retry()).await });
    returns.changed().await.unwrap();
    // In the order of names: the bad one is asked for first, and nobody waits for the good one behind it.
    let outcome = decoder.decode_within(patience, P, &bad, &of_bad, &retry()).await;
    assert!(matches!(outcome, Err(Undecoded::Unavailable(_))), "{outcome:?}");
    decoder.decode_within(patience, P, &good, &of_good, &retry()).await.unwrap();
}

#[tokio::test]
async fn where_a_log_was_at_some_time_is_found_also_where_compaction_left_gaps() {
    let mut records = records(&KEYS);
    for record in &mut records {
        // Three a minute, and two of three offsets are gone.
        record.timestamp_ms = record.offset / 3 * 60_000;
        record.offset *= 3;
    }
    let log = log(&records);
    for (time_ms, expected) in
        [(-1, 0), (0, 9), (59_999, 9), (60_000, 18), (119_999, 18), (120_000, 25), (i64::MAX, 25)]
    {
        let found = LogReader::first_after(std::slice::from_ref(&log), time_ms).await.unwrap()[0];
        let before = |offset: Offset| records.iter().filter(|it| it.offset < offset).count();
        assert_eq!(before(found), before(expected), "{time_ms}: {found}");
    }
    assert_eq!(LogReader::first_after(&[self::log(&[])], 5).await.unwrap(), [0]);
}

#[tokio::test]
async fn several_readers_look_at_partitions_side_by_side_and_answer_in_order() {
    let busy = Arc::new((AtomicU32::new(0), AtomicU32::new(0)));
    let open = || {
        let ((ranges, stretches), (ends, questions)) = (RangeReader::channel("t"), EndOffsets::channel("t"));
        let busy = Arc::clone(&busy);
        std::thread::spawn(move || {
            for request in stretches {
                let now = busy.0.fetch_add(1, Ordering::SeqCst) + 1;
                busy.1.fetch_max(now, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(5));
                // In partition N the first N records are of before.
                let (offset, first) = (request.from, Offset::from(request.partition.0));
                let record = records(&["a/1/0"]).remove(0);
                request.give(Ok(vec![LogRecord {
                    offset,
                    timestamp_ms: i64::from(offset >= first),
                    ..record
                }]));
                busy.0.fetch_sub(1, Ordering::SeqCst);
            }
        });
        std::thread::spawn(move || questions.into_iter().for_each(|question| question.answer(Ok(20))));
        Ok::<_, std::convert::Infallible>(LogReader { partitions: 20, ranges, ends })
    };
    let readers = LogReader::several(open).unwrap();
    assert_eq!(readers.len(), 8);
    let found = LogReader::first_after(&readers, 0).await.unwrap();
    assert_eq!(found, (0..20).collect::<Vec<Offset>>());
    let most = busy.1.load(Ordering::SeqCst);
    assert!((2..=8).contains(&most), "{most} at once");
}
