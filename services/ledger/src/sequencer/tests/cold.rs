//! Products that are not in memory, and starts from a snapshot.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::sim::{SimCold, StateCodec};
use crate::{ColdError, ColdProducts, Mark, Saved};

pub(super) fn cold() -> SimCold<u64> {
    SimCold::new(StateCodec {
        encode: |state, into| into.extend(state.to_be_bytes()),
        decode: |bytes| bytes.try_into().ok().map(u64::from_be_bytes),
    })
}

impl Rig {
    pub(super) fn keeping(cold: impl ColdProducts<u64> + 'static, hot: usize) -> Self {
        let s = Sequencer::new(P, 1, 7, Limits::default()).with_cold(Box::new(cold), hot);
        Self { s, now: 1_000, tickets: 0, foreign: 1 << 64 }
    }

    /// Takes and writes a snapshot.
    pub(super) fn save(&mut self, cold: &SimCold<u64>) {
        let snapshot = self.s.snapshot().expect("something to save");
        cold.write(&snapshot);
        self.s.saved(snapshot.number);
    }

    fn discarded(&mut self) -> bool {
        self.out().iter().any(|output| matches!(output, Output::Discard { .. }))
    }
}

/// Three products with one record each, saved, and the key of the last record.
fn three_saved() -> (Rig, SimCold<u64>, String) {
    let cold = cold();
    let mut rig = Rig::keeping(cold.clone(), 0);
    for (offset, subject) in (0..).zip(["a", "b"]) {
        rig.other(offset, subject, 1, 5, Some(offset as u64 + 100));
    }
    let key = rig.key(2, "c", 1);
    let recorded = Recorded { event: 5, command_id: None, command_hash: None };
    rig.s.record(1, 2, key.as_bytes(), || Ok(recorded));
    rig.save(&cold);
    (rig, cold, key)
}

#[test]
fn products_leave_memory_when_they_are_saved_and_not_before() {
    let cold = cold();
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
    let cold = cold();
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
fn a_snapshot_of_another_log_is_thrown_away() {
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
struct Failing(SimCold<u64>, Arc<AtomicBool>);

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
