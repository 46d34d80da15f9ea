//! From an append to an answer.

use super::*;

#[test]
fn a_report_at_the_next_offset_is_answered_without_the_tail() {
    let mut rig = Rig::new();
    let ticket = rig.ask("a", Ask::Create);
    let append = rig.append();
    assert_eq!((append.key.version, append.key.basis, append.before.as_deref()), (1, 0, None));
    assert_eq!((*append.after, rig.ticket(&append), append.command_id), (0, ticket, id(ticket)));
    rig.reported(&append, 0);
    accepted(&rig.answers(), ticket, 1, 0, false);
    assert_eq!((rig.s.next(), rig.version("a"), rig.state("a"), rig.s.waiting()), (1, 1, Some(0), 0));
    rig.shows(&append, 0);
    assert!(rig.out().is_empty(), "the tail shows nothing new");
}

#[test]
fn a_report_at_the_next_offset_is_judged_like_any_record() {
    let mut rig = Rig::new();
    rig.ask("a", Ask::Create);
    let append = rig.append();
    rig.other(0, "a", 1, 5, None);
    rig.reported(&append, 1);
    // Void: another writer was first. Decided again behind its own void record, so no question is needed.
    assert_eq!(rig.answers(), [(1, Answer::Rejected { rejection: "exists", version: 1, at: 2 })]);
}

#[test]
fn reports_ahead_wait_for_the_tail_and_then_follow_each_other() {
    let mut rig = Rig::new();
    for subject in ["a", "b", "c"] {
        rig.ask(subject, Ask::Create);
    }
    let appends: Vec<_> = rig
        .out()
        .into_iter()
        .map(|output| match output {
            Output::Append(append) => append,
            other => panic!("no append but {other:?}"),
        })
        .collect();
    rig.reported(&appends[2], 3);
    rig.reported(&appends[0], 1);
    rig.reported(&appends[1], 2);
    assert!(rig.out().is_empty());
    rig.other(0, "x", 1, 0, None);
    let tickets: Vec<_> = rig.answers().into_iter().map(|(ticket, _)| ticket).collect();
    assert_eq!(tickets, [1, 2, 3]);
    assert_eq!(rig.s.next(), 4);
}

#[test]
fn the_tail_settles_an_append_before_its_report() {
    let mut rig = Rig::new();
    let ticket = rig.ask("a", Ask::Create);
    let append = rig.append();
    rig.shows(&append, 0);
    accepted(&rig.answers(), ticket, 1, 0, false);
    for report in [0, 7] {
        rig.reported(&append, report);
    }
    rig.lost(&append);
    assert!(rig.out().is_empty(), "a report after the fact is ignored");
}

#[test]
fn a_products_commands_are_decided_one_after_the_other() {
    let mut rig = Rig::new();
    let tickets = [rig.ask("a", Ask::Create), rig.ask("a", Ask::Add(3)), rig.ask("a", Ask::Add(4))];
    for (n, ticket) in (0..).zip(tickets) {
        let outputs = rig.out();
        let [.., Output::Append(append)] = outputs.as_slice() else { panic!("no append in {outputs:?}") };
        assert_eq!((rig.ticket(append), append.key.version, append.key.basis), (ticket, n as u64 + 1, n));
        assert!(outputs.iter().filter(|output| matches!(output, Output::Append(_))).count() == 1);
        rig.reported(append, n);
    }
    accepted(&rig.answers(), 3, 3, 2, false);
    assert_eq!(rig.state("a"), Some(7));
}

#[test]
fn an_unknown_outcome_is_decided_again_with_a_new_event_id_and_growing_patience() {
    let mut rig = Rig::new();
    rig.ask("a", Ask::Create);
    let mut append = rig.append();
    for delay in [20, 40, 80, 160, 320, 640, 1_000, 1_000] {
        rig.lost(&append);
        rig.tick(delay - 1);
        assert!(rig.out().is_empty(), "before {delay} ms");
        rig.tick(1);
        let again = rig.append();
        assert_eq!(again.command_id, append.command_id);
        assert_ne!(again.key.event_id, append.key.event_id);
        append = again;
    }
    rig.reported(&append, 0);
    accepted(&rig.answers(), 1, 1, 0, false);
}

#[test]
fn a_copy_that_landed_unseen_counts_as_the_answer() {
    let mut rig = Rig::new();
    rig.ask("a", Ask::Create);
    let first = rig.append();
    rig.lost(&first);
    // The back-off does not delay a fact.
    rig.shows_again(&first, 0);
    accepted(&rig.answers(), 1, 1, 0, false);
    assert_eq!(rig.version("a"), 1);
}

#[test]
fn a_copy_that_lands_while_the_next_is_in_flight_is_the_answer_and_the_product_stays_busy() {
    let mut rig = Rig::new();
    rig.ask("a", Ask::Create);
    let first = rig.append();
    rig.lost(&first);
    rig.tick(20);
    let second = rig.append();
    rig.ask("a", Ask::Add(1));
    rig.shows_again(&first, 0);
    accepted(&rig.answers(), 1, 1, 0, false);
    rig.reported(&second, 1);
    let outputs = rig.out();
    let [Output::VoidRecord { offset: 1, reason: VoidReason::Stale }, Output::Append(append)] = &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!((rig.ticket(append), append.key.version), (2, 2));
}

#[test]
fn a_void_record_is_decided_again_at_once_until_it_is_contended() {
    let mut rig = Rig::new();
    rig.other(0, "a", 1, 0, None);
    let ticket = rig.ask("a", Ask::Add(1));
    for n in 0..8 {
        let outputs = rig.out();
        let [.., Output::Append(append)] = outputs.as_slice() else { panic!("no append in {outputs:?}") };
        assert_eq!(append.key.version, n + 2);
        let offset = 1 + 2 * n as Offset;
        rig.other(offset, "a", n + 2, 1, None);
        rig.reported(append, offset + 1);
    }
    assert_eq!(rig.answers(), [(ticket, Answer::Contended { version: 9, at: 17 })]);
}

#[test]
fn a_command_that_lost_a_race_is_decided_again_before_those_that_came_after_it() {
    let mut rig = Rig::new();
    rig.other(0, "a", 1, 0, None);
    let tickets = [rig.ask("a", Ask::Add(1)), rig.ask("a", Ask::Add(2))];
    let lost = rig.append();
    rig.other(1, "a", 2, 1, None);
    rig.reported(&lost, 2);
    for (ticket, offset) in tickets.into_iter().zip(3..) {
        let outputs = rig.out();
        let [.., Output::Append(append)] = outputs.as_slice() else { panic!("no append in {outputs:?}") };
        assert_eq!((lost.command_id, rig.ticket(append)), (id(tickets[0]), ticket));
        rig.reported(append, offset);
    }
}

#[test]
fn a_known_command_gets_its_first_answer_and_needs_no_barrier() {
    let mut rig = Rig::new();
    rig.other(0, "a", 1, 0, Some(77));
    rig.other(1, "a", 2, 5, Some(78));
    rig.submit(Submission { command_id: id(77), ..submission(1, "a", Ask::Create) });
    accepted(&rig.answers(), 1, 1, 0, true);
    // Whatever version it expects now: the answer was given.
    rig.submit(Submission {
        command_id: id(78),
        expected: Expected::version(9),
        ..submission(2, "a", Ask::Add(5))
    });
    accepted(&rig.answers(), 2, 2, 1, true);
    rig.submit(Submission {
        command_id: id(78),
        command_hash: Some(hash(1)),
        ..submission(3, "a", Ask::Add(6))
    });
    let answers = rig.answers();
    assert!(matches!(answers[..], [(3, Answer::KeyReused { version: 2, offset: 1, .. })]), "{answers:?}");
}

#[test]
fn the_same_command_from_another_instance_settles_the_one_that_waits_here() {
    let mut rig = Rig::new();
    rig.submit(Submission { command_id: id(77), ..submission(1, "a", Ask::Create) });
    let append = rig.append();
    rig.other(0, "a", 1, 0, Some(77));
    accepted(&rig.answers(), 1, 1, 0, true);
    rig.reported(&append, 1);
    assert!(rig.answers().is_empty());
}

#[test]
fn a_command_far_back_in_line_is_settled_by_its_record_before_that_is_forgotten() {
    let mut rig = Rig::new();
    rig.other(0, "a", 1, 0, None);
    rig.ask("a", Ask::Add(1));
    let first = rig.append();
    rig.ask("a", Ask::Add(2));
    rig.submit(Submission { command_id: id(78), ..submission(3, "a", Ask::Add(3)) });
    // Its client gave up here and retried elsewhere; then the product goes on.
    rig.other(1, "a", 2, 3, Some(78));
    accepted(&rig.answers(), 3, 2, 1, true);
    for n in 0..64 {
        rig.other(2 + n, "a", 3 + n as u64, 1, Some(1_000 + n as u64));
    }
    rig.reported(&first, 66);
    let voided = rig.out();
    let [Output::VoidRecord { .. }, Output::Append(again)] = &voided[..] else { panic!("{voided:?}") };
    rig.reported(again, 67);
    let outputs = rig.out();
    let [Output::Answer { context: 1, .. }, Output::Append(second)] = &outputs[..] else {
        panic!("{outputs:?}")
    };
    assert_eq!(rig.ticket(second), 2);
    rig.reported(second, 68);
    accepted(&rig.answers(), 2, 68, 68, false);
}

#[test]
fn a_repetition_far_back_in_the_same_line_is_answered_with_its_first() {
    let mut rig = Rig::new();
    rig.ask("a", Ask::Create);
    let first = rig.append();
    rig.ask("a", Ask::Add(1));
    rig.submit(Submission { command_id: id(1), ..submission(3, "a", Ask::Create) });
    rig.reported(&first, 0);
    let outputs = rig.out();
    let answered = |it: &Out| match it {
        Output::Answer {
            context: ticket,
            answer: Answer::Accepted { version: 1, offset: 0, replayed, .. },
        } => Some((*ticket, *replayed)),
        _ => None,
    };
    assert_eq!(
        outputs.iter().filter_map(answered).collect::<Vec<_>>(),
        [(1, false), (3, true)],
        "{outputs:?}"
    );
}

#[test]
fn at_its_deadline_a_command_is_answered_and_the_product_stays_busy() {
    let mut rig = Rig::new();
    rig.submit(Submission { deadline_ms: 1_100, ..submission(1, "a", Ask::Create) });
    let append = rig.append();
    rig.submit(Submission { deadline_ms: 1_100, ..submission(2, "a", Ask::Add(1)) });
    rig.ask("a", Ask::Add(2));
    rig.tick(99);
    assert!(rig.out().is_empty());
    rig.tick(1);
    assert_eq!(rig.answers(), [(1, Answer::OutcomeUnknown), (2, Answer::DeadlineExceeded)]);
    rig.reported(&append, 0);
    let next = rig.append();
    assert_eq!((rig.ticket(&next), next.key.version, rig.version("a")), (3, 2, 1));
}

#[test]
fn an_event_that_cannot_be_written_is_answered_so_and_the_next_goes_on() {
    let mut rig = Rig::new();
    rig.ask("a", Ask::Create);
    let append = rig.append();
    rig.ask("a", Ask::Create);
    rig.s.refused(append.append_id, "300 KiB".into());
    let outputs = rig.out();
    let [Output::Answer { context: 1, answer: Answer::TooLarge(reason) }, Output::Append(append)] =
        &outputs[..]
    else {
        panic!("{outputs:?}")
    };
    assert_eq!((reason.as_str(), rig.ticket(append)), ("300 KiB", 2));
}

#[test]
fn too_many_commands_are_refused() {
    let mut rig = Rig::with(Limits { max_waiting: 2, ..Limits::default() });
    rig.ask("a", Ask::Create);
    let append = rig.append();
    rig.ask("a", Ask::Create);
    rig.ask("b", Ask::Create);
    assert_eq!(rig.answers(), [(3, Answer::Overloaded)]);
    rig.reported(&append, 0);
    rig.out();
    rig.ask("b", Ask::Create);
    let append = rig.append();
    assert_eq!(rig.ticket(&append), 4);
}
