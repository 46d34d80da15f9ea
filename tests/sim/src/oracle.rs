//! The oracle: the log folded record by record as it lands, by the rule written down anew. Shares no code with the
//! ledger's sequencer and reader, so that a mistake in theirs does not hide itself.

mod answers;
mod holes;
mod tickets;

pub(crate) use tickets::{Expecting, Request, Standing, Ticket};

use std::rc::Rc;

use ahash::AHashMap;
use domain::{Decision, Product};
use ledger::{Append, AppendId, CommandHash, CommandId, LogRecord, Offset, Subject};
use uuid::Uuid;

use crate::catalog::{Catalog, fold};
use crate::counts::{Counts, What};
use crate::schemas::is_strange;
use crate::violation::Checked;
use crate::violation::Invariant::{
    AnswersAreTrue, DecidedOnTheStateBefore, KeysAreUnique, OneAnswerInTime, OneEffectPerCommand,
    VersionsGapless,
};

/// A constant of the log format.
pub(crate) const WINDOW: Offset = 100_000;
/// How many commands of a product are remembered: a constant of the design.
pub(crate) const REMEMBERED: u64 = 64;

/// What the rule says of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Effective,
    Stale,
    OutsideWindow,
    Garbage,
    Elsewhere,
}

/// A record of the log.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) offset: Offset,
    pub(crate) verdict: Verdict,
    pub(crate) product: usize,
    pub(crate) version: u64,
    basis: Offset,
    pub(crate) event_id: Uuid,
    /// Compaction took it away.
    removed: bool,
}

/// An effective record, and the state it made.
#[derive(Debug)]
pub(crate) struct Fact {
    /// Where it landed first.
    pub(crate) offset: Offset,
    /// Where it stands now, for those who come after compaction.
    pub(crate) stands: Offset,
    pub(crate) event_id: Uuid,
    command_id: CommandId,
    command_hash: CommandHash,
    after: Rc<Product>,
    /// The schema of its own that it names.
    schema: Option<u32>,
}

struct Appended {
    ticket: u64,
    writer: usize,
    append_id: u64,
    append: Append<Catalog>,
    schema: Option<u32>,
    landed: bool,
}

pub(crate) struct Truth {
    pub(crate) subjects: Vec<Subject>,
    pub(crate) tickets: Vec<Ticket>,
    facts: Vec<Vec<Fact>>,
    entries: Vec<Entry>,
    appends: AHashMap<Uuid, Appended>,
    /// The facts of each command: their product and index.
    commands: AHashMap<CommandId, Vec<(usize, usize)>>,
    /// The newest append of each writer that has landed.
    newest: AHashMap<usize, u64>,
}

impl Truth {
    pub(crate) fn new(subjects: Vec<Subject>) -> Self {
        Self {
            facts: subjects.iter().map(|_| Vec::new()).collect(),
            subjects,
            tickets: Vec::new(),
            entries: Vec::new(),
            appends: AHashMap::new(),
            commands: AHashMap::new(),
            newest: AHashMap::new(),
        }
    }

    /// A writer appends.
    pub(crate) fn appended(
        &mut self,
        writer: usize,
        (ticket, append): (u64, Append<Catalog>),
        schema: Option<u32>,
        max_attempts: usize,
    ) -> Checked {
        let event_id = append.key.event_id;
        let asked = &mut self.tickets[ticket as usize];
        OneAnswerInTime.holds(asked.standing == Standing::Open, || {
            format!("an append for ticket {ticket}, which is {:?}: {append:?}", asked.standing)
        })?;
        asked.appends.push(event_id);
        OneAnswerInTime.holds(asked.appends.len() <= max_attempts + asked.unknowns, || {
            format!(
                "ticket {ticket} is tried more often than {max_attempts} times and {} unknown",
                asked.unknowns
            )
        })?;
        let append_id = append.append_id.0;
        let appended = Appended { ticket, writer, append_id, append, schema, landed: false };
        let before = self.appends.insert(event_id, appended);
        KeysAreUnique.holds(before.is_none(), || format!("event id {event_id} was used before"))
    }

    /// A writer hears that it does not know what became of an append.
    pub(crate) fn outcome_unknown(&mut self, writer: usize, append_id: AppendId) {
        let of_it = |appended: &&Appended| (appended.writer, appended.append_id) == (writer, append_id.0);
        if let Some(appended) = self.appends.values().find(of_it) {
            self.tickets[appended.ticket as usize].unknowns += 1;
        }
    }

    /// A record that no writer of the simulation wrote.
    pub(crate) fn foreign(&mut self, offset: Offset, verdict: Verdict, counts: &mut Counts) {
        counts.count(if verdict == Verdict::Garbage { What::Garbage } else { What::Elsewhere });
        let (product, version, basis, event_id) = (usize::MAX, 0, 0, Uuid::nil());
        self.entries.push(Entry { offset, verdict, product, version, basis, event_id, removed: false });
    }

    /// A record of a writer landed: judges it, and checks it if it counts.
    pub(crate) fn landed(&mut self, record: &LogRecord, counts: &mut Counts) -> Checked<&Entry> {
        let offset = record.offset;
        let (product, version, basis, event_id) = self.parse(&record.key)?;
        let appended = self.appends.get_mut(&event_id).ok_or_else(|| {
            KeysAreUnique.broken(format!("offset {offset} holds a record that nobody appended"))
        })?;
        let is_again = std::mem::replace(&mut appended.landed, true);
        let newest = self.newest.entry(appended.writer).or_insert(0);
        for (what, is_so) in [
            (What::LandedAgain, is_again),
            (What::LandedOutOfOrder, !is_again && *newest > appended.append_id),
            (What::LandedAfterDeath, self.tickets[appended.ticket as usize].standing == Standing::Dead),
        ] {
            if is_so {
                counts.count(what);
            }
        }
        *newest = appended.append_id.max(*newest);
        let current = self.facts[product].len() as u64;
        let distance = offset - basis;
        let verdict = if !(0..=WINDOW).contains(&distance) {
            counts.count(What::OutsideWindow);
            if version == current + 1 {
                counts.count(What::OnlyOutsideWindow);
            }
            Verdict::OutsideWindow
        } else if version == current + 1 {
            counts.count(What::Effective);
            if distance == WINDOW {
                counts.count(What::AtWindowsEdge);
            }
            Verdict::Effective
        } else {
            counts.count(What::Stale);
            VersionsGapless.holds(version <= current, || {
                format!(
                    "offset {offset} says version {version} of {}, which has {current}",
                    self.subjects[product]
                )
            })?;
            Verdict::Stale
        };
        self.entries.push(Entry { offset, verdict, product, version, basis, event_id, removed: false });
        if verdict == Verdict::Effective {
            self.count(offset, product, version, event_id)?;
        }
        Ok(&self.entries[self.entries.len() - 1])
    }

    /// An effective record: decided on exactly the state before it, and the only one of its command.
    fn count(&mut self, offset: Offset, product: usize, version: u64, event_id: Uuid) -> Checked {
        let Appended { ticket, append, schema, .. } = &self.appends[&event_id];
        let asked = &self.tickets[*ticket as usize];
        let request = &*asked.request;
        AnswersAreTrue.holds(asked.standing != Standing::WroteNothing, || {
            format!("offset {offset} counts, but ticket {ticket} was told that nothing is written")
        })?;
        let before = self.facts[product].last().map(|fact| &*fact.after);
        let subject = &self.subjects[product];
        let decided = domain::decide(before, &request.command);
        DecidedOnTheStateBefore.holds(decided == Decision::Event(append.event.clone()), || {
            format!(
                "offset {offset}: on the state before it the domain decides {decided:?}, written is {:?}",
                append.event
            )
        })?;
        DecidedOnTheStateBefore.holds(request.expected.allows(version - 1), || {
            format!(
                "offset {offset} gives version {version}, the client expected {:?} before",
                request.expected
            )
        })?;
        DecidedOnTheStateBefore.holds(append.before.as_deref() == before, || {
            format!("offset {offset} was decided on another state than the one before it")
        })?;
        let after = fold(before.cloned(), subject.as_str(), version, &append.event).map_err(|error| {
            DecidedOnTheStateBefore.broken(format!("offset {offset} does not fold: {error}"))
        })?;
        DecidedOnTheStateBefore.holds(*append.after == after, || {
            format!("offset {offset}: its writer made another state of it")
        })?;
        let (command_id, command_hash) = (append.command_id, append.command_hash);
        OneEffectPerCommand
            .holds((command_id, command_hash) == (request.command_id, Some(request.command_hash)), || {
                format!("offset {offset} carries another command's id than ticket {ticket}'s")
            })?;
        let facts = self.commands.entry(command_id).or_default();
        if let Some((_, earlier)) = facts.last() {
            let apart = version - (*earlier as u64 + 1);
            OneEffectPerCommand.holds(apart > REMEMBERED, || {
                format!("offset {offset} is the second effective record of command {command_id}, {apart} versions after the first")
            })?;
        }
        facts.push((product, self.facts[product].len()));
        let after = Rc::new(after);
        let (command_hash, schema) = (request.command_hash, *schema);
        let fact = Fact { offset, stands: offset, event_id, command_id, command_hash, after, schema };
        self.facts[product].push(fact);
        Ok(())
    }

    /// The key, read plainly.
    fn parse(&self, key: &[u8]) -> Checked<(usize, u64, Offset, Uuid)> {
        let text = String::from_utf8_lossy(key);
        let parsed = || {
            let mut parts = text.split('/');
            let subject = parts.next()?;
            let product = self.subjects.iter().position(|s| s.as_str() == subject)?;
            let (version, basis) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
            let event_id = Uuid::parse_str(parts.next()?).ok()?;
            parts.next().is_none().then_some((product, version, basis, event_id))
        };
        parsed().ok_or_else(|| KeysAreUnique.broken(format!("a writer wrote the key {text}")))
    }

    /// The record at `offset`.
    pub(crate) fn entry(&self, offset: Offset) -> Option<&Entry> {
        let at = self.entries.binary_search_by_key(&offset, |entry| entry.offset).ok()?;
        self.entries.get(at)
    }

    /// The ticket whose record this is.
    pub(crate) fn ticket_of(&self, event_id: Uuid) -> Option<u64> {
        self.appends.get(&event_id).map(|appended| appended.ticket)
    }

    pub(crate) fn facts(&self, product: usize) -> &[Fact] {
        &self.facts[product]
    }

    /// The state that this version is.
    pub(crate) fn state(&self, product: usize, version: u64) -> Option<&Product> {
        let at = usize::try_from(version).ok()?.checked_sub(1)?;
        self.facts[product].get(at).map(|fact| &*fact.after)
    }

    /// Whether a writer may be unable to read a product of that version.
    pub(crate) fn may_be_unreadable(&self, product: usize, version: u64) -> bool {
        self.facts[product].iter().take(version as usize).any(|fact| fact.schema.is_some_and(is_strange))
    }

    /// Whether a writer may have to ask what a product of that version is.
    pub(crate) fn may_be_withheld(&self, product: usize, version: u64) -> bool {
        self.facts[product].iter().take(version as usize).any(|fact| fact.schema.is_some())
    }

    /// Whether an effective record stands there that nobody but its writer can read.
    pub(crate) fn is_strange_at(&self, offset: Offset) -> bool {
        let append = self.entry(offset).and_then(|entry| self.appends.get(&entry.event_id));
        append.and_then(|append| append.schema).is_some_and(is_strange)
    }

    /// The versions a product may have for one who has applied everything below `next`: after compaction the lower one,
    /// else the higher.
    pub(crate) fn versions_at(&self, product: usize, next: Offset) -> (u64, u64) {
        let facts = &self.facts[product];
        let below = |at: fn(&Fact) -> Offset| facts.partition_point(|fact| at(fact) < next) as u64;
        (below(|fact| fact.stands), below(|fact| fact.offset))
    }
}
