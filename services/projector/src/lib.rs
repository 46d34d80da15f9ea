//! The projector: reads the log and builds one read model.
//!
//! ```text
//! journal of decisions ──> one run per build of the read model
//! run: group member ──> one task per partition: look back, judge, decode, load states, fold, write, position, commit
//! ```
//!
//! Promises: at-least-once delivery has exactly-once effect; what a store acknowledged and lost is written again by itself; a partition that waits or has stopped delays no other; a void
//! record stops nothing; an effective one that cannot be applied is parked with its product, and everything else flows; rows of one log are never
//! mixed with those of another: a topic that is not the one it was stops its partitions; told to stop, it finishes its batches, commits, and leaves the group.
//!
//! Start at [`Application::build`], which opens the real parts for a [`Config`].

mod admin;
mod application;
mod builds;
mod config;
mod durability;
pub mod letters;
mod member;
mod metrics;
mod parked;
mod partition;
mod same_log;
#[cfg(test)]
mod testing;
mod trial;
mod watch;
mod work;

pub use admin::Admin;
pub use application::{
    Application, Dependencies, LettersOf, Log, Open, OpenLetters, Opening, Parts, letters_on_kafka, start,
};
pub use builds::Control;
pub use config::{AdminConfig, BatchConfig, Config, RebuildConfig, SERVICE};
pub use trial::{Question, Trial, Trials, trials};
