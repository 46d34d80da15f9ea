//! Every answer against the log, and the log against what was asked.

use std::collections::{BTreeMap, HashMap, HashSet};

use contract::code::Code;
use domain::{Decision, decide};
use uuid::Uuid;

use super::bounds::Bounds;
use super::{Attempt, Recorded, Told};
use crate::Oracle;
use crate::oracle::Effective;

/// Violations told in full; of more only the number is kept.
const TOLD: usize = 20;

/// What a check came to.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Answers by name.
    pub answers: BTreeMap<String, u64>,
    /// Commands, and requests for them.
    pub commands: u64,
    pub attempts: u64,
    /// Effective records whose command was never acknowledged (its client gave up, or was told something else meanwhile).
    pub unacknowledged: u64,
    /// How many violations there are, and the first of them.
    pub violations: u64,
    pub first: Vec<String>,
}

impl Verdict {
    fn violation(&mut self, what: String) {
        self.violations += 1;
        if self.first.len() < TOLD {
            self.first.push(what);
        }
    }

    fn holds(&mut self, is_so: bool, what: impl FnOnce() -> String) {
        if !is_so {
            self.violation(what());
        }
    }

    /// How many answers of this name there were.
    pub fn told(&self, name: &str) -> u64 {
        self.answers.get(name).copied().unwrap_or_default()
    }
}

/// Compares. `recorded` holds every command that was ever given to the log's writers.
pub fn check(oracle: &Oracle, recorded: &[Recorded]) -> Verdict {
    let mut verdict = Verdict { commands: recorded.len() as u64, ..Verdict::default() };
    let commands: HashMap<Uuid, &Recorded> = recorded.iter().map(|it| (it.command_id(), it)).collect();
    verdict.holds(commands.len() == recorded.len(), || {
        "writers used a key twice: the check means nothing".into()
    });
    let mut effects: HashMap<Uuid, Vec<&Effective>> = HashMap::new();
    let mut bounds = Bounds::default();
    for (product, history) in &oracle.products {
        for (index, record) in history.iter().enumerate() {
            verdict
                .holds(record.version == index as u64 + 1, || format!("{product}: a gap before {record:?}"));
            let Some(given) = record.command_id.and_then(|id| commands.get(&id)) else {
                verdict.violation(format!("{product}: nobody asked for {record:?}"));
                continue;
            };
            effects.entry(given.command_id()).or_default().push(record);
            bounds.asked(record.partition, given.first_sent(), record.offset);
            let before = index.checked_sub(1).map(|before| &history[before].after);
            let decided = decide(before, &given.command);
            verdict
                .holds(given.product == *product && decided == Decision::Event(record.event.clone()), || {
                    format!("{product}: not decided on the state before it: {record:?} for {given:?}")
                });
        }
    }
    for attempt in recorded.iter().flat_map(|it| &it.attempts) {
        verdict.attempts += 1;
        *verdict.answers.entry(attempt.told.name().to_owned()).or_default() += 1;
        if let Told::Accepted { partition, at, .. } = attempt.told {
            bounds.acknowledged(partition, attempt.answered, at);
        }
    }
    bounds.sort();
    let mut answered = HashSet::new();
    for given in recorded {
        let effects = effects.get(&given.command_id()).map(Vec::as_slice).unwrap_or_default();
        check_effects(&mut verdict, given, effects);
        for attempt in &given.attempts {
            check_answer(&mut verdict, oracle, &bounds, given, attempt);
            if let Told::Accepted { event_id, .. } = attempt.told {
                answered.insert(event_id);
            }
        }
    }
    verdict.unacknowledged =
        oracle.products.values().flatten().filter(|it| !answered.contains(&it.event_id)).count() as u64;
    verdict.holds(oracle.repeated_keys == 0, || {
        format!(
            "{} records have a key that an earlier record has: something was appended twice",
            oracle.repeated_keys
        )
    });
    verdict
}

/// One effect per command at most, the one that was answered, and none where every attempt was told that there is none.
fn check_effects(verdict: &mut Verdict, given: &Recorded, effects: &[&Effective]) {
    verdict.holds(effects.len() <= 1, || {
        format!("{} effects of one command: {given:?}: {effects:?}", effects.len())
    });
    let may_have_one = |it: &Attempt| matches!(it.told, Told::Unknown(_) | Told::Accepted { .. });
    verdict.holds(effects.is_empty() || given.attempts.iter().any(may_have_one), || {
        format!("an effect of a command that was told it has none: {given:?}: {effects:?}")
    });
}

fn check_answer(
    verdict: &mut Verdict,
    oracle: &Oracle,
    bounds: &Bounds,
    given: &Recorded,
    attempt: &Attempt,
) {
    let lie = |why: &str| format!("{why}: {given:?} was told {:?}", attempt.told);
    let id = given.product.as_str();
    if let Told::Wrong(_) = attempt.told {
        return verdict.violation(lie("no client should be told this"));
    }
    let Some((partition, at)) = attempt.told.place() else { return };
    if let Told::Accepted { version, event_id, .. } = attempt.told {
        // Its record may be of an earlier attempt.
        verdict.holds(at > bounds.before(partition, given.first_sent()), || {
            lie("older than what it came after")
        });
        verdict
            .holds(at < bounds.after(partition, attempt.answered), || lie("newer than what came after it"));
        let record = version.checked_sub(1).and_then(|index| oracle.products.get(id)?.get(index as usize));
        let is_it = record.is_some_and(|it| {
            (it.version, it.partition, it.offset, it.event_id) == (version, partition, at, event_id)
                && it.command_id == Some(given.command_id())
        });
        verdict.holds(is_it, || lie("no such effective record"));
        verdict
            .holds(given.expected.is_none_or(|it| it + 1 == version), || lie("another version was expected"));
        return;
    }
    // Without a record: true of the records up to `at`, at a moment between question and answer.
    verdict.holds(at >= bounds.before(partition, attempt.sent), || {
        lie("true only of a past before the question")
    });
    verdict.holds(at < bounds.after(partition, attempt.answered), || lie("it speaks of what came after it"));
    let before = oracle.before(id, at + 1);
    let actual = before.map_or(0, |it| it.version);
    verdict.holds(attempt.told.version() == Some(actual), || lie(&format!("the version was {actual}")));
    if let Told::Conflict { .. } = attempt.told {
        return verdict.holds(given.expected.is_some_and(|it| it != actual), || lie("there was no conflict"));
    }
    verdict.holds(given.expected.is_none_or(|it| it == actual), || lie("it was a conflict"));
    let decision = decide(before.map(|it| &it.after), &given.command);
    let is_true = match (&attempt.told, &decision) {
        (Told::NoEffect { .. }, Decision::NoEffect) => true,
        (Told::Rejected { code, .. }, Decision::Rejected(rejection)) => Code::from(rejection) == *code,
        _ => false,
    };
    verdict.holds(is_true, || lie(&format!("the decision was {decision:?}")));
}
