//! The projector: reads the log and builds one read model.
//!
//! ```text
//! journal of decisions ──> one run per build of the read model
//! run: group member ──> one task per partition: look back, judge, decode, load states, fold, write, position, commit
//! ```
//!
//! Promises: at-least-once delivery has exactly-once effect; what a store acknowledged and lost is written again by itself; a partition that waits or has stopped delays no other; a void
//! record stops nothing, an effective one that cannot be applied stops its partition and says so; told to stop, it finishes
//! its batches, commits, and leaves the group.
//!
//! Start at [`Application::build`], which opens the real parts for a [`Config`].

mod admin;
mod application;
mod builds;
mod config;
mod durability;
mod member;
mod metrics;
mod partition;
#[cfg(test)]
mod testing;
mod watch;
mod work;

pub use admin::Admin;
pub use application::{Application, Dependencies, Log, Open, Opening, Parts, start};
pub use builds::Control;
pub use config::{AdminConfig, BatchConfig, Config, RebuildConfig, SERVICE};
