use std::time::Duration;

use domain::{Event, Product, ProductId, Version, evolve};
use serde_json::json;
use uuid::Uuid;

use super::wish::creation;
use super::{Attempt, Recorded, Told, check};
use crate::oracle::Effective;
use crate::{Oracle, Reply};

const PRODUCT: &str = "p-1";

/// A created product: what was recorded, and the log.
fn created() -> (Recorded, Oracle) {
    let command = creation(PRODUCT);
    let domain::Decision::Event(event) = domain::decide(None, &command) else { panic!("a creation creates") };
    let mut recorded = Recorded {
        product: PRODUCT.to_owned(),
        command,
        expected: None,
        key: "w1-1".to_owned(),
        attempts: Vec::new(),
    };
    let mut oracle = Oracle::default();
    let record = effective(None, event, 7, recorded.command_id());
    recorded.attempts.push(attempt(10, 20, accepted(&record)));
    oracle.products.insert(PRODUCT.to_owned(), vec![record]);
    (recorded, oracle)
}

fn effective(before: Option<Product>, event: Event, offset: i64, command: Uuid) -> Effective {
    let version = before.as_ref().map_or(1, |it| it.version.get() + 1);
    let after = evolve(before, &ProductId::parse(PRODUCT).unwrap(), Version(version), &event).unwrap();
    let event_id = Uuid::from_u128(offset as u128);
    Effective { partition: 3, offset, version, event_id, command_id: Some(command), event, after }
}

fn accepted(record: &Effective) -> Told {
    let Effective { version, event_id, partition, offset, .. } = *record;
    Told::Accepted { version, event_id, replayed: false, partition, at: offset }
}

fn attempt(sent: u64, answered: u64, told: Told) -> Attempt {
    Attempt {
        instance: 0,
        sent: Duration::from_millis(sent),
        answered: Duration::from_millis(answered),
        told,
    }
}

/// A second command, with the answer `told`, sent and answered at these times.
fn second(sent: u64, answered: u64, told: Told) -> Recorded {
    let attempts = vec![attempt(sent, answered, told)];
    Recorded { key: "w1-2".to_owned(), attempts, ..created().0 }
}

fn already_exists(at: i64) -> Told {
    Told::Rejected { code: contract::code::Code::ProductAlreadyExists, version: 1, partition: 3, at }
}

#[track_caller]
fn is_violated(oracle: &Oracle, recorded: &[Recorded], why: &str) {
    let verdict = check(oracle, recorded);
    assert!(verdict.first.iter().any(|it| it.contains(why)), "not {why:?}: {verdict:?}");
}

#[test]
fn a_true_history_is_not_violated() {
    let (first, oracle) = created();
    let replay =
        Told::Accepted { version: 1, event_id: Uuid::from_u128(7), replayed: true, partition: 3, at: 7 };
    let mut retried = first.clone();
    retried.attempts.insert(0, attempt(1, 5, Told::GIVEN_UP));
    retried.attempts.push(attempt(30, 40, replay));
    let verdict = check(&oracle, &[retried, second(30, 40, already_exists(7))]);
    assert_eq!((verdict.violations, verdict.unacknowledged), (0, 0), "{verdict:?}");
    assert_eq!((verdict.commands, verdict.attempts), (2, 4));
    assert_eq!((verdict.told("accepted"), verdict.told("replayed"), verdict.told("given-up")), (1, 1, 1));
}

#[test]
fn lost_doubled_and_unasked_effects_are_found() {
    let (first, oracle) = created();
    is_violated(&Oracle::default(), std::slice::from_ref(&first), "no such effective record");
    is_violated(&oracle, &[], "nobody asked for");
    let refused = second(10, 20, Told::NothingWritten(contract::code::Code::Contended));
    let mut other = oracle.clone();
    other.products.get_mut(PRODUCT).unwrap()[0].command_id = Some(refused.command_id());
    is_violated(&other, &[first.clone(), refused], "was told it has none");
    let mut doubled = oracle.clone();
    let again = Effective { version: 2, offset: 8, ..doubled.products[PRODUCT][0].clone() };
    doubled.products.get_mut(PRODUCT).unwrap().push(again);
    is_violated(&doubled, std::slice::from_ref(&first), "2 effects of one command");
    is_violated(&doubled, std::slice::from_ref(&first), "not decided on the state before it");
    let mut gap = oracle.clone();
    gap.products.get_mut(PRODUCT).unwrap()[0].version = 2;
    is_violated(&gap, std::slice::from_ref(&first), "a gap");
    let mut repeated = oracle;
    repeated.repeated_keys = 1;
    is_violated(&repeated, &[first], "appended twice");
}

#[test]
fn answers_that_are_not_true_between_question_and_answer_are_found() {
    let (first, oracle) = created();
    let check_second = |told, why| is_violated(&oracle, &[first.clone(), second(30, 40, told)], why);
    check_second(already_exists(6), "true only of a past before the question");
    check_second(Told::NoEffect { version: 1, partition: 3, at: 7 }, "the decision was");
    check_second(Told::NoEffect { version: 2, partition: 3, at: 7 }, "the version was 1");
    check_second(Told::Conflict { actual: 1, partition: 3, at: 7 }, "there was no conflict");
    check_second(Told::Wrong("500".to_owned()), "no client should be told this");
    let early = second(1, 2, already_exists(7));
    is_violated(&oracle, &[first.clone(), early], "it speaks of what came after it");
    let expecting = Recorded { expected: Some(3), ..second(30, 40, already_exists(7)) };
    is_violated(&oracle, &[first.clone(), expecting], "it was a conflict");
    let expecting = Recorded { expected: Some(3), ..first };
    is_violated(&oracle, &[expecting], "another version was expected");
}

#[test]
fn an_answer_is_what_it_claims_of_the_log() {
    let reply =
        |body| Reply { status: reqwest::StatusCode::OK, headers: reqwest::header::HeaderMap::new(), body };
    let token = contract::ConsistencyToken {
        partition: 3,
        offset: 7,
        product: ProductId::parse(PRODUCT).unwrap(),
        version: Version(2),
        log: None,
    };
    let token = token.encode();
    let body = json!({ "outcome": "no_effect", "version": 2, "consistency_token": token });
    let told = Told::of(&reply(body));
    assert_eq!(told, Told::NoEffect { version: 2, partition: 3, at: 7 });
    assert!(told.is_final());
    let body = json!({ "code": "version-conflict", "current_version": 2, "consistency_token": token });
    assert_eq!(Told::of(&reply(body)), Told::Conflict { actual: 2, partition: 3, at: 7 });
    for (code, is_known) in [("contended", true), ("not-ready", true), ("outcome-unknown", false)] {
        let told = Told::of(&reply(json!({ "code": code })));
        assert_eq!((told.name(), told.is_final()), (code, false));
        assert_eq!(matches!(told, Told::NothingWritten(_)), is_known);
    }
    for body in
        [json!({ "code": "internal" }), json!({ "outcome": "accepted", "version": 1 }), json!("<html>")]
    {
        let told = Told::of(&reply(body));
        assert!(matches!(told, Told::Wrong(_)) && told.is_final(), "{told:?}");
    }
}
