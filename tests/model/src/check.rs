//! The promises, checked wherever a step can break one. The oracle is the log, read from its start by the production
//! rule.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ledger::rule;
use ledger::{
    Aggregate, Answer, Decision, Judgement, Offset, Output, Reader, RecordKey, Sequencer, Subject, Verdict,
};

use crate::product::{No, Shelf, Stock};
use crate::scene::Scene;
use crate::state::{Fate, Landed, Record, State, Ticket};
use crate::writer::P;

/// What must hold after every step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Promise {
    /// The effective records of a product have the versions 1, 2, 3 and so on.
    Gapless,
    /// A command id has at most one effective record.
    OneEffect,
    /// An effective event was decided on exactly the state before it.
    DecidedOnTheStateBefore,
    /// What was acknowledged is effective.
    AcknowledgedIsEffective,
    /// An answer without a record holds at some offset between arrival and answer, and nothing of it counts later.
    AnswersAreTrue,
    /// Writers, readers from the start and readers without state agree about every record.
    ReadersAgree,
    /// No writer sees anything that no correct writer causes.
    NoAlarm,
}

impl Promise {
    pub const ALL: [Self; 7] = [
        Self::Gapless,
        Self::OneEffect,
        Self::DecidedOnTheStateBefore,
        Self::AcknowledgedIsEffective,
        Self::AnswersAreTrue,
        Self::ReadersAgree,
        Self::NoAlarm,
    ];

    /// What holds, in words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Gapless => "the versions of a product are gapless",
            Self::OneEffect => "a command has one effect",
            Self::DecidedOnTheStateBefore => "an effective event was decided on exactly the state before it",
            Self::AcknowledgedIsEffective => "what is acknowledged is effective",
            Self::AnswersAreTrue => "an answer is true at some offset between arrival and answer",
            Self::ReadersAgree => "all readers agree, with and without state",
            Self::NoAlarm => "no writer sees what no correct writer causes",
        }
    }
}

/// An effective record, and the state it makes.
struct Fact {
    offset: Offset,
    key: RecordKey,
    record: Arc<Record>,
    after: Stock,
}

type Broken = (Promise, String);
type Oracle = BTreeMap<Subject, Vec<Fact>>;

fn holds(condition: bool, promise: Promise, otherwise: impl FnOnce() -> String) -> Result<(), Broken> {
    if condition { Ok(()) } else { Err((promise, otherwise())) }
}

/// Reads the log from its start up to `until`.
fn read(log: &[Landed], until: Offset) -> Result<Oracle, Broken> {
    let mut oracle = Oracle::new();
    for Landed { offset, record } in log.iter().take_while(|landed| landed.offset < until) {
        let key = RecordKey::parse(&record.key).map_err(|error| {
            (Promise::NoAlarm, format!("a writer wrote the key {:?}: {error}", record.key))
        })?;
        let facts = oracle.entry(key.subject.clone()).or_default();
        let current = facts.last().map_or(0, |fact| fact.key.version);
        if rule::judge(*offset, key.basis, key.version, current) != Verdict::Effective {
            continue;
        }
        holds(key.version == current + 1, Promise::Gapless, || {
            format!(
                "version {} of {} counts at offset {offset}, after version {current}",
                key.version, key.subject
            )
        })?;
        let before = facts.last().map(|fact| fact.after);
        holds(
            record.event.seen == before.map_or(0, |stock| stock.history),
            Promise::DecidedOnTheStateBefore,
            || {
                format!(
                    "the record at offset {offset} counts, but was decided on another state than the one before it"
                )
            },
        )?;
        let after = Shelf::evolve(before, &key.subject, key.version, &record.event)
            .map_err(|error| (Promise::NoAlarm, error.to_string()))?;
        facts.push(Fact { offset: *offset, key, record: Arc::clone(record), after });
    }
    Ok(oracle)
}

/// A record has landed: what must hold of the log and of all who read it.
pub(crate) fn log(scene: &Scene, state: &State) -> Result<(), Broken> {
    let oracle = read(&state.log, Offset::MAX)?;
    let mut commands = BTreeSet::new();
    for fact in oracle.values().flatten() {
        let ticket = fact.record.ticket;
        let command = scene.request(ticket).command;
        holds(commands.insert(command), Promise::OneEffect, || {
            format!("command {command} has a second effective record at offset {}", fact.offset)
        })?;
        let fate = state.tickets.get(&ticket).map(|ticket| ticket.fate);
        holds(!fate.is_some_and(Fate::denies_effect), Promise::AnswersAreTrue, || {
            format!("the record at offset {} counts, but its client was told {fate:?}", fact.offset)
        })?;
    }
    for start in 0..=state.log.len() {
        reader_without_state(state, &oracle, start)?;
    }
    Ok(())
}

/// A reader that starts at a record and knows nothing judges like one that has read all.
fn reader_without_state(state: &State, oracle: &Oracle, start: usize) -> Result<(), Broken> {
    let from = state.log.get(start).map_or(state.end, |landed| landed.offset);
    let mut reader = Reader::new(P, 1, from);
    for landed in &state.log[start..] {
        let key = &landed.record.key;
        if let Some(needed) = reader.needs([(landed.offset, &**key)]) {
            let floor = reader.floor();
            for earlier in state.log.iter().filter(|l| (needed..floor).contains(&l.offset)) {
                reader.look_back(earlier.offset, &earlier.record.key);
            }
            reader.looked_back_to(needed);
        }
        let counts = match reader.judge(landed.offset, key) {
            Judgement::Effective(_) => true,
            Judgement::Void(_) => false,
            other => {
                let problem =
                    format!("a reader without state from {from} says {other:?} of {}", landed.offset);
                return Err((Promise::ReadersAgree, problem));
            }
        };
        let expected = oracle.values().flatten().any(|fact| fact.offset == landed.offset);
        holds(counts == expected, Promise::ReadersAgree, || {
            let says = if counts { "effective" } else { "void" };
            format!("a reader without state from {from} says the record at {} is {says}", landed.offset)
        })?;
        reader.position(landed.offset + 1);
    }
    Ok(())
}

/// A writer has heard something: it has the state that the log has below its `next`.
pub(crate) fn writer(
    state: &State,
    writer: usize,
    sequencer: &Sequencer<Shelf, u64, ledger_sim::Broken>,
) -> Result<(), Broken> {
    let next = sequencer.next();
    let oracle = read(&state.log, next)?;
    for subject in state.log.iter().filter_map(|landed| RecordKey::parse(&landed.record.key).ok()) {
        let subject = subject.subject;
        let last = oracle.get(&subject).and_then(|facts| facts.last());
        let version = last.map_or(0, |fact| fact.key.version);
        let is_same = sequencer.version(&subject) == version
            && sequencer.state(&subject).map(|state| *state) == last.map(|fact| fact.after);
        holds(is_same, Promise::ReadersAgree, || {
            format!(
                "writer {writer} has version {} of {subject} at offset {next}, the log has {version} or another state",
                sequencer.version(&subject)
            )
        })?;
    }
    Ok(())
}

/// What a writer says that is neither a record, a question nor an answer.
pub(crate) fn alarm(output: &Output<Shelf>) -> Result<(), Broken> {
    match output {
        Output::Discard { .. } | Output::Violation { .. } | Output::UnreadableRecord { .. } => {
            Err((Promise::NoAlarm, format!("{output:?}")))
        }
        _ => Ok(()),
    }
}

/// A client has its answer.
pub(crate) fn answer(
    scene: &Scene,
    state: &State,
    ticket: u64,
    asked: Ticket,
    answer: &Answer<No>,
) -> Result<Fate, Broken> {
    let request = scene.request(ticket);
    let oracle = read(&state.log, Offset::MAX)?;
    let facts = oracle.get(&request.subject()).map_or(&[][..], Vec::as_slice);
    let fact = |event_id, offset, version| {
        facts.iter().find(|fact| {
            (fact.key.event_id, fact.offset, fact.key.version) == (event_id, offset, version)
                && scene.request(fact.record.ticket).command == request.command
        })
    };
    let is_own_effective = || facts.iter().any(|fact| fact.record.ticket == ticket);
    let decided = |at: Offset, version: u64, decision: Option<&Decision<_, No>>| {
        let claim = format!("answered {answer:?}, asked at {}, answered at {}", asked.arrived, state.end);
        let below = &facts[..facts.partition_point(|fact| fact.offset < at)];
        let stock = below.last().map(|fact| fact.after);
        let is_true = asked.arrived <= at
            && at <= state.end
            && below.last().map_or(0, |fact| fact.key.version) == version
            && below.iter().all(|fact| scene.request(fact.record.ticket).command != request.command)
            && decision.is_none_or(|decision| {
                request.expected.is_none_or(|expected| expected == version)
                    && Shelf::decide(stock.as_ref(), &request.order) == *decision
            });
        holds(is_true && !is_own_effective(), Promise::AnswersAreTrue, || claim)
    };
    match answer {
        Answer::Accepted { version, event_id, offset, replayed } => {
            let fact = fact(*event_id, *offset, *version);
            let is_true = fact.is_some_and(|fact| {
                scene.request(fact.record.ticket).order == request.order
                    && *replayed == (fact.record.ticket != ticket)
            });
            holds(is_true, Promise::AcknowledgedIsEffective, || {
                format!(
                    "acknowledged as version {version} at offset {offset}, where the log has no such effective record"
                )
            })?;
            Ok(if *replayed { Fate::Replayed } else { Fate::Accepted })
        }
        Answer::KeyReused { version, event_id, offset } => {
            let is_true = fact(*event_id, *offset, *version)
                .is_some_and(|fact| scene.request(fact.record.ticket).order != request.order);
            holds(is_true, Promise::AnswersAreTrue, || format!("answered {answer:?}"))?;
            Ok(Fate::KeyReused)
        }
        Answer::NoEffect { version, at } => {
            decided(*at, *version, Some(&Decision::NoEffect)).map(|()| Fate::NoEffect)
        }
        Answer::Rejected { rejection, version, at } => {
            decided(*at, *version, Some(&Decision::Rejected(*rejection))).map(|()| Fate::Rejected)
        }
        Answer::Conflict { expected, actual, at } => {
            let is_conflict = *expected == request.expected.into() && !expected.is_met_by(*actual);
            holds(is_conflict, Promise::AnswersAreTrue, || format!("answered {answer:?}"))?;
            decided(*at, *actual, None).map(|()| Fate::Conflict)
        }
        Answer::Contended { version, at } => {
            decided(*at, *version, None)?;
            holds(!is_own_effective(), Promise::AnswersAreTrue, || {
                "contended, but its record counts".into()
            })?;
            Ok(Fate::Contended)
        }
        Answer::OutcomeUnknown => Ok(Fate::Unknown),
        Answer::DeadlineExceeded => {
            let landed = state.log.iter().map(|landed| &landed.record);
            let written = landed.chain(state.flying.values().map(|flying| &flying.record));
            let is_true = written.clone().all(|record| record.ticket != ticket);
            holds(is_true, Promise::AnswersAreTrue, || {
                "nothing was written, says the answer; it was".into()
            })?;
            Ok(Fate::Expired)
        }
        Answer::Overloaded
        | Answer::Unreadable
        | Answer::Quarantined
        | Answer::Withheld
        | Answer::TooLarge(_)
        | Answer::Defect(_) => Err((Promise::NoAlarm, format!("answered {answer:?}"))),
    }
}
