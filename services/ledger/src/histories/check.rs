//! What must be true of a history. The model of the rule here is written down anew, so that a mistake in the crate's
//! own does not hide itself.

use std::collections::{BTreeMap, HashMap, HashSet};

use uuid::Uuid;

use super::shop::{self, Changed, No, Shop, Stock};
use super::world::{Asked, World};
use crate::{Aggregate, Answer, CommandHash, CommandId, Decision, LogRecord, Offset, RecordKey, Subject};

/// An effective record, and the state it makes.
pub(super) struct Fact {
    offset: Offset,
    version: u64,
    event_id: Uuid,
    command_id: CommandId,
    command_hash: CommandHash,
    after: Stock,
}

/// How often what happened.
#[derive(Debug, Default)]
pub(super) struct Counts(BTreeMap<&'static str, u64>);

impl Counts {
    pub(super) fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(what).or_default() += count;
        }
    }

    pub(super) fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
        const ALL: [&str; 19] = [
            "accepted",
            "replayed",
            "no effect",
            "rejected",
            "conflict",
            "key reused",
            "contended",
            "outcome unknown",
            "overloaded",
            "deadline exceeded",
            "lost",
            "effective",
            "stale",
            "outside window",
            "only outside window",
            "found cold",
            "resumed",
            "resumed from a backup",
            "refused",
        ];
        ALL.into_iter().map(|what| (what, self.0.get(what).copied().unwrap_or(0)))
    }

    fn count(&mut self, what: &'static str) {
        self.count_many(what, 1);
    }

    fn count_many(&mut self, what: &'static str, times: u64) {
        *self.0.entry(what).or_default() += times;
    }
}

pub(super) type History = HashMap<Subject, Vec<Fact>>;

/// Checks everything but the readers.
pub(super) fn check(world: &World) -> Result<Counts, String> {
    if let Some(alarm) = world.alarms.first() {
        return Err(alarm.clone());
    }
    let mut counts = Counts::default();
    let history = fold(&world.records(), world.window, &mut counts)?;
    writers_agree(world, &history)?;
    for (what, times) in world.disks.counts(&world.nodes) {
        counts.count_many(what, times);
    }
    for (ticket, asked) in world.asked.iter().enumerate() {
        let facts = history.get(&asked.subject).map_or(&[][..], Vec::as_slice);
        answer_is_true(asked, facts, &mut counts).map_err(|problem| {
            format!(
                "ticket {ticket} {:?} of {} got {:?}: {problem}",
                asked.order, asked.subject, asked.answer
            )
        })?;
    }
    Ok(counts)
}

/// The rule, plainly; and every effective record was decided on exactly the state before it, and each command once.
fn fold(records: &[LogRecord], window: i64, counts: &mut Counts) -> Result<History, String> {
    let mut history = History::new();
    let mut commands = HashSet::new();
    for record in records {
        let key = RecordKey::parse(&record.key).map_err(|e| e.to_string())?;
        let facts = history.entry(key.subject.clone()).or_default();
        let current = facts.last().map_or(0, |fact: &Fact| fact.version);
        let distance = record.offset - key.basis;
        if !(0..=window).contains(&distance) {
            counts.count("outside window");
            if key.version == current + 1 {
                counts.count("only outside window");
            }
            continue;
        }
        if key.version != current + 1 {
            counts.count("stale");
            continue;
        }
        counts.count("effective");
        let written = shop::decode(record).map_err(|e| e.to_string())?;
        let Changed { seen, .. } = written.event;
        let before = facts.last().map(|fact| fact.after);
        if seen != before.map_or(0, |stock| stock.digest) {
            return Err(format!("offset {} was not decided on the state before it", record.offset));
        }
        let (Some(command_id), Some(command_hash)) = (written.command_id, written.command_hash) else {
            return Err(format!("offset {} has no command", record.offset));
        };
        if !commands.insert(command_id) {
            return Err(format!("command {command_id} has two effective records"));
        }
        let after =
            Shop::evolve(before, &key.subject, key.version, &written.event).map_err(|e| e.to_string())?;
        let (offset, version, event_id) = (record.offset, key.version, key.event_id);
        facts.push(Fact { offset, version, event_id, command_id, command_hash, after });
    }
    Ok(history)
}

/// At rest every writer has the same state, and it is the log's.
fn writers_agree(world: &World, history: &History) -> Result<(), String> {
    for (n, node) in world.nodes.iter().enumerate() {
        if node.sequencer.next() != world.records().len() as Offset {
            return Err(format!("writer {n} has not applied the whole log"));
        }
        for subject in &world.subjects {
            let last = history.get(subject).and_then(|facts| facts.last());
            let version = last.map_or(0, |fact| fact.version);
            let state = node.sequencer.state(subject).map(|state| *state);
            if node.sequencer.version(subject) != version || state != last.map(|fact| fact.after) {
                return Err(format!("writer {n} has another state of {subject}"));
            }
        }
    }
    Ok(())
}

fn answer_is_true(asked: &Asked, facts: &[Fact], counts: &mut Counts) -> Result<(), String> {
    let effective = facts.iter().find(|fact| fact.command_id == asked.command_id);
    let own = facts.iter().find(|fact| asked.appends.contains(&fact.event_id));
    let Some((answer, answered)) = &asked.answer else {
        counts.count("lost");
        return if asked.lost { Ok(()) } else { Err("no answer".into()) };
    };
    match answer {
        Answer::Accepted { version, event_id, offset, replayed } => {
            counts.count(if *replayed { "replayed" } else { "accepted" });
            let fact = effective.ok_or("accepted, but no record of it is effective")?;
            if (fact.version, fact.event_id, fact.offset) != (*version, *event_id, *offset) {
                return Err("another record is effective".into());
            }
            if *replayed == asked.appends.contains(event_id) {
                return Err("replayed means: by another submission".into());
            }
            holds(fact.command_hash == asked.command_hash, "it was another command")?;
            holds(offset < answered, "answered before it was in the log")
        }
        Answer::KeyReused { version, event_id, offset } => {
            counts.count("key reused");
            let fact = effective.ok_or("no record has its key")?;
            holds(own.is_none(), "its own record is effective")?;
            holds(
                (fact.version, fact.event_id, fact.offset) == (*version, *event_id, *offset),
                "another record",
            )?;
            holds(fact.command_hash != asked.command_hash, "it was the same command")
        }
        Answer::NoEffect { version, at } => {
            counts.count("no effect");
            without_record(asked, facts, *version, *at, *answered, &Decision::NoEffect)
        }
        Answer::Rejected { rejection, version, at } => {
            counts.count("rejected");
            without_record(asked, facts, *version, *at, *answered, &Decision::Rejected(*rejection))
        }
        Answer::Conflict { expected, actual, at } => {
            counts.count("conflict");
            holds(asked.expected == *expected && !expected.is_met_by(*actual), "it is no conflict")?;
            nothing_before(asked, facts, *actual, *at, *answered).map(|_| ())
        }
        Answer::Contended { version, at } => {
            counts.count("contended");
            nothing_before(asked, facts, *version, *at, *answered)?;
            holds(own.is_none() && !asked.appends.is_empty(), "its own record is effective")
        }
        Answer::OutcomeUnknown => {
            counts.count("outcome unknown");
            holds(!asked.appends.is_empty(), "nothing was ever appended")
        }
        Answer::Overloaded => {
            counts.count("overloaded");
            holds(asked.appends.is_empty(), "something was appended")
        }
        Answer::DeadlineExceeded => {
            counts.count("deadline exceeded");
            holds(asked.appends.is_empty(), "something was appended")
        }
        Answer::Unreadable | Answer::Quarantined | Answer::TooLarge(_) | Answer::Defect(_) => {
            Err("nothing in these histories can cause it".into())
        }
    }
}

/// An answer without a record is what the domain decides at `at`.
fn without_record(
    asked: &Asked,
    facts: &[Fact],
    version: u64,
    at: Offset,
    answered: Offset,
    decision: &Decision<Changed, No>,
) -> Result<(), String> {
    let state = nothing_before(asked, facts, version, at, answered)?;
    holds(asked.expected.is_met_by(version), "it is a conflict")?;
    holds(Shop::decide(state.as_ref(), &asked.order) == *decision, "the domain decides otherwise there")
}

/// `at` lies between arrival and answer, the product has the version there, the command is not known there, and none of
/// its records counts later. Returns the state at `at`.
fn nothing_before(
    asked: &Asked,
    facts: &[Fact],
    version: u64,
    at: Offset,
    answered: Offset,
) -> Result<Option<Stock>, String> {
    holds(
        asked.arrived <= at && at <= answered,
        "it speaks of a time before the question or after the answer",
    )?;
    let below = &facts[..facts.partition_point(|fact| fact.offset < at)];
    holds(below.last().map_or(0, |fact| fact.version) == version, "the product has another version there")?;
    holds(below.iter().all(|fact| fact.command_id != asked.command_id), "the command is in the log there")?;
    holds(facts.iter().all(|fact| !asked.appends.contains(&fact.event_id)), "its own record is effective")?;
    Ok(below.last().map(|fact| fact.after))
}

fn holds(condition: bool, otherwise: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(otherwise.into()) }
}
