//! The positions of one partition with the times at which they were acknowledged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Positions closer together than this are one: the older, which is the careful one.
const APART: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(crate) struct Trail {
    /// Durable already.
    durable: i64,
    /// Oldest first.
    later: VecDeque<(Instant, i64)>,
}

impl Trail {
    /// Begins at a durable position.
    pub(crate) fn new(durable: i64) -> Self {
        Self { durable, later: VecDeque::new() }
    }

    /// Everything below `position` was acknowledged at `now` at the latest.
    pub(crate) fn acknowledged(&mut self, now: Instant, position: i64) {
        if self.later.back().is_none_or(|(last, _)| now.duration_since(*last) >= APART) {
            self.later.push_back((now, position));
        }
    }

    /// What was durable when it was asked for last.
    pub(crate) fn durable(&self) -> i64 {
        self.durable
    }

    /// The highest position that was acknowledged at `time` or before (`None`: long ago). Later calls do not ask for
    /// earlier times.
    pub(crate) fn until(&mut self, time: Option<Instant>) -> i64 {
        while let Some((at, position)) = self.later.front()
            && time.is_some_and(|time| *at <= time)
        {
            self.durable = self.durable.max(*position);
            self.later.pop_front();
        }
        self.durable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_durable_when_it_was_acknowledged_before_the_time() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut trail = Trail::new(7);
        for (seconds, position) in [(0, 10), (1, 20), (2, 30)] {
            trail.acknowledged(at(seconds), position);
        }
        assert_eq!(trail.until(None), 7);
        assert_eq!(trail.until(Some(at(0))), 10);
        assert_eq!(trail.until(Some(at(1) + Duration::from_millis(999))), 20);
        assert_eq!(trail.until(Some(at(9))), 30);
    }

    #[test]
    fn positions_close_together_are_told_as_the_lowest_of_them_and_few_are_kept() {
        let start = Instant::now();
        let mut trail = Trail::new(0);
        for n in 0..1_000 {
            trail.acknowledged(start + Duration::from_millis(n), n as i64 + 1);
        }
        assert_eq!(trail.later.len(), 10);
        assert_eq!(trail.until(Some(start + Duration::from_millis(250))), 201);
    }
}
