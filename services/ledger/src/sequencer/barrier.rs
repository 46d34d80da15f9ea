//! The read barrier: an answer without a record is true only of a partition applied up to an end offset that was asked
//! for after the command came. Promises one request at a time; commands that come meanwhile go into the next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::{CommandKey, backoff};
use crate::Offset;

/// A request without an answer for this long is asked again, in case the answer was lost.
const PATIENCE_MS: u64 = 5_000;

#[derive(Debug, Default)]
pub(super) struct Barrier {
    /// The number of the newest request, from 1.
    sent: u64,
    outstanding: Option<Outstanding>,
    /// Commands that came too late for the outstanding request.
    waiting: Vec<CommandKey>,
    /// The newest answer: a bound for every command that came before its request was sent.
    answered: Option<(u64, Offset)>,
    /// Commands whose bound is known and not yet reached.
    bounds: BinaryHeap<Reverse<(Offset, CommandKey)>>,
    failures: u32,
    retry_at: Option<u64>,
}

#[derive(Debug)]
struct Outstanding {
    request: u64,
    asked_ms: u64,
    commands: Vec<CommandKey>,
}

impl Barrier {
    /// The number of the newest request. A command that came when it was `n` is covered by the requests above `n`.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// A bound for a command that came when `sent()` was `arrived`, if there is one.
    pub(super) fn bound(&self, arrived: u64) -> Option<Offset> {
        self.answered.filter(|(request, _)| *request > arrived).map(|(_, end)| end)
    }

    /// Lets a command wait for its bound.
    pub(super) fn join(&mut self, command: CommandKey, arrived: u64) {
        if let Some(end) = self.bound(arrived) {
            self.bounds.push(Reverse((end, command)));
            return;
        }
        match &mut self.outstanding {
            Some(outstanding) if outstanding.request > arrived => outstanding.commands.push(command),
            _ => self.waiting.push(command),
        }
    }

    /// The request to send now, if there is one.
    pub(super) fn ask(&mut self, now_ms: u64) -> Option<u64> {
        if let Some(outstanding) = &self.outstanding
            && now_ms >= outstanding.asked_ms.saturating_add(PATIENCE_MS)
        {
            self.fail(now_ms);
        }
        let must_wait = self.retry_at.is_some_and(|at| now_ms < at);
        if self.outstanding.is_some() || self.waiting.is_empty() || must_wait {
            return None;
        }
        self.retry_at = None;
        self.sent += 1;
        let commands = std::mem::take(&mut self.waiting);
        self.outstanding = Some(Outstanding { request: self.sent, asked_ms: now_ms, commands });
        Some(self.sent)
    }

    /// The answer to a request; one to an older request is ignored.
    pub(super) fn answer(&mut self, now_ms: u64, request: u64, end: Option<Offset>) {
        if self.outstanding.as_ref().is_none_or(|outstanding| outstanding.request != request) {
            return;
        }
        let Some(end) = end else { return self.fail(now_ms) };
        self.failures = 0;
        self.answered = Some((request, end));
        if let Some(outstanding) = self.outstanding.take() {
            self.bounds.extend(outstanding.commands.into_iter().map(|command| Reverse((end, command))));
        }
    }

    /// The next command whose bound is reached.
    pub(super) fn reached(&mut self, next: Offset) -> Option<CommandKey> {
        let Reverse((bound, _)) = self.bounds.peek()?;
        if *bound > next {
            return None;
        }
        self.bounds.pop().map(|Reverse((_, command))| command)
    }

    /// Forgets everything but the numbers: answers to earlier requests say nothing any more.
    pub(super) fn reset(&mut self) {
        *self = Self { sent: self.sent, ..Self::default() };
    }

    fn fail(&mut self, now_ms: u64) {
        if let Some(outstanding) = self.outstanding.take() {
            self.waiting.extend(outstanding.commands);
        }
        self.retry_at = Some(now_ms + backoff(self.failures));
        self.failures += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command(arrival: u64) -> CommandKey {
        CommandKey { arrival, slot: 0 }
    }

    #[test]
    fn commands_that_come_meanwhile_go_into_the_next_request() {
        let mut barrier = Barrier::default();
        let first = barrier.sent();
        barrier.join(command(1), first);
        assert_eq!(barrier.ask(0), Some(1));
        let late = barrier.sent();
        barrier.join(command(2), late);
        barrier.join(command(3), first);
        assert_eq!(barrier.ask(1), None, "one request at a time");
        barrier.answer(2, 1, Some(10));
        assert_eq!(barrier.bound(first), Some(10));
        assert_eq!(barrier.bound(late), None);
        assert_eq!(barrier.ask(3), Some(2));
        assert_eq!(barrier.reached(9), None);
        assert_eq!(
            [barrier.reached(10), barrier.reached(10), barrier.reached(10)],
            [Some(command(1)), Some(command(3)), None]
        );
        barrier.answer(4, 2, Some(12));
        assert_eq!(barrier.reached(12), Some(command(2)));
    }

    #[test]
    fn a_failed_or_lost_request_is_asked_again_with_back_off() {
        let mut barrier = Barrier::default();
        barrier.join(command(1), 0);
        let mut now = 0;
        for (n, delay) in (1..).zip([20, 40, 80, 160, 320, 640, 1000, 1000]) {
            assert_eq!(barrier.ask(now), Some(n));
            barrier.answer(now, n, None);
            assert_eq!(barrier.ask(now + delay - 1), None);
            now += delay;
        }
        assert_eq!(barrier.ask(now), Some(9));
        now += PATIENCE_MS;
        assert_eq!(barrier.ask(now - 1), None);
        assert_eq!(barrier.ask(now), None, "given up, backing off");
        now += 1000;
        assert_eq!(barrier.ask(now), Some(10));
        barrier.answer(now, 9, Some(1));
        assert_eq!(barrier.reached(100), None, "an answer given up is no answer");
        barrier.answer(now, 10, Some(1));
        assert_eq!(barrier.reached(1), Some(command(1)));
    }
}
