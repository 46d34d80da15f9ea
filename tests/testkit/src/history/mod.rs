//! What clients asked and what they were told, and whether all of it is true of the log.
//!
//! [`Writer`]s give random commands to several instances and record every attempt; [`check`] compares the records with an
//! [`Oracle`](crate::Oracle). Both are the same for a test without faults and for one with many.

mod bounds;
mod catalog;
mod check;
#[cfg(test)]
mod tests;
mod told;
mod wish;
mod writer;

use std::time::Duration;

use domain::Command;

pub use catalog::{Catalog, Load};
pub use check::{Verdict, check};
pub use told::Told;
pub use writer::Writer;

/// A command: each time a client gave it, and each answer.
#[derive(Clone, Debug)]
pub struct Recorded {
    pub product: String,
    pub command: Command,
    /// The version the client named.
    pub expected: Option<u64>,
    /// The idempotency key, the same in every attempt.
    pub key: String,
    /// At least one.
    pub attempts: Vec<Attempt>,
}

/// One request. Times are since the history began.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The number of the instance that was asked.
    pub instance: usize,
    pub sent: Duration,
    /// When the answer came, or the client gave up.
    pub answered: Duration,
    pub told: Told,
}

impl Recorded {
    /// The id that every instance gives the command.
    ///
    /// # Panics
    /// If the key is none.
    pub fn command_id(&self) -> uuid::Uuid {
        let key = contract::IdempotencyKey::parse(&self.key).expect("writers make keys that are keys");
        // Everyone is anonymous, until there is authentication.
        contract::command_id("anonymous", &key).0
    }

    /// When it was first given.
    pub fn first_sent(&self) -> Duration {
        self.attempts.iter().map(|it| it.sent).min().unwrap_or_default()
    }
}
