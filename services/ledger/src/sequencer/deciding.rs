//! Deciding: what a command comes to on the product's effective state, and whose turn it is. Promises one append per
//! product at a time, and no answer without a record before the read barrier.

use std::sync::Arc;

use super::pending::{InFlight, Passage, Waiting};
use super::product::Product;
use super::{Answer, Append, CommandKey, Output, Sequencer};
use crate::laws::Laws;
use crate::{Aggregate, AppendId, CommandId, Decision, RecordKey, Subject};

/// What a look at a command came to.
enum Step<A: Aggregate> {
    Answer(Answer<A::Rejection>),
    Append { version: u64, event: A::Event, before: Option<Arc<A::State>>, after: A::State },
    Wait,
}

impl<A: Aggregate, X, L: Laws> Sequencer<A, X, L> {
    /// Decides the product's next commands, until one is in flight or has to wait.
    pub(super) fn advance(&mut self, subject: &Subject) {
        while self.is_ready {
            let Some(line) = self.lines.get_mut(subject) else { return };
            if line.in_flight.is_some() && self.laws.decides_on_effective_state_only() {
                return;
            }
            let undecided = line.in_flight;
            let Some(&command) = line.queue.front() else {
                if line.in_flight.is_none() {
                    self.lines.remove(subject);
                }
                return;
            };
            match self.look_at(command, subject, undecided) {
                Step::Wait => return,
                Step::Answer(answer) => {
                    self.leave_line(subject, command);
                    self.answer(command, answer);
                }
                Step::Append { version, event, before, after } => {
                    let append_id = self.append(command, version, event, before, after);
                    if let Some(line) = self.lines.get_mut(subject) {
                        line.queue.pop_front();
                        line.in_flight = Some(append_id);
                    }
                }
            }
        }
    }

    /// Every product with a line, in the order their first commands came.
    pub(super) fn advance_all(&mut self) {
        let mut lines: Vec<_> =
            self.lines.iter().map(|(subject, line)| (line.queue.front().copied(), subject.clone())).collect();
        lines.sort_unstable();
        for (_, subject) in lines {
            self.advance(&subject);
        }
    }

    /// A timer of the command has come up: its deadline, or the end of a back-off.
    pub(super) fn look_again(&mut self, command: CommandKey) {
        let Some(waiting) = self.commands.get(command) else { return };
        let subject = waiting.submission.subject.clone();
        if self.now_ms >= waiting.submission.deadline_ms {
            let written = !waiting.appends.is_empty();
            if let Some(line) = self.lines.get_mut(&subject) {
                line.remove(command);
            }
            let answer = if written { Answer::OutcomeUnknown } else { Answer::DeadlineExceeded };
            self.answer(command, answer);
        }
        self.advance(&subject);
    }

    /// The partition is applied up to the command's bound.
    pub(super) fn pass_barrier(&mut self, command: CommandKey) {
        let Some(waiting) = self.commands.get_mut(command) else { return };
        waiting.barrier = Passage::Passed;
        let subject = waiting.submission.subject.clone();
        self.advance(&subject);
    }

    /// After a record: whoever waits with the same command is answered now, however far back in line, for the product
    /// remembers only its last commands, and whoever comes after that would be decided as a new one.
    pub(super) fn settle_relatives(&mut self, subject: &str, record: Option<CommandId>) {
        let Some(record) = record else { return };
        for command in self.relatives.of(record) {
            let Some(waiting) = self.commands.get(command) else { continue };
            let subject = match &waiting.submission.subject {
                it if it.as_str() == subject => it.clone(),
                _ => continue,
            };
            if let Some(answer) = self.products.get(subject.as_str()).and_then(|p| self.known(p, waiting)) {
                self.leave_line(&subject, command);
                self.answer(command, answer);
                self.advance(&subject);
            }
        }
    }

    /// The product's append has an outcome: its line may go on.
    pub(super) fn free(&mut self, subject: &Subject, append_id: AppendId) {
        if let Some(line) = self.lines.get_mut(subject)
            && line.in_flight == Some(append_id)
        {
            line.in_flight = None;
        }
    }

    /// Puts a command back where it was: it came before the others.
    pub(super) fn first_in_line(&mut self, subject: &Subject, command: CommandKey) {
        self.lines.entry(subject.clone()).or_default().queue.push_front(command);
    }

    /// Answers a command, once.
    pub(super) fn answer(&mut self, command: CommandKey, answer: Answer<A::Rejection>) {
        if let Some(command_id) = self.commands.answered(command) {
            self.relatives.remove(command_id, command);
            self.outputs.push_back(Output::Answer { context: command, answer });
        }
    }

    fn leave_line(&mut self, subject: &Subject, command: CommandKey) {
        if let Some(line) = self.lines.get_mut(subject) {
            line.remove(command);
        }
    }

    fn look_at(&mut self, command: CommandKey, subject: &Subject, undecided: Option<AppendId>) -> Step<A> {
        let Some(waiting) = self.commands.get(command) else {
            debug_assert!(false, "a command leaves its line when it is answered");
            self.leave_line(subject, command);
            return Step::Wait;
        };
        if self.now_ms < waiting.not_before_ms {
            return Step::Wait;
        }
        let product = self.products.get(subject.as_str());
        if let Some(answer) = product.and_then(|product| self.known(product, waiting)) {
            return Step::Answer(answer);
        }
        if let Some(product) = product
            && (product.unreadable || product.quarantined || product.withheld)
        {
            return Step::Answer(match product {
                // An earlier append of this command may be, or become, the effective record.
                _ if waiting.unknowns > 0 => Answer::OutcomeUnknown,
                Product { unreadable: true, .. } => Answer::Unreadable,
                Product { quarantined: true, .. } => Answer::Quarantined,
                _ => Answer::Withheld,
            });
        }
        let (version, before) = match undecided.and_then(|id| self.in_flight.get(&id)) {
            // Reached only where a test has broken the law.
            Some(append) => (append.version, Some(&append.after)),
            None => (product.map_or(0, |p| p.version), product.and_then(|p| p.state.as_ref())),
        };
        let at = self.next;
        let expected = &waiting.submission.expected;
        let without_record = if expected.is_met_by(version) {
            match A::decide(before.map(Arc::as_ref), &waiting.submission.command) {
                Decision::NoEffect => Answer::NoEffect { version, at },
                Decision::Rejected(rejection) => Answer::Rejected { rejection, version, at },
                Decision::Event(_) if waiting.voids >= self.limits.max_attempts => {
                    Answer::Contended { version, at }
                }
                Decision::Event(event) => {
                    let before = before.cloned();
                    let state = before.as_deref().cloned();
                    return match A::evolve(state, subject, version + 1, &event) {
                        Ok(after) => Step::Append { version: version + 1, event, before, after },
                        Err(_) if waiting.unknowns > 0 => Step::Answer(Answer::OutcomeUnknown),
                        Err(error) => Step::Answer(Answer::Defect(error.to_string())),
                    };
                }
            }
        } else {
            Answer::Conflict { expected: expected.clone(), actual: version, at }
        };
        if matches!(without_record, Answer::Contended { .. }) || self.is_behind_barrier(waiting) {
            return Step::Answer(without_record);
        }
        if waiting.barrier == Passage::NotAsked {
            self.barrier.join(command, waiting.arrived_request);
            if let Some(waiting) = self.commands.get_mut(command) {
                waiting.barrier = Passage::Asked;
            }
        }
        Step::Wait
    }

    /// Whether everything is applied that was in the log when the command came: so say its bound, an answer to a request
    /// sent after it, or an own record appended after it.
    fn is_behind_barrier(&self, waiting: &Waiting<A::Command, X>) -> bool {
        waiting.barrier == Passage::Passed
            || self.newest_applied.is_some_and(|append| append >= waiting.arrived_append)
            || self.barrier.bound(waiting.arrived_request).is_some_and(|bound| bound <= self.next)
            || !self.laws.waits_for_the_read_barrier()
    }

    /// The answer to a command whose id is in the log: the record is a fact, no barrier is needed.
    fn known(
        &self,
        product: &Product<A::State>,
        waiting: &Waiting<A::Command, X>,
    ) -> Option<Answer<A::Rejection>> {
        let record = product.find(waiting.submission.command_id)?;
        let (version, event_id, offset) = (record.version, record.event_id, record.offset);
        if record.command_hash.zip(waiting.submission.command_hash).is_some_and(|(a, b)| a != b) {
            return Some(Answer::KeyReused { version, event_id, offset });
        }
        let is_own = self.ids.append_of(event_id).is_some_and(|id| waiting.appends.contains(id));
        Some(Answer::Accepted { version, event_id, offset, replayed: !is_own })
    }

    fn append(
        &mut self,
        command: CommandKey,
        version: u64,
        event: A::Event,
        before: Option<Arc<A::State>>,
        after: A::State,
    ) -> AppendId {
        let (append_id, event_id) = self.ids.issue();
        let waiting = self.commands.get_mut(command).expect("a command is decided while it waits");
        waiting.appends.push(append_id);
        let submission = &waiting.submission;
        let subject = submission.subject.clone();
        let (command_id, command_hash) = (submission.command_id, submission.command_hash);
        let after = Arc::new(after);
        let in_flight = InFlight {
            command,
            subject: subject.clone(),
            version,
            basis: self.next,
            event_id,
            command_id,
            command_hash,
            after: Arc::clone(&after),
            reported: None,
        };
        self.in_flight.insert(append_id, in_flight);
        let key = RecordKey { subject, version, basis: self.next, event_id };
        self.outputs.push_back(Output::Append(Append {
            append_id,
            key,
            event,
            before,
            after,
            command_id,
            command_hash,
            command,
        }));
        append_id
    }
}
