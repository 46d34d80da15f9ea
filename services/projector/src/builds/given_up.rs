//! How long a switch that was given up is not tried again by itself.
//!
//! Promise: one hold counts once, however often it is looked at before its end is heard of.

use std::time::{Duration, Instant};

use read_models::Generation;
use read_models::control::Hold;

/// After the first hold of a build that was given up; then twice as long each time,
const FIRST: Duration = Duration::from_secs(10);
/// up to so often.
const DOUBLED: u32 = 5;

/// The last hold that was given up, and how many of the same build before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct GivenUp {
    to: Generation,
    hold: Hold,
    at: Instant,
    before: u32,
}

impl GivenUp {
    /// What is known when `hold`, for a switch to `to`, is given up, and `last` was known before.
    pub(super) fn of(last: Option<Self>, to: Generation, hold: Hold, now: Instant) -> Self {
        match last {
            Some(last) if last.to == to && last.hold == hold => last,
            Some(last) if last.to == to => Self { to, hold, at: now, before: last.before + 1 },
            _ => Self { to, hold, at: now, before: 0 },
        }
    }

    /// Whether a switch to `to` is not to be tried yet.
    pub(super) fn forbids(&self, to: Generation, now: Instant) -> bool {
        self.to == to && now.saturating_duration_since(self.at) < FIRST * (1 << self.before.min(DOUBLED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_counts_once_and_each_that_follows_doubles_the_wait() {
        let [two, three] = [2, 3].map(|it| Generation::try_from(it).unwrap());
        let hold = |revision| Hold { revision, since_ms: 7 };
        let begun = Instant::now();
        let after = |seconds| begun + Duration::from_secs(seconds);

        let mut known = GivenUp::of(None, two, hold(4), begun);
        for _ in 0..20 {
            known = GivenUp::of(Some(known), two, hold(4), after(1));
        }
        assert!(known.forbids(two, after(9)) && !known.forbids(two, after(10)));
        assert!(!known.forbids(three, after(1)), "another build has done nothing yet");

        known = GivenUp::of(Some(known), two, hold(6), after(10));
        assert!(known.forbids(two, after(29)) && !known.forbids(two, after(30)));
        for revision in 8..100 {
            known = GivenUp::of(Some(known), two, hold(revision), begun);
        }
        assert!(known.forbids(two, after(319)) && !known.forbids(two, after(320)), "no longer than that");
        known = GivenUp::of(Some(known), three, hold(100), begun);
        assert!(!known.forbids(three, after(10)));
    }
}
