use std::sync::{Arc, Mutex};

use bytes::Bytes;
use uuid::Uuid;

use super::*;
use ledger::{AppendId, EventLog, Headers, Inbox, NewRecord, Partition, RecordKey, Signal, Subject};

const P: Partition = Partition(0);

#[derive(Default)]
struct Heard(Mutex<Vec<Signal>>);

impl Inbox for Heard {
    fn deliver(&self, signal: Signal) {
        self.0.lock().unwrap().push(signal);
    }
}

/// Appends a hundred records with these faults; the signals, and how often each record landed.
fn hundred(seed: u64, faults: Faults) -> (Vec<Signal>, Vec<usize>) {
    let topic = SimTopic::new(1, seed, faults);
    let heard = Arc::new(Heard::default());
    let log = topic.open(Arc::clone(&heard) as Arc<dyn Inbox>);
    for n in 0..100 {
        let key = RecordKey {
            subject: Subject::parse("p").unwrap(),
            version: n + 1,
            basis: 0,
            event_id: Uuid::from_u128(u128::from(n)),
        };
        log.append(P, AppendId(n), NewRecord { key, value: Bytes::new(), headers: Headers::new() });
    }
    while topic.step() {}
    let mut landed = vec![0; 100];
    for record in topic.records(P) {
        landed[RecordKey::parse(&record.key).unwrap().version as usize - 1] += 1;
    }
    let signals = std::mem::take(&mut *heard.0.lock().unwrap());
    (signals, landed)
}

fn unknown(signals: &[Signal]) -> usize {
    signals.iter().filter(|s| matches!(s, Signal::Appended { outcome: Err(_), .. })).count()
}

#[test]
fn each_append_is_reported_once_whatever_goes_wrong() {
    let faults = Faults {
        lost: 20,
        unknown: 20,
        twice: 20,
        late_copy: 90,
        unanswered: 0,
        delayed: 30,
        reordered: 50,
        slow_tail: 0,
    };
    for seed in 0..20 {
        let (signals, _) = hundred(seed, faults);
        let mut ids: Vec<_> = signals
            .iter()
            .filter_map(|signal| match signal {
                Signal::Appended { append_id, .. } => Some(append_id.0),
                _ => None,
            })
            .collect();
        ids.sort_unstable();
        assert!(ids.into_iter().eq(0..100));
    }
}

#[test]
fn each_fault_is_what_it_says() {
    let (signals, landed) = hundred(1, Faults::NONE);
    assert!(unknown(&signals) == 0 && landed.iter().all(|n| *n == 1));
    let (signals, landed) = hundred(1, Faults { lost: 100, ..Faults::NONE });
    assert!(unknown(&signals) == 100 && landed.iter().all(|n| *n == 0));
    let (signals, landed) = hundred(1, Faults { unknown: 100, ..Faults::NONE });
    assert!(unknown(&signals) == 100 && landed.iter().all(|n| *n == 1));
    let (signals, landed) = hundred(1, Faults { twice: 100, ..Faults::NONE });
    assert!(unknown(&signals) == 0 && landed.iter().all(|n| *n == 2));
}

#[test]
fn a_closed_writer_hears_nothing_and_its_appends_still_land() {
    let topic = SimTopic::new(1, 1, Faults::NONE);
    let heard = Arc::new(Heard::default());
    let log = topic.open(Arc::clone(&heard) as Arc<dyn Inbox>);
    log.tail_from(P, 0);
    let key =
        RecordKey { subject: Subject::parse("p").unwrap(), version: 1, basis: 0, event_id: Uuid::nil() };
    log.append(P, AppendId(0), NewRecord { key, value: Bytes::new(), headers: Headers::new() });
    log.close();
    while topic.step() {}
    assert_eq!((topic.end(P), heard.0.lock().unwrap().len()), (1, 0));
}
