//! Answers without a record, and readiness.

use super::*;

#[test]
fn an_answer_without_a_record_waits_for_an_end_offset_asked_for_later() {
    let mut rig = Rig::new();
    let ticket = rig.ask("a", Ask::Add(1));
    let request = rig.request();
    rig.s.end_offset(rig.now, request, Ok(2));
    rig.other(0, "x", 1, 0, None);
    assert!(rig.out().is_empty());
    rig.other(1, "y", 1, 0, None);
    assert_eq!(rig.answers(), [(ticket, Answer::Rejected { rejection: "not found", version: 0, at: 2 })]);
}

#[test]
fn at_the_bound_the_command_is_decided_again() {
    let mut rig = Rig::new();
    rig.ask("a", Ask::Add(1));
    let request = rig.request();
    rig.s.end_offset(rig.now, request, Ok(1));
    rig.other(0, "a", 1, 0, None);
    let append = rig.append();
    assert_eq!((append.key.version, append.key.basis), (2, 1));
}

#[test]
fn no_effects_and_conflicts_wait_too() {
    let mut rig = Rig::new();
    rig.other(0, "a", 1, 0, None);
    rig.ask("a", Ask::Add(0));
    rig.submit(Submission { expected: Expected::version(4), ..submission(2, "b", Ask::Create) });
    let request = rig.request();
    rig.s.end_offset(rig.now, request, Ok(1));
    // The second came after the request: the next one is its own.
    let outputs = rig.out();
    let [
        Output::Answer { context: 1, answer: Answer::NoEffect { version: 1, at: 1 } },
        Output::AskEndOffset { request },
    ] = outputs[..]
    else {
        panic!("{outputs:?}")
    };
    rig.s.end_offset(rig.now, request, Ok(1));
    assert_eq!(rig.answers(), [(2, Answer::Conflict { expected: Expected::version(4), actual: 0, at: 1 })]);
}

#[test]
fn one_answer_serves_all_that_came_before_its_request() {
    let mut rig = Rig::behind(Limits::default());
    for _ in 0..50 {
        rig.ask("a", Ask::Add(1));
    }
    rig.s.catch_up_to(0);
    let request = rig.request();
    rig.s.end_offset(rig.now, request, Ok(0));
    assert_eq!(rig.answers().len(), 50);
}

#[test]
fn an_own_record_appended_later_is_a_bound_as_well() {
    let mut rig = Rig::new();
    rig.ask("a", Ask::Create);
    let append = rig.append();
    rig.ask("b", Ask::Create);
    rig.append();
    rig.ask("a", Ask::Create);
    rig.reported(&append, 0);
    // Ticket 3 came after the append of ticket 1: that one proves nothing.
    let outputs = rig.out();
    assert!(
        matches!(outputs[..], [Output::Answer { context: 1, .. }, Output::AskEndOffset { .. }]),
        "{outputs:?}"
    );
}

#[test]
fn a_failed_question_is_asked_again_later() {
    let mut rig = Rig::new();
    rig.ask("a", Ask::Add(1));
    let request = rig.request();
    rig.s.end_offset(rig.now, request, Err(LogError("no leader".into())));
    rig.tick(19);
    assert!(rig.out().is_empty());
    rig.tick(1);
    let again = rig.request();
    assert_ne!(again, request);
    rig.s.end_offset(rig.now, request, Ok(0));
    assert!(rig.out().is_empty(), "an old answer is no answer");
    rig.s.end_offset(rig.now, again, Ok(0));
    assert_eq!(rig.answers().len(), 1);
}

#[test]
fn before_it_has_caught_up_commands_wait() {
    let mut rig = Rig::behind(Limits { max_waiting: 2, ..Limits::default() });
    rig.ask("a", Ask::Add(1));
    rig.ask("a", Ask::Add(2));
    rig.ask("a", Ask::Add(3));
    assert_eq!(rig.answers(), [(3, Answer::Overloaded)]);
    rig.s.catch_up_to(2);
    rig.other(0, "a", 1, 0, None);
    assert!(!rig.s.is_ready() && rig.out().is_empty());
    rig.s.position(rig.now, 2);
    assert!(rig.s.is_ready());
    assert_eq!(rig.append().key.version, 2);
}

#[test]
fn a_command_that_waits_for_readiness_keeps_its_deadline() {
    let mut rig = Rig::behind(Limits::default());
    rig.submit(Submission { deadline_ms: 1_010, ..submission(1, "a", Ask::Create) });
    rig.tick(10);
    assert_eq!(rig.answers(), [(1, Answer::DeadlineExceeded)]);
    rig.s.catch_up_to(0);
    assert!(rig.out().is_empty());
}

#[test]
fn a_position_passes_a_gap() {
    let mut rig = Rig::new();
    rig.s.position(rig.now, 5);
    assert_eq!(rig.s.next(), 5);
    rig.other(7, "a", 1, 0, None);
    rig.s.position(rig.now, 3);
    assert_eq!((rig.s.next(), rig.version("a")), (8, 1));
}
