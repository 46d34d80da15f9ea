//! What is wrong with a request, collected while it is read.
//!
//! Promise: all faults are told at once, and a request with a million of them costs no more than one with a few.

use std::fmt::Display;

use super::ApiError;
use super::limits::{MAX_FAULTS, shown};

/// What is wrong with one part of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The parameter, field or header.
    pub(crate) field: String,
    pub(crate) detail: String,
}

impl Fault {
    pub(crate) fn new(field: &str, detail: impl Into<String>) -> Self {
        Self { field: shown(field), detail: detail.into() }
    }
}

/// The first faults of a request, and how many more there were.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    first: Vec<Fault>,
    more: usize,
}

impl Faults {
    pub(crate) fn add(&mut self, field: &str, detail: impl Into<String>) {
        if self.first.len() < MAX_FAULTS {
            self.first.push(Fault::new(field, detail));
        } else {
            self.more += 1;
        }
    }

    /// Keeps what was read, or its error as the fault of `field`.
    pub(crate) fn check<T, E: Display>(&mut self, field: &str, read: Result<T, E>) -> Option<T> {
        read.map_err(|error| self.add(field, error.to_string())).ok()
    }

    /// An error if there was any fault.
    pub(crate) fn finish(self) -> Result<(), ApiError> {
        let Self { mut first, more } = self;
        if first.is_empty() {
            return Ok(());
        }
        if more > 0 {
            first.push(Fault::new("", format!("and {more} more faults")));
        }
        Err(ApiError::Malformed(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_faults_are_told_and_how_many_more_there_are() {
        let mut faults = Faults::default();
        for n in 0..400_000 {
            faults.add("statuses", format!("{n} is unknown"));
        }
        let Err(ApiError::Malformed(told)) = faults.finish() else { panic!("no faults") };
        assert_eq!(told.len(), MAX_FAULTS + 1);
        assert_eq!(told[MAX_FAULTS], Fault::new("", "and 399980 more faults"));
        assert_eq!(told[0].detail, "0 is unknown");
        Faults::default().finish().unwrap();
    }

    #[test]
    fn a_fields_name_that_a_caller_made_up_is_told_shortened() {
        let mut faults = Faults::default();
        faults.add(&"x".repeat(100_000), "there is no such parameter");
        let Err(ApiError::Malformed(told)) = faults.finish() else { panic!("no faults") };
        assert!(told[0].field.len() < 100, "{}", told[0].field.len());
    }
}
