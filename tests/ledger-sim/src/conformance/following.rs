//! What a log promises its tail.

use super::Harness;
use super::client::{Client, P0, P1, assert_same, record};
use ledger::{AppendId, Signal};

pub(super) fn a_tail_shows_each_record_once_in_order(harness: &dyn Harness) {
    let client = Client::open(harness);
    client.log.tail_from(P0, 0);
    for n in 0..1_000 {
        client.log.append(P0, AppendId(n), record(n));
    }
    let records = client.tailed(P0, 1_000);
    assert_eq!(records.len(), 1_000);
    assert!(records.is_sorted_by(|a, b| a.offset < b.offset), "offsets ascend");
    let mut keys: Vec<_> = records.into_iter().map(|r| r.key).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 1_000, "each record once");
}

pub(super) fn a_tail_starts_at_any_offset(harness: &dyn Harness) {
    let writer = Client::open(harness);
    let offsets: Vec<_> = (0..20).map(|n| writer.append(P0, n, record(n))).collect();
    for start in [0_usize, 1, 7, 19] {
        let reader = Client::open(harness);
        reader.log.tail_from(P0, offsets[start]);
        let records = reader.tailed(P0, 20 - start);
        assert_eq!(records.len(), 20 - start);
        for (read, n) in records.iter().zip(start..) {
            assert_eq!(read.offset, offsets[n]);
            assert_same(read, &record(n as u64));
        }
    }
}

pub(super) fn a_tail_from_the_end_shows_what_comes(harness: &dyn Harness) {
    let client = Client::open(harness);
    for n in 0..5 {
        client.append(P0, n, record(n));
    }
    client.log.tail_from(P0, client.end(P0, 1));
    let offset = client.append(P0, 5, record(5));
    let records = client.tailed(P0, 1);
    assert_eq!(records[0].offset, offset);
    assert_same(&records[0], &record(5));
}

pub(super) fn partitions_are_followed_apart(harness: &dyn Harness) {
    let client = Client::open(harness);
    client.log.tail_from(P0, 0);
    client.log.tail_from(P1, 0);
    for n in 0..200 {
        client.log.append(if n % 2 == 0 { P0 } else { P1 }, AppendId(n), record(n));
    }
    for (partition, rest) in [(P0, 0), (P1, 1)] {
        let records = client.tailed(partition, 100);
        assert_eq!(records.len(), 100);
        assert!(records.is_sorted_by(|a, b| a.offset < b.offset));
        for read in records {
            let n = u64::from_be_bytes(read.headers.iter().nth(1).expect("n").1.try_into().expect("8 bytes"));
            assert_eq!(n % 2, rest, "a record of the other partition");
        }
    }
}

pub(super) fn the_position_reaches_the_end(harness: &dyn Harness) {
    let client = Client::open(harness);
    client.log.tail_from(P0, 0);
    for n in 0..50 {
        client.append(P0, n, record(n));
    }
    client.position_reaches(P0, client.end(P0, 1));
}

pub(super) fn a_position_comes_after_everything_below_it(harness: &dyn Harness) {
    let client = Client::open(harness);
    client.log.tail_from(P0, 0);
    for n in 0..500 {
        client.log.append(P0, AppendId(n), record(n));
    }
    for n in 0..500 {
        client.outcome(n).expect("a healthy log takes an append");
    }
    client.position_reaches(P0, client.end(P0, 1));
    let (mut delivered, mut told) = (0, 0);
    for signal in client.signals() {
        match signal {
            Signal::Records { records, .. } => {
                for record in records {
                    assert!(record.offset >= told, "offset {} after position {told}", record.offset);
                    delivered = record.offset + 1;
                }
            }
            Signal::Position { position, .. } => {
                assert!(position >= told, "a position does not go back");
                told = position;
            }
            Signal::Appended { .. } | Signal::EndOffset { .. } | Signal::TailFailed { .. } => {}
        }
    }
    assert!(delivered <= told);
}

pub(super) fn writers_see_each_others_records(harness: &dyn Harness) {
    let (one, two) = (Client::open(harness), Client::open(harness));
    one.log.tail_from(P0, 0);
    two.log.tail_from(P0, 0);
    for n in 0..100 {
        let writer = if n % 2 == 0 { &one } else { &two };
        writer.log.append(P0, AppendId(n), record(n));
    }
    let (seen_by_one, seen_by_two) = (one.tailed(P0, 100), two.tailed(P0, 100));
    assert_eq!(seen_by_one.len(), 100);
    for (a, b) in seen_by_one.iter().zip(&seen_by_two) {
        assert_eq!((a.offset, &a.key), (b.offset, &b.key), "both see the same order");
    }
}

pub(super) fn a_tail_starts_again(harness: &dyn Harness) {
    let client = Client::open(harness);
    for n in 0..10 {
        client.append(P0, n, record(n));
    }
    client.log.tail_from(P0, 0);
    client.position_reaches(P0, 10);
    client.log.tail_from(P0, 4);
    let records = client.tailed(P0, 16);
    assert!(records[..10].iter().map(|r| r.offset).eq(0..10));
    assert!(records[10..].iter().map(|r| r.offset).eq(4..10), "again from the new offset");
    assert_same(&records[10], &record(4));
}

pub(super) fn what_is_applied_may_be_left_out_and_nothing_else(harness: &dyn Harness) {
    let client = Client::open(harness);
    client.log.tail_from(P0, 0);
    for n in 0..5 {
        client.append(P0, n, record(n));
    }
    client.log.applied(P0, 5);
    for n in 5..10 {
        client.append(P0, n, record(n));
    }
    client.position_reaches(P0, 10);
    let records = client.tailed(P0, 5);
    assert!(records[records.len() - 5..].iter().map(|r| r.offset).eq(5..10));
    let before = records.len();
    client.log.tail_from(P0, 0);
    let records = client.tailed(P0, before + 10);
    assert!(records[before..].iter().map(|r| r.offset).eq(0..10), "a new start forgets what was applied");
}
