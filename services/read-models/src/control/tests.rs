//! What can be decided, whoever proposes it and however many do; and what damage in the journal does.

use std::sync::{Arc, Mutex};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt as _, SeedableRng};
use toolkit::journal::{Entry, Journal, JournalError, Journaled};

use super::*;
use crate::{Generation, ReadModel};

mod letters;
mod lost;

const MODEL: ReadModel = ReadModel::Products;

fn build(number: u32) -> Generation {
    Generation::try_from(number).unwrap()
}

/// A journal in memory, which may lose an acknowledgement and appends another's record first, or right behind, when it is told to.
#[derive(Debug, Default)]
struct Memory {
    entries: Mutex<Vec<Entry>>,
    before: Mutex<Vec<(String, Vec<u8>)>>,
    behind: Mutex<Vec<(String, Vec<u8>)>>,
    fails: Mutex<bool>,
}

impl Memory {
    fn put(&self, key: &str, value: &[u8]) {
        let mut entries = self.entries.lock().unwrap();
        let offset = entries.len() as i64;
        let (key, value) = (key.to_owned().into(), value.to_owned().into());
        entries.push(Entry { offset, appended_ms: offset, key, value });
    }
}

impl Journal for Memory {
    fn append(&self, key: String, value: Vec<u8>) -> Journaled<'_, ()> {
        for (key, value) in self.before.lock().unwrap().drain(..) {
            self.put(&key, &value);
        }
        self.put(&key, &value);
        for (key, value) in self.behind.lock().unwrap().drain(..) {
            self.put(&key, &value);
        }
        let fails = *self.fails.lock().unwrap();
        Box::pin(async move { if fails { Err(JournalError("no answer".to_owned())) } else { Ok(()) } })
    }

    fn read(&self, from: i64) -> Journaled<'_, (Vec<Entry>, i64)> {
        let entries = self.entries.lock().unwrap();
        let (read, end) = (entries[from as usize..].to_vec(), entries.len() as i64);
        Box::pin(async move { Ok((read, end)) })
    }
}

fn desk(journal: &Arc<Memory>) -> Desk {
    Desk::new(Arc::clone(journal) as Arc<dyn Journal>)
}

fn a_build(number: u32) -> Step {
    Step::Build { generation: build(number), format: 1, switch: Switch::WhenEqual }
}

fn equal(number: u32) -> Step {
    Step::Compared { generation: build(number), rows: 7, differences: 0, told: Vec::new() }
}

fn hold(number: u32) -> Step {
    Step::Hold { to: build(number), force: false }
}

async fn take(desk: &mut Desk, step: Step) {
    let told = step.to_string();
    desk.look().await.unwrap();
    let revision = desk.builds(MODEL).revision;
    assert_eq!(desk.propose(MODEL, revision, step, "tester").await.unwrap(), Proposed::Taken, "{told}");
}

async fn refused(desk: &mut Desk, step: Step) -> String {
    desk.look().await.unwrap();
    let revision = desk.builds(MODEL).revision;
    match desk.propose(MODEL, revision, step.clone(), "tester").await.unwrap() {
        Proposed::Refused(why) => why.to_string(),
        other => panic!("{step}: {other:?}"),
    }
}

#[tokio::test]
async fn a_build_is_made_compared_switched_to_and_left_again() {
    let journal = Arc::new(Memory::default());
    let mut desk = desk(&journal);
    assert_eq!(desk.builds(MODEL).role(Generation::FIRST), Role::Live);
    take(&mut desk, a_build(2)).await;
    let follows = |other, hold| Role::Follows { other, hold };
    assert_eq!(desk.builds(MODEL).role(build(2)), follows(Generation::FIRST, None));
    take(&mut desk, equal(2)).await;
    take(&mut desk, hold(2)).await;
    let held = Hold { revision: 3, since_ms: 2 };
    assert_eq!(desk.builds(MODEL).role(Generation::FIRST), Role::Held(held));
    assert_eq!(desk.builds(MODEL).role(build(2)), follows(Generation::FIRST, Some(held)));
    take(&mut desk, Step::Switch).await;
    // Both stand still until gateways have followed.
    assert_eq!(desk.builds(MODEL).role(build(2)), Role::Waits);
    assert_eq!(desk.builds(MODEL).role(Generation::FIRST), follows(build(2), None));
    take(&mut desk, Step::Live).await;
    assert_eq!(desk.builds(MODEL).role(build(2)), Role::Live);
    assert_eq!(desk.builds(MODEL).previous(), Some(Generation::FIRST));
    // Back, which needs no comparison: it followed all the while.
    for step in [hold(1), Step::Switch, Step::Live, Step::Drop { generation: build(2) }] {
        take(&mut desk, step).await;
    }
    let builds = desk.builds(MODEL);
    assert_eq!((builds.read, builds.revision, builds.next()), (Generation::FIRST, 9, build(3)));
    assert_eq!(builds.all().count(), 1);
    // Nothing of it concerns another read model.
    assert_eq!(desk.builds(ReadModel::Search).revision, 0);
}

#[tokio::test]
async fn what_was_found_of_a_build_counts_only_for_the_one_that_it_was_compared_with() {
    let journal = Arc::new(Memory::default());
    let mut desk = desk(&journal);
    for step in [a_build(2), equal(2), hold(2), Step::Switch, Step::Live, a_build(3), equal(3), hold(1)] {
        take(&mut desk, step).await;
    }
    for step in [Step::Switch, Step::Live] {
        take(&mut desk, step).await;
    }
    assert_eq!(desk.builds(MODEL).get(build(3)).unwrap().stage, Stage::Building);
    // What was right before somebody else decided is looked at again.
    let late = desk.propose(MODEL, 9, a_build(4), "late").await.unwrap();
    assert_eq!(late, Proposed::Overtaken);
}

#[tokio::test]
async fn where_decisions_were_lost_one_may_say_what_is_read_and_only_there() {
    let journal = Arc::new(Memory::default());
    let mut desk = desk(&journal);
    let adopt = |number| Step::Adopt { generation: build(number), format: 1, published: None };
    take(&mut desk, adopt(4)).await;
    let builds = desk.builds(MODEL);
    assert_eq!((builds.read, builds.next(), builds.all().count()), (build(4), build(5), 1));
    assert_eq!(builds.role(build(4)), Role::Live);
    assert!(refused(&mut desk, adopt(2)).await.contains("decided already that g4 is read"));
    // What is told of a journal that is begun anew comes after all that was told of the one before it.
    let later = Arc::new(Memory::default());
    for _ in 0..3 {
        later.put("read-model/prices/1/x", b"{}");
    }
    let (mut again, before) = (self::desk(&later), desk.builds(MODEL).order(999));
    take(&mut again, adopt(4)).await;
    assert!(again.builds(MODEL).order(1) > before);
    assert!(again.builds(MODEL).published_order() > desk.builds(MODEL).published_order());
}

#[tokio::test]
async fn what_cannot_be_taken_is_refused_in_words() {
    let journal = Arc::new(Memory::default());
    let mut desk = desk(&journal);
    assert!(refused(&mut desk, a_build(3)).await.contains("the next build is g2"));
    assert!(refused(&mut desk, hold(2)).await.contains("there is no build g2"));
    assert!(refused(&mut desk, Step::Switch).await.contains("nothing is held"));
    assert!(refused(&mut desk, Step::Live).await.contains("nothing was switched"));
    let drop_first = Step::Drop { generation: Generation::FIRST };
    assert!(refused(&mut desk, drop_first).await.contains("what is read"));
    let pause_first = Step::Pause { generation: Generation::FIRST };
    assert!(refused(&mut desk, pause_first).await.contains("must not fall behind"));
    take(&mut desk, a_build(2)).await;
    assert!(refused(&mut desk, a_build(3)).await.contains("g2 is being built"));
    assert!(refused(&mut desk, hold(2)).await.contains("not compared yet"));
    let differs =
        Step::Compared { generation: build(2), rows: 7, differences: 2, told: vec!["a".into(), "b".into()] };
    take(&mut desk, differs).await;
    assert!(refused(&mut desk, hold(2)).await.contains("rows of 2 products"));
    take(&mut desk, Step::Pause { generation: build(2) }).await;
    let forced = Step::Hold { to: build(2), force: true };
    assert!(refused(&mut desk, forced.clone()).await.contains("paused"));
    take(&mut desk, Step::Resume { generation: build(2) }).await;
    take(&mut desk, forced).await;
    assert!(refused(&mut desk, Step::Pause { generation: build(2) }).await.contains("in flight"));
    // A build may be dropped out of a hold; what is read goes on.
    take(&mut desk, Step::Drop { generation: build(2) }).await;
    assert_eq!(desk.builds(MODEL).turn, Turn::Steady);
    assert_eq!(desk.builds(MODEL).role(Generation::FIRST), Role::Live);
    assert_eq!(journal.entries.lock().unwrap().len(), 6, "what is refused is not even written");
}

#[tokio::test]
async fn a_step_that_others_have_gone_on_from_before_it_was_read_was_taken_all_the_same() {
    let journal = Arc::new(Memory::default());
    let mut desk = desk(&journal);
    let next = Decision { step: equal(2), by: "a projector".to_owned() }.encode().unwrap();
    let key = format!("read-model/products/2/{}", uuid::Uuid::new_v4());
    journal.behind.lock().unwrap().push((key, next));
    assert_eq!(desk.propose(MODEL, 0, a_build(2), "one").await.unwrap(), Proposed::Taken);
    assert_eq!(desk.builds(MODEL).revision, 2);
}

#[tokio::test]
async fn of_two_who_propose_at_once_the_first_counts_and_both_are_told() {
    let journal = Arc::new(Memory::default());
    let (mut one, mut other) = (desk(&journal), desk(&journal));
    let rival = Decision { step: a_build(2), by: "rival".to_owned() }.encode().unwrap();
    let key = format!("read-model/products/1/{}", uuid::Uuid::new_v4());
    journal.before.lock().unwrap().push((key, rival));
    assert_eq!(one.propose(MODEL, 0, a_build(2), "one").await.unwrap(), Proposed::Overtaken);
    other.look().await.unwrap();
    assert_eq!(other.builds(MODEL), one.builds(MODEL));
    assert_eq!(one.builds(MODEL).get(build(2)).unwrap().by, "rival");
    assert_eq!(one.builds(MODEL).revision, 1);
    assert!(one.take_damaged().is_empty(), "to lose a race is no damage");
}

#[tokio::test]
async fn a_proposal_whose_answer_is_lost_is_found_all_the_same_and_a_copy_of_it_counts_once() {
    let journal = Arc::new(Memory::default());
    let mut desk = desk(&journal);
    *journal.fails.lock().unwrap() = true;
    take(&mut desk, a_build(2)).await;
    let again = journal.entries.lock().unwrap()[0].clone();
    journal.put(std::str::from_utf8(&again.key).unwrap(), &again.value);
    desk.look().await.unwrap();
    assert_eq!(desk.builds(MODEL).revision, 1);
    assert!(desk.take_damaged().is_empty());
}

#[tokio::test]
async fn damage_is_named_and_counts_for_nothing() {
    let journal = Arc::new(Memory::default());
    let mut desk = desk(&journal);
    let id = uuid::Uuid::new_v4();
    let key = |revision: &str| format!("read-model/products/{revision}/{id}");
    let good = Decision { step: a_build(2), by: "x".to_owned() }.encode().unwrap();
    let wrong: &[(&str, &[u8], &str)] = &[
        ("garbage", b"{}", "no key of a decision"),
        (&key("+1"), &good, "no key of a decision"),
        (&key("1"), b"\xff\x00", "no JSON"),
        (&key("1"), b"{}", "names no step"),
        (&key("1"), br#"{"step":"build","by":"x"}"#, "step build"),
        (&key("1"), br#"{"step":"build","generation":0,"format":1,"switch":"by-hand","by":"x"}"#, "from 1"),
        (&key("1"), br#"{"step":"switch","by":"x"}"#, "nothing is held"),
        (&key("9"), &good, "the revision before it is 0"),
    ];
    for (key, value, problem) in wrong {
        journal.put(key, value);
        desk.look().await.unwrap();
        let told = desk.take_damaged();
        assert!(told.len() == 1 && told[0].contains(problem), "{key}: {told:?}");
        assert_eq!(desk.builds(MODEL), &Builds::first());
    }
    take(&mut desk, a_build(2)).await;
}

#[tokio::test]
async fn a_step_of_a_later_release_stops_this_one_from_deciding_and_nothing_else() {
    let journal = Arc::new(Memory::default());
    let mut desk = desk(&journal);
    take(&mut desk, a_build(2)).await;
    let key = format!("read-model/products/2/{}", uuid::Uuid::new_v4());
    journal.put(&key, br#"{"step":"split","into":3,"by":"release 9"}"#);
    assert!(refused(&mut desk, equal(2)).await.contains("`split`"));
    let builds = desk.builds(MODEL);
    assert_eq!((builds.revision, builds.later()), (2, Some("split")));
    assert_eq!(builds.role(Generation::FIRST), Role::Live);
}

#[tokio::test]
async fn a_step_that_a_later_release_says_more_of_is_not_taken_for_damaged() {
    for value in [
        r#"{"step":"redrive","which":{"product":"a","shelf":"b"},"why":"w","by":"release 9"}"#,
        r#"{"step":"discard","which":{"kind":"too-late"},"why":"w","by":"release 9"}"#,
    ] {
        let journal = Arc::new(Memory::default());
        let mut desk = desk(&journal);
        journal.put(&format!("read-model/products/1/{}", uuid::Uuid::new_v4()), value.as_bytes());
        desk.look().await.unwrap();
        assert_eq!(desk.take_damaged(), Vec::<String>::new(), "{value}");
        assert!(desk.builds(MODEL).later().is_some(), "{value}");
    }
}

fn as_of(number: u32, name: &str) -> Step {
    let (name, ends) = (name.to_owned(), vec![7, 0]);
    Step::AsOf { generation: build(number), format: 1, name, as_of_ms: 1_000, ends, expires_ms: 2_000 }
}

#[tokio::test]
async fn a_build_as_of_some_time_ends_there_and_takes_nobodys_place() {
    let journal = Arc::new(Memory::default());
    let mut desk = desk(&journal);
    for step in [a_build(2), equal(2), as_of(3, "black-friday")] {
        take(&mut desk, step).await;
    }
    let builds = desk.builds(MODEL);
    assert_eq!(builds.role(build(3)), Role::Ends);
    let ends = [0, 1, 2].map(|partition| builds.end(build(3), partition));
    assert_eq!(
        (ends, builds.end(build(2), 0)),
        ([7, 0, 0], 0),
        "of a partition that was not there then nothing"
    );
    assert_eq!(builds.candidate().map(|(it, _)| it), Some(build(2)));
    assert!(
        builds.phase(build(3)).unwrap().contains("being built as black-friday: as of 1970-01-01T00:00:01Z")
    );
    for (step, why) in [
        (Step::Hold { to: build(3), force: true }, "?generation=black-friday"),
        (as_of(4, "black-friday"), "g3 has the name"),
        (as_of(9, "other"), "the next build is g4"),
        (Step::Complete { generation: build(2) }, "g2 is not being built as of some time"),
        (as_of(4, "Other"), "no name of a build"),
        (as_of(4, "g4"), "no name of a build"),
        (as_of(4, "44"), "no name of a build"),
        (as_of(4, ""), "no name of a build"),
        (as_of(4, &"x".repeat(41)), "no name of a build"),
    ] {
        let told = refused(&mut desk, step).await;
        assert!(told.contains(why), "{told}");
    }
    take(&mut desk, Step::Complete { generation: build(3) }).await;
    assert!(desk.builds(MODEL).phase(build(3)).unwrap().contains("can be read as black-friday"));
    assert!(refused(&mut desk, Step::Complete { generation: build(3) }).await.contains("is not being built"));
    // The switch goes on beside it, and back is not to it.
    for step in [hold(2), as_of(4, "other"), Step::Switch, Step::Live] {
        take(&mut desk, step).await;
    }
    assert_eq!((desk.builds(MODEL).read, desk.builds(MODEL).previous()), (build(2), Some(Generation::FIRST)));
    for number in 5..=10 {
        take(&mut desk, as_of(number, &format!("more-{number}"))).await;
    }
    assert!(refused(&mut desk, as_of(11, "too-many")).await.contains("there are 8"));
    take(&mut desk, Step::Drop { generation: build(3) }).await;
    take(&mut desk, as_of(11, "black-friday")).await;
}

#[tokio::test]
async fn a_release_proposes_its_format_once_and_not_again_when_somebody_made_an_end_of_it() {
    let journal = Arc::new(Memory::default());
    let mut desk = desk(&journal);
    assert!(desk.builds(MODEL).is_new(2) && !desk.builds(MODEL).is_new(1));
    take(&mut desk, Step::Build { generation: build(2), format: 2, switch: Switch::WhenEqual }).await;
    assert!(!desk.builds(MODEL).is_new(2) && desk.builds(MODEL).is_new(3));
    take(&mut desk, equal(2)).await;
    assert!(desk.builds(MODEL).phase(build(2)).unwrap().contains("of another format"));
    take(&mut desk, Step::Drop { generation: build(2) }).await;
    take(&mut desk, a_build(3)).await;
    assert!(!desk.builds(MODEL).is_new(2), "somebody has decided about it");
    // One as of some time is nobody's proposal.
    let name = "later".to_owned();
    let step =
        |generation| Step::AsOf { generation, format: 3, name, as_of_ms: 1, ends: vec![1], expires_ms: 2 };
    take(&mut desk, step(build(4))).await;
    assert!(desk.builds(MODEL).is_new(3));
    // An old release does not begin again when a later one is read.
    for next in [
        Step::Drop { generation: build(3) },
        Step::Build { generation: build(5), format: 3, switch: Switch::Always },
    ] {
        take(&mut desk, next).await;
    }
    for next in [Step::Hold { to: build(5), force: true }, Step::Switch, Step::Live] {
        take(&mut desk, next).await;
    }
    assert!(refused(&mut desk, a_build(6)).await.contains("this release makes those of format 1"));
}

#[test]
fn what_is_wished_as_of_some_time_must_make_sense() {
    let now: jiff::Timestamp = "2026-11-27T12:00:00Z".parse().unwrap();
    let requested = |as_of: &str, name: &str, expires: &str| AsOfRequest {
        as_of: as_of.parse().unwrap(),
        name: name.to_owned(),
        expires: expires.parse().unwrap(),
    };
    let good = requested("2026-11-27T11:59:59Z", "noon", "90m");
    good.check(now).unwrap();
    let Step::AsOf { generation, as_of_ms, expires_ms, .. } = good.step(&Builds::first(), 1, vec![3], now)
    else {
        panic!("another step");
    };
    let at = now.as_millisecond();
    assert_eq!((generation, as_of_ms, expires_ms), (build(2), at - 1_000, at + 90 * 60_000));
    for (wrong, why) in [
        (requested("2026-11-27T12:00:01Z", "noon", "1h"), "not over yet"),
        (requested("2026-11-27T11:00:00Z", "7", "1h"), "no name of a build"),
        (requested("2026-11-27T11:00:00Z", "noon", "59s"), "cannot expire"),
        (requested("2026-11-27T11:00:00Z", "noon", "-1h"), "cannot expire"),
        (requested("2026-11-27T11:00:00Z", "noon", "9000h"), "cannot expire"),
    ] {
        let told = wrong.check(now).unwrap_err().to_string();
        assert!(told.contains(why), "{told}");
    }
}

/// Random proposals by several, some of whom have not looked for a while: everybody folds them alike, and at any time one
/// build is read, another one is made at most, and what is read changes by a switch after a hold alone.
#[tokio::test]
async fn whatever_is_proposed_one_build_is_read_and_one_is_made_at_most() {
    for seed in 0..200 {
        let mut dice = StdRng::seed_from_u64(seed);
        let journal = Arc::new(Memory::default());
        let mut desks: Vec<Desk> = (0..3).map(|_| desk(&journal)).collect();
        let mut before = Builds::first();
        for _ in 0..60 {
            let number = dice.random_range(1..=before.next().get());
            let generation = build(number);
            let steps = [
                Step::Build { generation: before.next(), format: 1, switch: Switch::WhenEqual },
                a_build(number),
                Step::Pause { generation },
                Step::Resume { generation },
                equal(number),
                Step::Compared { generation, rows: 1, differences: 1, told: Vec::new() },
                hold(number),
                Step::Hold { to: generation, force: true },
                Step::Release { reason: "x".to_owned() },
                Step::Switch,
                Step::Live,
                Step::Drop { generation },
                as_of(before.next().get(), ["one", "other"].choose(&mut dice).unwrap()),
                Step::Complete { generation },
            ];
            let step = steps.choose(&mut dice).unwrap().clone();
            if dice.random_bool(0.3) {
                // Written by somebody who did not look, and perhaps too late.
                let revision = before.revision + dice.random_range(0..=1);
                let key = format!("read-model/products/{revision}/{}", uuid::Uuid::from_u128(dice.random()));
                journal.put(&key, &Decision { step, by: "blind".to_owned() }.encode().unwrap());
            } else {
                let at = dice.random_range(0..desks.len());
                let revision = before.revision.saturating_sub(u64::from(dice.random_bool(0.1)));
                desks[at].propose(MODEL, revision, step, "tester").await.unwrap();
            }
            for desk in &mut desks {
                desk.look().await.unwrap();
            }
            let now = desks[0].builds(MODEL).clone();
            assert!(desks.iter().all(|desk| desk.builds(MODEL) == &now), "seed {seed}: they fold alike");
            assert!(now.revision <= before.revision + 1);
            let of = |stage: fn(&Stage) -> bool| now.all().filter(|(_, it)| stage(&it.stage)).count();
            assert_eq!(of(|it| *it == Stage::Read), 1, "seed {seed}: {now:?}");
            assert_eq!(now.get(now.read).unwrap().stage, Stage::Read);
            assert!(of(|it| matches!(it, Stage::Building | Stage::Compared { .. })) <= 1, "seed {seed}");
            assert!(!now.get(now.read).unwrap().is_paused, "seed {seed}: what is read goes on");
            if now.read != before.read {
                assert!(matches!(before.turn, Turn::Holding { to, .. } if to == now.read), "seed {seed}");
                assert!(
                    matches!(now.turn, Turn::Switched { from, .. } if from == before.read),
                    "seed {seed}"
                );
            }
            for (generation, _) in now.as_of() {
                assert!(generation != now.read && now.role(generation) == Role::Ends, "seed {seed}");
            }
            if let Turn::Holding { to, .. } = now.turn {
                assert!(now.get(to).is_some_and(|it| !it.is_paused), "seed {seed}");
            }
            let live = now.all().filter(|(it, _)| now.role(*it) == Role::Live).count();
            assert_eq!(live, usize::from(now.turn == Turn::Steady), "seed {seed}: one goes ahead, or none");
            before = now;
        }
    }
}
