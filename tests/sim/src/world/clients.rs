//! Clients: they ask, ask again with the same id wherever they turn to, and sometimes use an id for something else.

use std::rc::Rc;

use domain::Command;
use ledger::{CommandHash, CommandId, Submission};
use uuid::Uuid;

use super::{World, say};
use crate::counts::What;
use crate::node::DEADLINE_MS;
use crate::oracle::{Expecting, REMEMBERED, Request, Ticket};
use crate::violation::Checked;
use crate::violation::Invariant::EveryCommandIsAnswered;

/// How many turns a writer may still hold back for what went wrong before: its longest back-off is a second.
const TURNS_OF_BACK_OFF: u64 = 22;

/// A client with a request.
pub(super) struct Intent {
    request: Rc<Request>,
    /// It has an answer that needs no retry.
    pub(super) is_settled: bool,
    /// How many of its tickets have no answer yet.
    pub(super) open: usize,
}

impl World {
    /// A new command, or an old one again.
    pub(super) fn ask(&mut self, node: usize) -> Checked {
        if !self.is_awake(node) {
            return Ok(());
        }
        let is_again = !self.intents.is_empty() && self.dice.percent(self.plan.retrying);
        let intent = if is_again { self.old_intent() } else { self.new_intent() };
        self.submit(node, intent)
    }

    /// Everyone without an answer asks again, somewhere.
    pub(super) fn ask_all_again(&mut self) -> Checked {
        for intent in 0..self.intents.len() {
            if !self.intents[intent].is_settled && self.intents[intent].open == 0 {
                let node = self.dice.index(self.nodes.len());
                self.counts.count(What::Retried);
                self.submit(node, intent)?;
            }
        }
        Ok(())
    }

    pub(super) fn all_are_settled(&self) -> bool {
        self.intents.iter().all(|intent| intent.is_settled && intent.open == 0)
    }

    /// At rest every writer answers for every product, long before the deadline: none has a line that is stuck.
    pub(super) fn ask_everyone(&mut self) -> Checked {
        for node in 0..self.nodes.len() {
            for product in 0..self.plan.products {
                let command = self.requests.draw(&mut self.dice, true);
                let intent = self.add_intent(product, None, command, Expecting::Anything);
                self.submit(node, intent)?;
                for _ in 0..TURNS_OF_BACK_OFF {
                    self.quieten()?;
                    if self.all_are_settled() {
                        break;
                    }
                    self.turn_at_rest()?;
                }
                EveryCommandIsAnswered.holds(self.all_are_settled(), || {
                    format!(
                        "{} has no answer for product {product}, though everything is at rest",
                        self.nodes[node]
                    )
                })?;
            }
        }
        Ok(())
    }

    /// The ticket's client has its answer, or will never get one.
    pub(super) fn closed(&mut self, ticket: u64, settles: bool) {
        let intent = &mut self.intents[self.oracle.tickets[ticket as usize].intent];
        intent.open -= 1;
        intent.is_settled |= settles;
    }

    fn old_intent(&mut self) -> usize {
        let mut intent = self.dice.index(self.intents.len());
        if self.plan.is_long && self.dice.percent(30) {
            intent = self.nearly_forgotten().unwrap_or(intent);
        }
        if self.dice.percent(self.plan.reusing) {
            let Request { product, command_id, .. } = *self.intents[intent].request;
            let command = self.requests.draw(&mut self.dice, true);
            self.counts.count(What::OtherPayload);
            return self.add_intent(product, Some(command_id), command, Expecting::Anything);
        }
        let is_open = self.intents[intent].open > 0;
        self.counts.count(if is_open { What::RetriedElsewhere } else { What::Retried });
        intent
    }

    /// A command at the edge of what the product remembers.
    fn nearly_forgotten(&mut self) -> Option<usize> {
        let facts = self.oracle.facts(0);
        let edge = (facts.len() + 1).checked_sub(REMEMBERED as usize)?;
        let at = (edge + self.dice.index(3)).checked_sub(1)?;
        let ticket = self.oracle.ticket_of(facts.get(at)?.event_id)?;
        self.counts.count(What::OldRetries);
        Some(self.oracle.tickets[ticket as usize].intent)
    }

    fn new_intent(&mut self) -> usize {
        let product = self.dice.index(self.plan.products);
        let shown = self.nodes[self.dice.index(self.nodes.len())]
            .driver
            .sequencer()
            .version(&self.oracle.subjects[product]);
        let command = self.requests.draw(&mut self.dice, shown > 0);
        let mut expected = Expecting::Anything;
        if self.dice.percent(self.plan.expecting) {
            // What some writer shows, and now and then anything.
            let version = if self.dice.percent(80) { shown } else { self.dice.below(6) };
            expected = match self.dice.below(8) {
                0 => Expecting::Existing,
                1 => Expecting::ThisOrNext(version),
                2 => Expecting::Not(version),
                _ => Expecting::Version(version),
            };
        }
        self.add_intent(product, None, command, expected)
    }

    fn add_intent(
        &mut self,
        product: usize,
        command_id: Option<CommandId>,
        command: Rc<Command>,
        expected: Expecting,
    ) -> usize {
        let number = self.intents.len() as u128 + 1;
        self.counts.count(What::Asked);
        let request = Rc::new(Request {
            product,
            command_id: command_id.unwrap_or(CommandId(Uuid::from_u128(number))),
            command_hash: CommandHash(number.to_be_bytes()),
            command,
            expected,
        });
        self.intents.push(Intent { request, is_settled: false, open: 0 });
        self.intents.len() - 1
    }

    fn submit(&mut self, node: usize, number: usize) -> Checked {
        let ticket = self.oracle.tickets.len() as u64;
        let clock = self.nodes[node].clock(self.now_ms);
        let deadline_ms = clock + if self.dice.percent(self.plan.hasty) { 20 } else { DEADLINE_MS };
        let intent = &mut self.intents[number];
        intent.open += 1;
        let request = Rc::clone(&intent.request);
        let subject = self.oracle.subjects[request.product].clone();
        say!(
            self,
            format_args!("c{number}"),
            "asks {} to {} {subject}, expecting {:?} (ticket {ticket})",
            self.nodes[node],
            request.command.name(),
            request.expected
        );
        let submission = Submission {
            context: ticket,
            subject,
            command_id: request.command_id,
            command_hash: Some(request.command_hash),
            expected: request.expected.into(),
            command: Rc::clone(&request.command),
            deadline_ms,
        };
        let arrived = self.end_offset();
        self.oracle.tickets.push(Ticket::new(request, number, arrived, deadline_ms));
        self.nodes[node].open.push(ticket);
        self.nodes[node].driver.command(clock, submission);
        self.carry_out(node, usize::MAX)
    }
}
