//! Answers held against the oracle.

use domain::{Decision, Product, Rejection};
use ledger::{Answer, Offset};
use uuid::Uuid;

use super::{Fact, REMEMBERED, Standing, Ticket, Truth};
use crate::counts::{Counts, What};
use crate::violation::Checked;
use crate::violation::Invariant::{AcknowledgedIsKept, AnswersAreTrue, NoFalseAlarm, OneAnswerInTime};

/// An answer that speaks of the product at an offset.
struct Statement<'a> {
    version: u64,
    at: Offset,
    /// What the domain then decides; `None` where it is not asked.
    decision: Option<&'a Decision>,
}

impl Truth {
    /// The answer to a ticket, given when the log ended at `end`. True if it settles the command for its client.
    pub(crate) fn answered(
        &mut self,
        ticket: u64,
        answer: &Answer<Rejection>,
        end: Offset,
        counts: &mut Counts,
    ) -> Checked<bool> {
        let asked = &self.tickets[ticket as usize];
        let about = |problem: String| {
            format!("ticket {ticket} ({}): {problem}; the answer: {answer:?}", asked.request.command.name())
        };
        OneAnswerInTime.holds(asked.standing == Standing::Open, || about("a second answer".into()))?;
        let wrote_nothing = self.is_true(asked, answer, end, counts).map_err(|mut violation| {
            violation.what = about(violation.what);
            violation
        })?;
        let settles = !matches!(
            answer,
            Answer::Contended { .. }
                | Answer::OutcomeUnknown
                | Answer::Overloaded
                | Answer::DeadlineExceeded
                | Answer::TooLarge(_)
        );
        let asked = &mut self.tickets[ticket as usize];
        asked.standing = if wrote_nothing { Standing::WroteNothing } else { Standing::Answered };
        Ok(settles)
    }

    /// Checks an answer; says whether it promises that no record of this ticket counts, now or later.
    fn is_true(
        &self,
        asked: &Ticket,
        answer: &Answer<Rejection>,
        end: Offset,
        counts: &mut Counts,
    ) -> Checked<bool> {
        let appended = !asked.appends.is_empty();
        let holds = |condition, otherwise: &str| AnswersAreTrue.holds(condition, || otherwise.to_owned());
        match answer {
            Answer::Accepted { version, event_id, offset, replayed } => {
                counts.count(if *replayed { What::Replayed } else { What::Accepted });
                let fact = self.fact(asked, *version, *event_id, *offset)?;
                holds(fact.command_hash == asked.request.command_hash, "the record is of another command")?;
                holds(
                    *replayed != asked.appends.contains(event_id),
                    "replayed means: by another submission",
                )?;
                holds(*offset < end, "answered before it was in the log")?;
                Ok(false)
            }
            Answer::KeyReused { version, event_id, offset } => {
                counts.count(What::KeyReused);
                let fact = self.fact(asked, *version, *event_id, *offset)?;
                holds(fact.command_hash != asked.request.command_hash, "the record is of the same command")?;
                Ok(true)
            }
            Answer::NoEffect { version, at } => {
                counts.count(What::NoEffect);
                let decision = Some(&Decision::NoEffect);
                self.holds_at(asked, &Statement { version: *version, at: *at, decision }, end)
            }
            Answer::Rejected { rejection, version, at } => {
                counts.count(What::Rejected);
                let decision = Some(&Decision::Rejected(rejection.clone()));
                self.holds_at(asked, &Statement { version: *version, at: *at, decision }, end)
            }
            Answer::Conflict { expected, actual, at } => {
                counts.count(What::Conflict);
                let is_conflict = *expected == asked.request.expected.into() && !expected.is_met_by(*actual);
                holds(is_conflict, "it is no conflict")?;
                self.holds_at(asked, &Statement { version: *actual, at: *at, decision: None }, end)
            }
            Answer::Contended { version, at } => {
                counts.count(What::Contended);
                holds(appended, "nothing was ever appended")?;
                self.holds_at(asked, &Statement { version: *version, at: *at, decision: None }, end)
            }
            Answer::OutcomeUnknown => {
                counts.count(What::OutcomeUnknown);
                holds(appended || asked.is_refused, "nothing was ever appended")?;
                Ok(false)
            }
            Answer::Overloaded | Answer::DeadlineExceeded => {
                let overloaded = matches!(answer, Answer::Overloaded);
                counts.count(if overloaded { What::Overloaded } else { What::DeadlineExceeded });
                holds(!appended, "something was appended")?;
                Ok(true)
            }
            Answer::TooLarge(_) => {
                counts.count(What::TooLarge);
                holds(asked.is_refused, "nothing was refused")?;
                self.nothing_counts(asked)
            }
            Answer::Unreadable => {
                counts.count(What::Unreadable);
                let product = asked.request.product;
                holds(self.may_be_unreadable(product, u64::MAX), "everyone can read the product")?;
                self.nothing_counts(asked)
            }
            Answer::Withheld => {
                counts.count(What::Withheld);
                let product = asked.request.product;
                holds(self.may_be_withheld(product, u64::MAX), "everyone knows the product's schemas")?;
                // It may be asked again.
                self.nothing_counts(asked).map(|_| false)
            }
            Answer::Quarantined | Answer::Defect(_) => {
                Err(NoFalseAlarm.broken("nothing in the simulation can cause it"))
            }
        }
    }

    /// The effective record that the answer names.
    fn fact(&self, asked: &Ticket, version: u64, event_id: Uuid, offset: Offset) -> Checked<&Fact> {
        let fact = version.checked_sub(1).and_then(|at| self.facts[asked.request.product].get(at as usize));
        let named = fact.filter(|fact| {
            // After compaction a copy stands for the first.
            let stands_there = self.entry(offset).is_some_and(|entry| entry.event_id == event_id);
            fact.event_id == event_id && fact.command_id == asked.request.command_id && stands_there
        });
        named.ok_or_else(|| AcknowledgedIsKept.broken("no such record is effective"))
    }

    /// The statement lies between arrival and answer, it is true there, and no record of the ticket counts.
    fn holds_at(&self, asked: &Ticket, said: &Statement<'_>, end: Offset) -> Checked<bool> {
        let holds = |condition, otherwise: &str| AnswersAreTrue.holds(condition, || otherwise.to_owned());
        holds(asked.arrived <= said.at, "it speaks of a time before the question")?;
        holds(said.at <= end, "it speaks of a time after the answer")?;
        let facts = &self.facts[asked.request.product];
        let below = &facts[..facts.partition_point(|fact| fact.offset < said.at)];
        holds(below.len() as u64 == said.version, "the product has another version there")?;
        let remembered = &below[below.len().saturating_sub(REMEMBERED as usize)..];
        let is_known = remembered.iter().any(|fact| fact.command_id == asked.request.command_id);
        holds(!is_known, "the command is in the log there")?;
        if let Some(decision) = said.decision {
            holds(asked.request.expected.allows(said.version), "it is a conflict there")?;
            let state: Option<&Product> = below.last().map(|fact| &*fact.after);
            holds(
                domain::decide(state, &asked.request.command) == *decision,
                "the domain decides otherwise there",
            )?;
        }
        self.nothing_counts(asked)
    }

    fn nothing_counts(&self, asked: &Ticket) -> Checked<bool> {
        let facts = &self.facts[asked.request.product];
        let counts = asked.appends.iter().any(|event_id| facts.iter().any(|fact| fact.event_id == *event_id));
        AnswersAreTrue.holds(!counts, || "its own record is effective".to_owned())?;
        Ok(true)
    }
}
