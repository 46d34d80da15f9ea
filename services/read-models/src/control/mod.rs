//! Which builds of the read models there are, and which is read: decided in a journal, by steps that everybody folds alike.
//!
//! ```text
//! build ─> compared ─> hold ─> switch ─> live        (and back: hold ─> switch ─> live, to the build before)
//!                        └──> release
//! as of ─> complete          (a build of what was appended up to some time: read by its name, and never in place of another)
//! redrive, discard           (of what is parked; they change nothing about builds)
//! ```
//!
//! Promises: the first step of a revision counts, whoever proposed it and however many did; a step that does not fit on what was
//! decided before changes nothing, for nobody; at any time one build is read, and another one is being built at most; what is read
//! changes only by a switch, after a hold.
//!
//! Pure but for [`Desk`], which reads the journal and proposes. `projector` carries out what is decided.

mod as_of;
mod builds;
mod desk;
mod hold;
mod letters;
mod phase;
mod publishing;
mod record;
mod store;
#[cfg(test)]
mod tests;

pub use as_of::{AsOf, AsOfRequest};
pub use builds::{Build, Builds, Differed, Refused, Role, Stage, Turn};
pub use desk::{Desk, Proposed};
pub use hold::Hold;
pub use letters::{Asked, Fate, LetterId, NoLetterId, Selection};
pub use record::{Decision, Step, Switch};
pub use store::{BuildStore, adoption};
