//! What a log promises a writer.

use bytes::Bytes;

use super::Harness;
use super::client::{Client, P0, P1, assert_same, record, with_value};
use ledger::{AppendId, Headers, Signal};

pub(super) fn an_append_stands_where_its_report_says(harness: &dyn Harness) {
    let client = Client::open(harness);
    client.log.tail_from(P0, 0);
    let offsets: Vec<_> = (0..10).map(|n| client.append(P0, n, record(n))).collect();
    let records = client.tailed(P0, 10);
    for (n, offset) in (0..).zip(offsets) {
        let read = records.iter().find(|r| r.offset == offset).expect("a record at the reported offset");
        assert_same(read, &record(n));
    }
}

pub(super) fn a_record_comes_back_byte_for_byte(harness: &dyn Harness) {
    let client = Client::open(harness);
    client.log.tail_from(P0, 0);
    let every_byte: Vec<u8> = (0..=255).collect();
    let mut headers = Headers::new();
    headers.push("bytes", &every_byte);
    headers.push("", b"a header without a name");
    let written = [
        with_value(1, Bytes::from(every_byte), headers),
        with_value(2, Bytes::new(), Headers::new()),
        record(3),
    ];
    for (n, record) in (0..).zip(&written) {
        client.append(P0, n, record.clone());
    }
    for (read, written) in client.tailed(P0, 3).iter().zip(&written) {
        assert_same(read, written);
        assert!(read.timestamp_ms >= 0);
    }
}

pub(super) fn each_append_has_one_report(harness: &dyn Harness) {
    const APPENDS: usize = 2_000;
    let client = Client::open(harness);
    for n in 0..APPENDS as u64 {
        client.log.append(if n % 3 == 0 { P1 } else { P0 }, AppendId(n), record(n));
    }
    let is_report = |signal: &&Signal| matches!(signal, Signal::Appended { .. });
    client.wait("report for each append", |signals| {
        (signals.iter().filter(is_report).count() >= APPENDS).then_some(())
    });
    // Everything that could still report has reported when a later question is answered.
    client.end(P0, 1);
    client.end(P1, 2);
    let mut seen = vec![0; APPENDS];
    let mut places = Vec::new();
    for signal in client.signals() {
        if let Signal::Appended { partition, append_id, outcome } = signal {
            seen[append_id.0 as usize] += 1;
            assert_eq!(partition, if append_id.0 % 3 == 0 { P1 } else { P0 });
            places.push((partition, outcome.expect("a healthy log takes an append")));
        }
    }
    assert!(seen.iter().all(|reports| *reports == 1), "each append has one report");
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), APPENDS, "each report has its own place");
}

pub(super) fn an_end_offset_is_behind_every_acknowledged_append(harness: &dyn Harness) {
    let (writer, other) = (Client::open(harness), Client::open(harness));
    for n in 0..20 {
        let offset = writer.append(P0, n, record(n));
        assert!(writer.end(P0, n) > offset, "the writer's own append");
        assert!(other.end(P0, n) > offset, "another writer's append");
    }
}

pub(super) fn the_end_of_an_empty_partition_is_its_start(harness: &dyn Harness) {
    let client = Client::open(harness);
    assert!(client.log.partitions() >= 2, "the suite needs two partitions");
    client.append(P0, 1, record(1));
    assert_eq!(client.end(P1, 1), 0);
}

pub(super) fn large_values_are_kept(harness: &dyn Harness) {
    let client = Client::open(harness);
    client.log.tail_from(P0, 0);
    let value = |n: u64| Bytes::from((0..256 * 1024).map(|i: u64| (i * 31 + n) as u8).collect::<Vec<_>>());
    for n in 0..8 {
        client.log.append(P0, AppendId(n), with_value(n, value(n), Headers::new()));
    }
    for n in 0..8 {
        client.outcome(n).expect("a healthy log takes 256 KiB");
    }
    let mut values: Vec<_> = client.tailed(P0, 8).into_iter().filter_map(|r| r.value).collect();
    values.sort();
    let mut written: Vec<_> = (0..8).map(value).collect();
    written.sort();
    assert!(values == written, "large values are the same");
}
