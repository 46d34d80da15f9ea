//! What a sequencer says, done: appends, questions, answers, and what operators must hear of.

use std::time::Instant;

use ledger::{Append, Output};

use super::driver::{Appending, Driver};
use super::part::{Part, Tail};
use crate::catalog::Catalog;

impl Part {
    /// Carries out what the sequencer says.
    pub(super) fn carry_out(&mut self, driver: &mut Driver, now_ms: u64) {
        loop {
            let mut outputs = std::mem::take(&mut self.outputs);
            self.sequencer.take_outputs(&mut outputs);
            if outputs.is_empty() {
                self.outputs = outputs;
                break;
            }
            for output in outputs.drain(..) {
                self.carry_out_one(driver, now_ms, output);
            }
            self.outputs = outputs;
        }
    }

    fn carry_out_one(&mut self, driver: &mut Driver, now_ms: u64, output: Output<Catalog>) {
        match output {
            Output::Append(append) => self.append(driver, append),
            Output::AskEndOffset { request } => driver.log.ask_end_offset(self.partition, request),
            Output::Answer { ticket, answer } => driver.answer(ticket, answer),
            Output::Discard { reason } => self.rebuild(driver, now_ms, &reason),
            Output::Violation { offset, subject, version, current } => {
                driver.instruments.violation();
                tracing::error!(
                    partition = self.partition.0, kafka.offset = offset, product.id = %subject, version, current,
                    "a record that no correct writer wrote: its product takes no more commands"
                );
            }
            Output::UnreadableRecord { offset, subject, version, reason } => tracing::error!(
                partition = self.partition.0, kafka.offset = offset, product.id = %subject, version, reason,
                "an effective record cannot be read: its product takes no more commands"
            ),
            Output::VoidRecord { offset, reason } => {
                self.voids += 1;
                driver.instruments.void(reason);
                tracing::debug!(
                    partition = self.partition.0,
                    kafka.offset = offset,
                    ?reason,
                    "a void record"
                );
            }
        }
    }

    fn append(&mut self, driver: &mut Driver, append: Append<Catalog>) {
        let (append_id, number) = (append.append_id, append.ticket);
        let mut origin = None;
        if let Some(ticket) = driver.tickets.get_mut(&number) {
            if ticket.appends > 0 {
                driver.instruments.decided_again(if ticket.unknown { "outcome_unknown" } else { "void" });
            }
            ticket.appends += 1;
            origin = Some(&ticket.origin);
        }
        let known = driver.schemas.known();
        match driver.encoder.encode(append, origin, &known.ids, driver.config.max_record_bytes) {
            Ok(record) => {
                let since = Instant::now();
                driver.appending.insert((self.partition, append_id), Appending { ticket: number, since });
                driver.log.append(self.partition, append_id, record);
            }
            Err(reason) => self.sequencer.refused(append_id, reason),
        }
    }

    /// Tells others how far it is: once for all the mail of a round, for each telling has its price.
    pub(super) fn tell(&mut self, driver: &Driver) {
        let next = self.sequencer.next();
        if next > self.seen {
            let applied = (next - self.seen) as u64;
            driver.instruments.effective(self.partition, applied.saturating_sub(self.voids));
            (self.seen, self.voids) = (next, 0);
            driver.log.applied(self.partition, next);
        }
        let hot = (self.sequencer.hot(), self.sequencer.hot_bytes());
        driver.board.at(self.partition, next, self.sequencer.waiting(), hot);
        let caught_up = self.sequencer.is_ready() && !matches!(self.tail, Tail::Held { .. });
        if caught_up && !self.told_caught_up {
            driver.board.caught_up(self.partition);
        } else if !caught_up && self.told_caught_up {
            driver.board.behind(self.partition, self.waits_for());
        }
        self.told_caught_up = caught_up;
    }
}
