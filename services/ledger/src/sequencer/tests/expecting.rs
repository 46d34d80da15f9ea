//! What a command expects of its product's version.

use super::*;

#[test]
fn an_expected_version_that_lost_is_a_conflict_at_once() {
    let mut rig = Rig::new();
    rig.other(0, "a", 1, 0, None);
    rig.submit(Submission { expected: Expected::version(1), ..submission(1, "a", Ask::Add(1)) });
    let append = rig.append();
    rig.other(1, "a", 2, 1, None);
    rig.reported(&append, 2);
    assert_eq!(rig.answers(), [(1, Answer::Conflict { expected: Expected::version(1), actual: 2, at: 3 })]);
}

#[test]
fn whatever_is_expected_is_looked_at_on_the_state_the_command_is_decided_on() {
    let created = |expected| Submission { expected, ..submission(1, "a", Ask::Create) };
    for expected in
        [Expected::existing(), Expected::one_of([1, 2]), Expected::one_of([]), Expected::none_of([0, 7])]
    {
        let mut rig = Rig::new();
        rig.submit(created(expected.clone()));
        let request = rig.request();
        rig.s.end_offset(rig.now, request, Ok(0));
        assert_eq!(rig.answers(), [(1, Answer::Conflict { expected, actual: 0, at: 0 })]);
    }
    // Created meanwhile by another: the append is void, and what was expected no longer holds.
    for expected in [Expected::version(0), Expected::none_of([1])] {
        let mut rig = Rig::new();
        rig.submit(created(expected.clone()));
        let append = rig.append();
        rig.other(0, "a", 1, 0, None);
        rig.reported(&append, 1);
        assert_eq!(rig.answers(), [(1, Answer::Conflict { expected, actual: 1, at: 2 })]);
    }
    // And what holds for any version is decided again.
    for expected in [Expected::existing(), Expected::one_of([1, 2]), Expected::none_of([0, 3])] {
        let mut rig = Rig::new();
        rig.other(0, "a", 1, 0, None);
        rig.submit(Submission { expected, ..submission(1, "a", Ask::Add(1)) });
        let append = rig.append();
        rig.other(1, "a", 2, 1, None);
        rig.reported(&append, 2);
        let outputs = rig.out();
        let [.., Output::Append(append)] = outputs.as_slice() else { panic!("no append in {outputs:?}") };
        assert_eq!(append.key.version, 3);
        rig.reported(append, 3);
        accepted(&rig.answers(), 1, 3, 3, false);
    }
}
