//! The builds of the read model: each that is to be made by this process runs beside the others, as the journal has decided.
//!
//! ```text
//! journal ──> follow ──> supervise ──> one run per build: its own group, its own rows
//!               └──────> direct: compare, hold, switch, publish, drop; the one member that has partition 0 proposes
//! ```
//!
//! Promises: a build that fails stops no other; told to stop, each finishes its batches; whatever was decided is carried out by
//! whichever process is there, however often it is begun.

mod comparable;
mod direct;
mod follow;
mod given_up;
mod reached;
mod supervise;

use std::sync::Arc;
use std::time::Duration;

use read_models::control::BuildStore;
use toolkit::journal::Journal;

pub(crate) use direct::{Director, Memory};
pub(crate) use follow::{Told, follow};
#[cfg(test)]
pub(crate) use reached::Positioned;
pub(crate) use reached::{OpenBuilds, Reached};
pub(crate) use supervise::{Made, Makes, Running, supervise};

/// How often the journal is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// Where it is decided which builds there are, and where they lie.
#[derive(Clone, Debug)]
pub struct Control {
    pub journal: Arc<dyn Journal>,
    pub builds: Arc<dyn BuildStore>,
}
