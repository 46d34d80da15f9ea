//! Which traces are sampled.
//!
//! Promises: what comes in a trace is sampled if that is, and of what comes in none the configured part; it is decided before any
//! span is made, so that what is not sampled costs a comparison; and where nothing is exported nothing is sampled that begins here.

use super::{Error, TraceContext};
use crate::config::TelemetryConfig;

/// What decides it. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    is_exported: bool,
    /// New traces are sampled whose number is below it.
    below: u128,
}

impl Sampling {
    pub(super) fn new(config: &TelemetryConfig) -> Result<Self, Error> {
        let ratio = config.trace_ratio;
        if !(0.0..=1.0).contains(&ratio) {
            return Err(Error::Ratio(ratio));
        }
        let is_exported = config.otlp_endpoint.is_some();
        // Of the lower half of an id, which is random throughout; all 2^64 of them are below the whole.
        Ok(Self { is_exported, below: (ratio * (u64::MAX as f64 + 1.0)) as u128 })
    }

    /// Whether traces leave the process.
    pub fn is_exported(&self) -> bool {
        self.is_exported
    }

    /// The context, with the decision whether its trace is sampled, if that begins here.
    #[must_use]
    pub fn decide(&self, context: TraceContext) -> TraceContext {
        context.begun_here(|trace_id| self.is_exported && u128::from(trace_id as u64) < self.below)
    }

    /// Whether there are to be spans of what is done in this context.
    pub fn has_spans(&self, context: &TraceContext) -> bool {
        self.is_exported && context.is_sampled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(ratio: f64, endpoint: Option<&str>) -> Sampling {
        let otlp_endpoint = endpoint.map(str::to_owned);
        Sampling::new(&TelemetryConfig { trace_ratio: ratio, otlp_endpoint, ..TelemetryConfig::default() })
            .unwrap()
    }

    #[test]
    fn of_new_traces_the_configured_part_is_sampled_and_of_others_what_is() {
        let sampled = |ratio, endpoint: Option<&str>| {
            let sampling = of(ratio, endpoint);
            (0..10_000).filter(|_| sampling.decide(TraceContext::new()).is_sampled()).count()
        };
        let somewhere = Some("http://collector:4317");
        assert_eq!((sampled(1.0, somewhere), sampled(0.0, somewhere), sampled(1.0, None)), (10_000, 0, 0));
        assert!((800..1_200).contains(&sampled(0.1, somewhere)));
        for (flags, is_sampled) in [("00", false), ("01", true)] {
            let header = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            let given = TraceContext::parse(&header).unwrap();
            for sampling in [of(0.0, somewhere), of(1.0, somewhere), of(1.0, None)] {
                let decided = sampling.decide(given);
                assert_eq!((decided.to_string(), decided.is_sampled()), (header.clone(), is_sampled));
                assert_eq!(sampling.has_spans(&decided), is_sampled && sampling.is_exported());
            }
        }
    }

    #[test]
    fn a_ratio_that_is_none_is_refused() {
        for ratio in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
            let config = TelemetryConfig { trace_ratio: ratio, ..TelemetryConfig::default() };
            let refused = Sampling::new(&config).unwrap_err().to_string();
            assert!(refused.starts_with("cannot use telemetry.trace_ratio"), "{refused}");
        }
    }
}
