//! A token bucket, in the form of the time at which it is full again (the generic cell rate algorithm): two numbers, and no work while
//! nobody asks.
//!
//! Promise: of any stretch of time, no more is let through than the burst and what the rate has made in it; who is refused hears after
//! what time it is let through if nothing else comes.

use std::time::{Duration, Instant};

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// How long it takes to make one token.
    each: Duration,
    /// How long it takes to fill it.
    whole: Duration,
}

impl Rate {
    /// None: any number.
    pub(super) fn of(per_second: u32, burst: u32) -> Option<Self> {
        let each = Duration::from_secs(1).checked_div(per_second)?;
        Some(Self { each, whole: each.saturating_mul(burst.max(1)) })
    }
}

/// What is left to one caller.
#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    full_at: Option<Instant>,
}

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, full_at: None }
    }

    /// Takes one token.
    ///
    /// # Errors
    /// If there is none: after what time there is.
    pub(super) fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let full_at = self.full_at.map_or(now, |at| at.max(now)) + self.rate.each;
        let missing = full_at.saturating_duration_since(now).saturating_sub(self.rate.whole);
        if !missing.is_zero() {
            return Err(missing);
        }
        self.full_at = Some(full_at);
        Ok(())
    }

    /// Whether it is as if it were new.
    pub(super) fn is_full(&self, now: Instant) -> bool {
        self.full_at.is_none_or(|at| at <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(per_second: u32, burst: u32) -> Bucket {
        Bucket::new(Rate::of(per_second, burst).unwrap())
    }

    #[test]
    fn a_burst_is_let_through_and_then_what_the_rate_makes() {
        let (mut bucket, start) = (bucket(10, 5), Instant::now());
        for _ in 0..5 {
            bucket.take(start).unwrap();
        }
        assert_eq!(bucket.take(start), Err(Duration::from_millis(100)));
        assert_eq!(bucket.take(start + Duration::from_millis(40)), Err(Duration::from_millis(60)));
        bucket.take(start + Duration::from_millis(100)).unwrap();
        assert!(bucket.take(start + Duration::from_millis(199)).is_err());
        bucket.take(start + Duration::from_millis(200)).unwrap();
        assert!(!bucket.is_full(start + Duration::from_millis(699)));
        assert!(bucket.is_full(start + Duration::from_millis(700)));
    }

    #[test]
    fn in_the_long_run_the_rate_holds_whatever_the_rhythm() {
        for step in [1, 7, 50, 333] {
            let (mut bucket, start) = (bucket(100, 20), Instant::now());
            let mut through = 0;
            for at in (0..10_000).step_by(step) {
                let now = start + Duration::from_millis(at);
                through += (0..50).filter(|_| bucket.take(now).is_ok()).count();
            }
            let most = 20 + 10 * 100;
            let least = if step <= 200 { most - 25 } else { 20 * (10_000 / step) };
            assert!((least..=most).contains(&through), "every {step} ms: {through}");
        }
    }

    #[test]
    fn who_waits_as_long_as_it_is_told_is_let_through() {
        let (mut bucket, mut now) = (bucket(3, 1), Instant::now());
        for _ in 0..100 {
            if let Err(wait) = bucket.take(now) {
                now += wait;
                bucket.take(now).unwrap();
            }
        }
        assert!(Rate::of(0, 5).is_none(), "no rate is any number");
    }
}
