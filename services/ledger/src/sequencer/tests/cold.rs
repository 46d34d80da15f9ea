//! Products that are not in memory, and starts from a snapshot.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::*;
use crate::{ColdError, ColdProducts, LogId, Mark, Saved, Snapshot};

/// Saved products in memory, which outlive the sequencers that use them. Clones are the same place.
#[derive(Clone, Default)]
pub(crate) struct Stored(Arc<Mutex<Content>>);

type Content = (Option<Mark>, BTreeMap<Subject, Vec<u8>>);

impl Stored {
    fn write(&self, snapshot: &Snapshot<u64>) {
        let (mark, products) = &mut *self.0.lock().unwrap();
        for saved in &snapshot.products {
            let state = |state: &u64, into: &mut Vec<u8>| {
                into.extend(state.to_be_bytes());
                Ok::<_, std::convert::Infallible>(())
            };
            products.insert(saved.subject().clone(), saved.encode(state).unwrap());
        }
        *mark = Some(snapshot.mark.clone());
    }

    fn mark(&self) -> Option<Mark> {
        self.0.lock().unwrap().0.clone()
    }

    /// Another place with the same content.
    fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.0.lock().unwrap().clone())))
    }
}

impl ColdProducts<u64> for Stored {
    fn load(&self, subject: &Subject) -> Result<Option<Saved<u64>>, ColdError> {
        let Some(bytes) = self.0.lock().unwrap().1.get(subject).cloned() else { return Ok(None) };
        let state = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes);
        Saved::decode(subject.clone(), &bytes, state).map(Some)
    }

    fn clear(&mut self) {
        *self.0.lock().unwrap() = Default::default();
    }
}

impl Rig {
    pub(super) fn keeping(cold: impl ColdProducts<u64> + 'static, hot: usize) -> Self {
        let s = Sequencer::new(P, 1, 7, Limits::default()).with_cold(Box::new(cold), hot);
        Self { s, now: 1_000, tickets: 0, foreign: 1 << 64 }
    }

    /// Takes and writes a snapshot.
    pub(super) fn save(&mut self, cold: &Stored) {
        let snapshot = self.s.snapshot().expect("something to save");
        cold.write(&snapshot);
        self.s.saved(snapshot.number);
    }

    fn discarded(&mut self) -> bool {
        self.out().iter().any(|output| matches!(output, Output::Discard { .. }))
    }
}

/// Three products with one record each, saved, and the key of the last record.
fn three_saved() -> (Rig, Stored, String) {
    let cold = Stored::default();
    let mut rig = Rig::keeping(cold.clone(), 0);
    for (offset, subject) in (0..).zip(["a", "b"]) {
        rig.other(offset, subject, 1, 5, Some(offset as u64 + 100));
    }
    let key = rig.key(2, "c", 1);
    let recorded = DecodedRecord { event: 5, command_id: None, command_hash: None };
    rig.s.record(1, 2, key.as_bytes(), || Ok(recorded));
    rig.save(&cold);
    (rig, cold, key)
}

#[test]
fn products_leave_memory_when_they_are_saved_and_not_before() {
    let cold = Stored::default();
    let mut rig = Rig::keeping(cold.clone(), 1);
    for n in 0..20 {
        rig.other(n, &format!("p{n}"), 1, 5, None);
    }
    assert_eq!((rig.s.hot(), rig.s.changed()), (20, 20));
    let snapshot = rig.s.snapshot().unwrap();
    assert_eq!((snapshot.products.len(), rig.s.changed()), (20, 0));
    rig.other(20, "p0", 2, 1, None);
    for _ in 0..20 {
        rig.tick(1);
    }
    assert_eq!(rig.s.hot(), 20, "taken is not written");
    cold.write(&snapshot);
    rig.s.saved(snapshot.number);
    for _ in 0..20 {
        rig.tick(1);
    }
    assert_eq!((rig.s.hot(), rig.s.changed()), (1, 1), "the changed one stays");
    assert_eq!(rig.s.snapshot().unwrap().products[0].version(), 2);
    assert!(rig.s.snapshot().is_none(), "nothing has happened since");
    for n in 0..20 {
        let subject = format!("p{n}");
        assert_eq!(
            (rig.version(&subject), rig.state(&subject)),
            (1 + u64::from(n == 0), Some(5 + u64::from(n == 0)))
        );
    }
}

#[test]
fn a_cold_product_is_decided_on_its_saved_state_and_stays_while_it_is_needed() {
    let (mut rig, _, _) = three_saved();
    rig.s.catch_up_to(3);
    let ticket = rig.ask("a", Ask::Add(2));
    let append = rig.append();
    assert_eq!((append.key.version, *append.after), (2, 7));
    for _ in 0..20 {
        rig.tick(1);
    }
    assert_eq!(rig.s.hot(), 1);
    rig.reported(&append, 3);
    accepted(&rig.answers(), ticket, 2, 3, false);
}

#[test]
fn what_closes_a_product_and_its_commands_are_saved_too() {
    let cold = Stored::default();
    let mut rig = Rig::keeping(cold.clone(), 0);
    rig.other(0, "known", 1, 5, Some(77));
    rig.other(1, "closed", 2, 5, None);
    rig.other(2, "unreadable", 1, 666, None);
    rig.s.catch_up_to(3);
    rig.save(&cold);
    for _ in 0..9 {
        rig.tick(1);
    }
    assert_eq!(rig.s.hot(), 0);
    rig.out();
    let known = Submission { command_id: id(77), ..submission(1, "known", Ask::Add(1)) };
    rig.submit(known);
    accepted(&rig.answers(), 1, 1, 0, true);
    rig.ask("closed", Ask::Create);
    rig.ask("unreadable", Ask::Create);
    assert_eq!(rig.answers(), vec![(2, Answer::Quarantined), (3, Answer::Unreadable)]);
}

#[test]
fn a_resumed_sequencer_decides_once_the_log_has_shown_the_last_record_again() {
    let (_, cold, key) = three_saved();
    let mut rig = Rig::keeping(cold.clone(), 0);
    let mark = cold.mark().unwrap();
    assert_eq!(mark, Mark { next: 3, last: 2, key: key.clone().into() });
    rig.s.resume(mark);
    assert!(rig.s.snapshot().is_none());
    rig.s.catch_up_to(3);
    rig.s.position(1, 2);
    rig.ask("a", Ask::Add(2));
    assert!(!rig.s.is_ready() && rig.out().is_empty());
    rig.s.record(1, 2, key.as_bytes(), || panic!("it was applied before"));
    assert!(rig.s.is_ready());
    assert_eq!(rig.append().key.version, 2);
    assert_eq!(rig.s.next(), 3);
}

#[test]
fn a_snapshot_of_another_log_is_discarded() {
    let (_, cold, key) = three_saved();
    let resumed = |contradict: &dyn Fn(&mut Rig)| {
        let cold = cold.copy();
        let mut rig = Rig::keeping(cold.clone(), 0);
        rig.s.resume(cold.mark().unwrap());
        contradict(&mut rig);
        assert!(rig.discarded());
        rig.s.reset();
        assert_eq!((cold.mark(), rig.s.next(), rig.version("a")), (None, 0, 0));
        rig.other(0, "a", 1, 9, None);
        rig.s.catch_up_to(1);
        assert!(rig.s.is_ready());
        assert_eq!(rig.state("a"), Some(9));
    };
    resumed(&|rig| rig.other(2, "c", 1, 5, None));
    resumed(&|rig| rig.s.record(1, 3, key.as_bytes(), || panic!("not at the right offset")));
    resumed(&|rig| rig.s.position(1, 4));
    resumed(&|rig| rig.s.catch_up_to(2));
}

/// A place that can be told to fail.
struct Failing(Stored, Arc<AtomicBool>);

impl ColdProducts<u64> for Failing {
    fn load(&self, subject: &Subject) -> Result<Option<Saved<u64>>, ColdError> {
        if self.1.load(Ordering::Relaxed) {
            return Err(ColdError("the disk is broken".into()));
        }
        self.0.load(subject)
    }

    fn clear(&mut self) {
        self.0.clear();
        self.1.store(false, Ordering::Relaxed);
    }
}

#[test]
fn a_saved_product_that_cannot_be_read_is_never_taken_for_a_new_one() {
    for by_command in [true, false] {
        let (_, cold, key) = three_saved();
        let broken = Arc::new(AtomicBool::new(false));
        let mut rig = Rig::keeping(Failing(cold.clone(), Arc::clone(&broken)), 0);
        rig.s.resume(cold.mark().unwrap());
        rig.s.catch_up_to(3);
        rig.s.record(1, 2, key.as_bytes(), || panic!("it was applied before"));
        broken.store(true, Ordering::Relaxed);
        if by_command {
            rig.ask("a", Ask::Create);
        } else {
            rig.other(3, "a", 1, 5, None);
        }
        let out = rig.out();
        assert!(matches!(&out[..], [Output::Discard { reason }] if reason.contains("broken")), "{out:?}");
        assert!(!rig.s.is_ready());
        rig.s.reset();
        rig.other(0, "a", 1, 5, None);
        rig.s.catch_up_to(1);
        let out = rig.out();
        let asks = out.iter().filter(|output| matches!(output, Output::AskEndOffset { .. })).count();
        assert_eq!(asks, usize::from(by_command), "the command is decided on the log: {out:?}");
    }
}

#[test]
fn large_products_leave_memory_though_they_are_few() {
    let cold = Stored::default();
    let one = {
        let mut rig = Rig::keeping(cold.copy(), 1_000);
        rig.other(0, "p0", 1, 5, None);
        rig.s.hot_bytes()
    };
    assert!(one >= size_of::<u64>(), "{one}");
    let mut rig = Rig::keeping(cold.clone(), 1_000);
    rig.s = rig.s.within_bytes(10 * one);
    for n in 0..100 {
        rig.other(n, &format!("p{n}"), 1, 5, None);
    }
    assert_eq!((rig.s.hot(), rig.s.hot_bytes(), rig.s.changed_bytes()), (100, 100 * one, 100 * one));
    rig.save(&cold);
    assert_eq!(rig.s.changed_bytes(), 0);
    for _ in 0..10 {
        rig.tick(1);
    }
    assert_eq!((rig.s.hot(), rig.s.hot_bytes()), (10, 10 * one), "small enough, and no further");
    assert_eq!((rig.version("p0"), rig.state("p0")), (1, Some(5)), "found where it lies");
}

#[test]
fn a_smaller_memory_forgets_what_a_larger_one_saved() {
    let cold = Stored::default();
    let mut rig = Rig::keeping(cold.clone(), 0);
    for n in 0..10 {
        rig.other(n, "p", n as u64 + 1, 5, Some(100 + n as u64));
    }
    rig.save(&cold);
    let limits = Limits { remembered: 3, ..Limits::default() };
    let s = Sequencer::new(P, 1, 8, limits).with_cold(Box::new(cold.clone()), 9);
    let key = cold.mark().unwrap();
    let mut rig = Rig { s, now: 1_000, tickets: 1_000, foreign: 1 << 65 };
    rig.s.resume(key.clone());
    rig.s.catch_up_to(10);
    rig.s.record(1, key.last, &key.key, || panic!("it was applied before"));
    rig.out();
    let repeated =
        |ticket, n: u64| Submission { command_id: id(100 + n), ..submission(ticket, "p", Ask::Add(1)) };
    rig.submit(repeated(1, 7));
    accepted(&rig.answers(), 1, 8, 7, true);
    rig.submit(repeated(2, 6));
    assert_eq!(rig.append().key.version, 11, "forgotten: a new command");
}

#[test]
fn only_an_effective_record_of_another_writer_needs_its_value() {
    let (_, cold, key) = three_saved();
    let mut rig = Rig::keeping(cold.clone(), 0);
    let mark = cold.mark().unwrap();
    rig.s.resume(mark.clone());
    rig.s.catch_up_to(3);
    let next = rig.key(3, "a", 2);
    assert!(!rig.s.needs_value(3, next.as_bytes()), "nothing is believed before its proof");
    assert!(!rig.s.needs_value(mark.last, key.as_bytes()), "the proof");
    rig.s.record(1, mark.last, key.as_bytes(), || panic!("it was applied before"));
    assert!(rig.s.needs_value(3, next.as_bytes()), "a saved product's next version");
    assert!(!rig.s.needs_value(2, next.as_bytes()), "applied already");
    for (void, subject, version) in [("stale", "a", 1), ("ahead", "a", 3), ("new, and ahead", "new", 2)] {
        let key = rig.key(3, subject, version);
        assert!(!rig.s.needs_value(3, key.as_bytes()), "{void}");
    }
    assert!(!rig.s.needs_value(3, b"garbage"));
    let old = rig.key(3, "new", 1);
    assert!(rig.s.needs_value(3, old.as_bytes()));
    assert!(!rig.s.needs_value(3 + crate::WINDOW + 1, old.as_bytes()), "outside its window");
    rig.ask("b", Ask::Add(1));
    let own = rig.append();
    assert!(!rig.s.needs_value(3, own.key.to_string().as_bytes()), "its own, in flight");
    rig.lost(&own);
    assert!(rig.s.needs_value(3, own.key.to_string().as_bytes()), "its own, given up");
}

#[test]
fn a_record_of_another_partition_needs_no_value() {
    let mut s = Sequencer::<Counter>::new(P, 4, 7, Limits::default());
    let mut rig = Rig::new();
    for n in 0..20 {
        let subject = format!("p{n}");
        let key = rig.key(0, &subject, 1);
        assert_eq!(s.needs_value(0, key.as_bytes()), partition_of(&subject, 4) == P, "{subject}");
    }
}

#[test]
fn a_sequencer_knows_its_log_by_the_first_record_until_it_starts_again() {
    let (rig, cold, _) = three_saved();
    let mut other = Rig::keeping(Stored::default(), 0);
    assert_eq!(other.s.log(), None, "nothing is applied yet");
    let first = other.key(0, "a", 1);
    assert_eq!(rig.s.log(), LogId::of_first_key(first.as_bytes()));
    let mut resumed = Rig::keeping(cold.copy(), 0);
    resumed.s.resume(cold.mark().unwrap());
    assert_eq!(resumed.s.log(), None, "a snapshot is of the middle of a log");
    let mut own = Rig::new();
    own.ask("a", Ask::Create);
    let append = own.append();
    own.reported(&append, 0);
    let log = LogId::of_first_key(append.key.to_string().as_bytes());
    assert!(log.is_some());
    assert_eq!(own.s.log(), log, "its own record is the first");
    own.other(1, "b", 1, 5, None);
    assert_eq!(own.s.log(), log);
    own.s.reset();
    assert_eq!(own.s.log(), None);
    own.s.record(1, 0, b"garbage", || panic!("garbage is not decoded"));
    own.other(1, "b", 1, 5, None);
    assert_eq!(own.s.log(), None, "the key alone does not tell it");
}
