//! Records that no correct writer writes, values that cannot be read, and logs that contradict their reports.

use super::*;

#[test]
fn keys_that_do_not_parse_or_stand_elsewhere_are_void_and_counted() {
    let mut rig = Rig::new();
    rig.s.record(rig.now, 0, b"what", || panic!("a void record is not decoded"));
    assert!(matches!(rig.out()[..], [Output::VoidRecord { offset: 0, reason: VoidReason::Garbage }]));

    let mut elsewhere: Sequencer<Counter> = Sequencer::new(Partition(0), 2, 1, Limits::default());
    let stranger = (0..99).map(|n| format!("p{n}")).find(|p| partition_of(p, 2) == Partition(1)).unwrap();
    let key = rig.key(0, &stranger, 1);
    elsewhere.record(0, 0, key.as_bytes(), || panic!("a void record is not decoded"));
    let outputs = all(&mut elsewhere);
    assert!(matches!(outputs[..], [Output::VoidRecord { offset: 0, reason: VoidReason::WrongPartition }]));
    assert_eq!(elsewhere.next(), 1);
    elsewhere.command(0, submission(1, &stranger, Ask::Create));
    let outputs = all(&mut elsewhere);
    assert!(matches!(outputs[..], [Output::Answer { context: 1, answer: Answer::Defect(_) }]));
}

#[test]
fn a_record_that_cannot_be_decoded_counts_and_closes_its_product() {
    let mut rig = Rig::new();
    rig.other(0, "a", 1, 0, Some(70));
    let key = rig.key(1, "a", 2);
    rig.s.record(rig.now, 1, key.as_bytes(), || Err(Unreadable("no schema 9".into())));
    let outputs = rig.out();
    assert!(
        matches!(outputs[..], [Output::UnreadableRecord { offset: 1, version: 2, first: true, .. }]),
        "{outputs:?}"
    );
    assert_eq!((rig.version("a"), rig.state("a")), (2, None));
    // The next is one more of a product that nobody has to be told of again.
    let key = rig.key(2, "a", 3);
    rig.s.record(rig.now, 2, key.as_bytes(), || Err(Unreadable("no schema 9".into())));
    let outputs = rig.out();
    assert!(
        matches!(outputs[..], [Output::UnreadableRecord { offset: 2, version: 3, first: false, .. }]),
        "{outputs:?}"
    );
    // Later records still count, and earlier commands are still known.
    rig.other(3, "a", 4, 1, Some(71));
    rig.ask("a", Ask::Add(1));
    assert_eq!(rig.answers(), [(1, Answer::Unreadable)]);
    rig.submit(Submission { command_id: id(71), ..submission(2, "a", Ask::Add(1)) });
    accepted(&rig.answers(), 2, 4, 3, true);
}

#[test]
fn a_record_that_cannot_be_folded_closes_its_product() {
    let mut rig = Rig::new();
    rig.other(0, "a", 1, 666, None);
    let outputs = rig.out();
    assert!(matches!(outputs[..], [Output::UnreadableRecord { offset: 0, version: 1, .. }]), "{outputs:?}");
    rig.ask("b", Ask::Create);
    let append = rig.append();
    assert_eq!(rig.ticket(&append), 1, "other products go on");
}

#[test]
fn an_event_that_its_own_aggregate_cannot_fold_is_not_written() {
    let mut rig = Rig::new();
    rig.other(0, "a", 1, 0, None);
    rig.ask("a", Ask::Add(666));
    let answers = rig.answers();
    assert!(matches!(answers[..], [(1, Answer::Defect(_))]), "{answers:?}");
}

#[test]
fn a_skipped_version_is_a_violation_and_quarantines_its_product() {
    let mut rig = Rig::new();
    rig.other(0, "a", 2, 0, None);
    let outputs = rig.out();
    assert!(
        matches!(
            outputs[..],
            [
                Output::VoidRecord { offset: 0, reason: VoidReason::Ahead },
                Output::Violation { offset: 0, version: 2, current: 0, first: true, .. }
            ]
        ),
        "{outputs:?}"
    );
    rig.other(1, "a", 7, 0, None);
    let outputs = rig.out();
    assert!(matches!(outputs[..], [_, Output::Violation { offset: 1, first: false, .. }]), "{outputs:?}");
    rig.ask("a", Ask::Create);
    assert_eq!(rig.answers(), [(1, Answer::Quarantined)]);
    rig.ask("b", Ask::Create);
    let append = rig.append();
    assert_eq!(rig.ticket(&append), 2, "other products go on");
}

#[test]
fn a_command_whose_copy_may_land_is_not_told_that_nothing_happened() {
    let mut rig = Rig::new();
    rig.ask("a", Ask::Create);
    let append = rig.append();
    rig.lost(&append);
    rig.other(0, "a", 2, 0, None);
    rig.out();
    rig.tick(20);
    assert_eq!(rig.answers(), [(1, Answer::OutcomeUnknown)]);
}

#[test]
fn outside_the_window_a_record_is_void() {
    let mut rig = Rig::new();
    rig.ask("a", Ask::Create);
    let append = rig.append();
    rig.s.position(rig.now, crate::WINDOW + 1);
    rig.reported(&append, crate::WINDOW + 1);
    let outputs = rig.out();
    let [Output::VoidRecord { reason: VoidReason::OutsideWindow, .. }, Output::Append(again)] = &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!(again.key.basis, crate::WINDOW + 2);
}

/// What the tail or a report says against an append reported at offset 1, before `next`.
#[test]
fn a_log_that_contradicts_its_reports_discards_the_state() {
    for contradiction in 0..5 {
        let mut rig = Rig::new();
        rig.ask("a", Ask::Create);
        let append = rig.append();
        rig.ask("b", Ask::Create);
        let other = rig.append();
        if contradiction < 4 {
            rig.reported(&append, 1);
        }
        match contradiction {
            0 => rig.other(2, "x", 1, 0, None),
            1 => rig.s.position(rig.now, 2),
            2 => {
                rig.other(0, "x", 1, 0, None);
                // Settled: reported at `next`. A second append at the same place is the contradiction.
                rig.out();
                rig.reported(&other, 1);
            }
            3 => rig.reported(&other, 1),
            _ => {
                rig.other(0, "x", 1, 0, None);
                rig.reported(&append, 0);
            }
        }
        let outputs = rig.out();
        assert!(matches!(outputs[..], [Output::Discard { .. }]), "{contradiction}: {outputs:?}");
        rig.other(2, "y", 1, 0, None);
        assert!(rig.out().is_empty() && rig.version("y") == 0, "nothing is applied before the reset");
    }
}

#[test]
fn a_reset_starts_from_nothing_and_keeps_what_was_not_written() {
    let mut rig = Rig::new();
    rig.ask("a", Ask::Create);
    let append = rig.append();
    rig.ask("a", Ask::Add(1));
    rig.other(0, "x", 1, 0, None);
    rig.s.reset();
    assert_eq!(rig.answers(), [(1, Answer::OutcomeUnknown)]);
    assert_eq!((rig.s.next(), rig.version("x"), rig.s.is_ready(), rig.s.waiting()), (0, 0, false, 1));
    rig.reported(&append, 1);
    assert!(rig.out().is_empty(), "reports of before are ignored");
    // The old tail may still speak.
    rig.other(1, "y", 1, 0, None);
    rig.s.position(rig.now, 1);
    rig.s.position(rig.now, 2);
    assert_eq!(rig.s.next(), 0);
    rig.s.catch_up_to(2);
    rig.other(0, "x", 1, 0, None);
    rig.shows_again(&append, 1);
    let again = rig.append();
    assert_eq!((rig.ticket(&again), again.key.version, again.key.basis), (2, 2, 2));
}
