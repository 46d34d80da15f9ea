//! Writers at work: signals go in, outputs come out and are carried out, and after each the state is compared with the
//! oracle.

use ledger::{Answer, Append, EventLog, Output, Signal, VoidReason};
use ledger_sim::SimEvent;

use super::{World, say};
use crate::catalog::Catalog;
use crate::counts::What;
use crate::node::P;
use crate::oracle::Verdict;
use crate::schemas::{newer, value};
use crate::violation::Checked;
use crate::violation::Invariant::{
    EveryCommandIsAnswered, NoFalseAlarm, OneAnswerInTime, ReadersAgree, WritersAgree,
};

impl World {
    /// The network or the broker does one thing. False if there is nothing to do.
    pub(super) fn network(&mut self) -> Checked<bool> {
        let Some(step) = self.topic.take_step() else { return Ok(false) };
        let node = self.nodes.iter().position(|node| node.writer == step.writer);
        let counted = match step.what {
            SimEvent::Lost { .. } => Some(What::AppendsLost),
            SimEvent::LandedUnknown { .. } => Some(What::LandedUnknown),
            SimEvent::HeldBack { .. } => Some(What::HeldBack),
            SimEvent::Delayed => Some(What::Delayed),
            SimEvent::EndRead { end: None, .. } => Some(What::EndLost),
            SimEvent::Landed { .. }
            | SimEvent::CopyLanded { .. }
            | SimEvent::EndRead { .. }
            | SimEvent::Delivered
            | SimEvent::Followed { .. } => None,
        };
        if let Some(what) = counted {
            self.counts.count(what);
        }
        if !matches!(step.what, SimEvent::Delivered | SimEvent::Followed { .. }) {
            match node {
                Some(node) => say!(self, "log", "{:?} of {}", step.what, self.nodes[node]),
                None => say!(self, "log", "{:?} of a dead writer", step.what),
            }
        }
        for record in &step.landed {
            let entry = self.oracle.landed(record, &mut self.counts)?;
            let key = String::from_utf8_lossy(&record.key);
            say!(self, "log", "offset {} is {key}: {:?}", record.offset, entry.verdict);
        }
        // Compaction is most awkward right behind a copy: then writers still wait for the first.
        if matches!(step.what, SimEvent::CopyLanded { .. }) && self.dice.percent(self.plan.compacting) {
            self.compact()?;
        }
        let is_told = matches!(step.what, SimEvent::Delivered | SimEvent::Followed { .. });
        if let Some(node) = node
            && is_told
            && self.is_awake(node)
            && !self.dice.percent(self.plan.lazy)
        {
            self.work(node)?;
        }
        Ok(true)
    }

    /// A writer works off its inbox.
    pub(super) fn work(&mut self, node: usize) -> Checked {
        let writer = self.nodes[node].writer;
        for signal in self.nodes[node].signals() {
            // It may have died of the one before.
            if self.nodes[node].writer != writer {
                break;
            }
            self.feed(node, signal)?;
            self.carry_out(node, usize::MAX)?;
        }
        self.save(node);
        Ok(())
    }

    pub(super) fn feed(&mut self, node: usize, signal: Signal) -> Checked {
        let hears = &mut self.nodes[node];
        match &signal {
            Signal::Records { records, .. } => {
                let (first, last) =
                    (records.first().map_or(0, |r| r.offset), records.last().map_or(0, |r| r.offset));
                say!(self, hears, "reads {first}..={last}");
            }
            Signal::Position { position, .. } => say!(self, hears, "has read up to {position}"),
            Signal::Appended { append_id, outcome, .. } => {
                say!(self, hears, "hears of append {}: {outcome:?}", append_id.0);
            }
            Signal::EndOffset { outcome, .. } => say!(self, hears, "hears of the end: {outcome:?}"),
            Signal::TailFailed { error, .. } => say!(self, hears, "hears: {error}"),
        }
        if let Signal::Appended { append_id, outcome: Err(_), .. } = &signal {
            self.oracle.outcome_unknown(hears.writer, *append_id);
        }
        hears.feed(self.now_ms, signal, &self.written);
        self.compare(node)
    }

    /// Carries out what the writer wants, up to so many outputs.
    pub(super) fn carry_out(&mut self, node: usize, most: usize) -> Checked {
        let mut dies = false;
        for _ in 0..most {
            let Some(output) = self.nodes[node].driver.next_output() else { break };
            dies |= match output {
                // It may hold answers of the time before, which is what the compaction lag is for.
                Output::Discard { .. } => self.nodes[node].born < self.compacted_at,
                Output::GiveUp { .. } => self.dice.percent(50),
                _ => false,
            };
            self.carry_out_one(node, output)?;
        }
        if most < usize::MAX {
            return Ok(());
        }
        if dies {
            return self.crash(node);
        }
        self.compare(node)?;
        let (waiting, open) = (self.nodes[node].driver.sequencer().waiting(), self.nodes[node].open.len());
        OneAnswerInTime.holds(waiting == open, || {
            format!("{} says that {waiting} commands wait, but {open} have no answer", self.nodes[node])
        })
    }

    fn carry_out_one(&mut self, node: usize, output: Output<Catalog>) -> Checked {
        match output {
            Output::Append(append) => self.append(node, append),
            Output::AskEndOffset { request } => {
                say!(self, self.nodes[node], "asks for the end");
                self.nodes[node].log.ask_end_offset(P, request);
                Ok(())
            }
            Output::Answer { context: ticket, answer } => {
                say!(self, self.nodes[node], "answers ticket {ticket}: {answer:?}");
                let end = self.end_offset();
                let settles = self.oracle.answered(ticket, &answer, end, &mut self.counts)?;
                let is_late = ticket >= self.asked_under_faults && !self.has_holes;
                let gives_up = matches!(answer, Answer::OutcomeUnknown | Answer::DeadlineExceeded);
                EveryCommandIsAnswered.holds(!(is_late && gives_up), || {
                    format!("ticket {ticket} was asked after the faults, and the answer is {answer:?}")
                })?;
                self.nodes[node].open.retain(|open| *open != ticket);
                self.closed(ticket, settles);
                Ok(())
            }
            Output::Discard { reason } => {
                say!(self, self.nodes[node], "discards its state: {reason}");
                // Only a hole makes log and reports contradict each other, and only another log refutes a snapshot.
                let discards = &mut self.nodes[node];
                let is_misled = discards.is_misled();
                let overflowed = reason.contains("wait for a schema");
                let is_right = self.has_holes || is_misled || overflowed || discards.tails_lost > 0;
                NoFalseAlarm.holds(is_right, || format!("{discards} discards its state: {reason}"))?;
                if overflowed {
                    self.counts.count(What::Overflowed);
                } else if discards.tails_lost == 0 {
                    self.counts.count(if is_misled { What::Refuted } else { What::Discards });
                }
                discards.discarded();
                Ok(())
            }
            Output::TailFrom(from) => {
                say!(self, self.nodes[node], "follows from {from}");
                self.nodes[node].tail_failed = false;
                self.nodes[node].log.tail_from(P, from);
                Ok(())
            }
            Output::TailFailed { .. } => Ok(()),
            Output::AskSchema { schema, .. } => {
                say!(self, self.nodes[node], "asks for schema {schema}");
                self.counts.count(What::SchemasAsked);
                self.nodes[node].known.ask(schema);
                Ok(())
            }
            Output::GiveUp { reason } => {
                say!(self, self.nodes[node], "gives up: {reason}");
                Ok(())
            }
            Output::UnreadableRecord { offset, .. } if self.oracle.is_strange_at(offset) => {
                self.counts.count(What::StrangeRecords);
                Ok(())
            }
            Output::Violation { .. } | Output::UnreadableRecord { .. } => {
                Err(NoFalseAlarm.broken(format!("{}: {output:?}", self.nodes[node])))
            }
            Output::VoidRecord { offset, reason } => {
                let verdict = self.oracle.entry(offset).map(|entry| entry.verdict);
                let agrees = match reason {
                    VoidReason::Stale => verdict == Some(Verdict::Stale),
                    VoidReason::OutsideWindow => verdict == Some(Verdict::OutsideWindow),
                    VoidReason::Garbage => verdict == Some(Verdict::Garbage),
                    VoidReason::WrongPartition => verdict == Some(Verdict::Elsewhere),
                    VoidReason::Ahead => false,
                };
                ReadersAgree.holds(agrees, || {
                    format!(
                        "{} says that offset {offset} is {reason:?}, the log says {verdict:?}",
                        self.nodes[node]
                    )
                })
            }
        }
    }

    fn append(&mut self, node: usize, append: Append<Catalog>) -> Checked {
        let Append { append_id, command, .. } = append;
        let context = self.nodes[node].driver.context(command).copied();
        let ticket = context.ok_or_else(|| {
            OneAnswerInTime.broken(format!("{} appends for a command it has answered", self.nodes[node]))
        })?;
        if self.dice.percent(self.plan.refused) {
            say!(self, self.nodes[node], "cannot write {} for ticket {ticket}: too large", append.key);
            self.counts.count(What::Refused);
            self.oracle.tickets[ticket as usize].is_refused = true;
            self.nodes[node].driver.refused(append_id, "too large".to_owned());
            return Ok(());
        }
        say!(
            self,
            self.nodes[node],
            "appends {} as {} ({}) for ticket {ticket}",
            append.key,
            append_id.0,
            append.event.type_name()
        );
        let schema = self.dice.percent(self.plan.newer).then(|| newer(&mut self.dice, self.plan.strange));
        let place = self.written.push(append.event.clone(), append.command_id, append.command_hash);
        self.nodes[node].append(append_id, append.key.clone(), value(schema, place));
        let (writer, max_attempts) = (self.nodes[node].writer, self.plan.limits.max_attempts as usize);
        self.oracle.appended(writer, (ticket, append), schema, max_attempts)
    }

    /// The writer's states are those of the log where it stands.
    fn compare(&mut self, node: usize) -> Checked {
        let node = &mut self.nodes[node];
        let sequencer = node.driver.sequencer();
        let next = sequencer.next();
        let withheld = sequencer.withheld_products();
        if (next, withheld) == node.compared || node.is_misled() {
            return Ok(());
        }
        node.compared = (next, withheld);
        let end = self.topic.end(P);
        WritersAgree.holds(next <= end, || format!("{node} stands at {next}, the log ends at {end}"))?;
        for (product, subject) in self.oracle.subjects.iter().enumerate() {
            self.counts.count(What::States);
            let version = sequencer.version(subject);
            let (least, most) = self.oracle.versions_at(product, next);
            WritersAgree.holds(least <= version && version <= most, || {
                format!("{node} has version {version} of {subject} at {next}, the log has {most}")
            })?;
            let state = sequencer.state(subject);
            let is_right = state.as_deref() == self.oracle.state(product, version)
                || state.is_none() && self.oracle.may_be_unreadable(product, version)
                || state.is_none() && withheld > 0 && self.oracle.may_be_withheld(product, version);
            WritersAgree
                .holds(is_right, || format!("{node} has another state of {subject} at {next}: {state:?}"))?;
        }
        Ok(())
    }
}
