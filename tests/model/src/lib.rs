//! The log decides, model-checked: every order in which a few commands of a few writers can happen, with a few faults,
//! is played by the production [`Sequencer`](ledger::Sequencer) and judged by the production rule and
//! [`Reader`](ledger::Reader). Promises that a scene's exploration is complete within its bounds.
//!
//! The model is not a second telling of the protocol: it explores the real sequencer. That needs neither a copy of its
//! state nor a hash of it, because it is a pure function of its inputs: a state of the model is the log, what is under
//! way, and what each writer has heard so far ([`state`]); a step makes the writer anew from that and feeds it one thing
//! more. So two runs meet in one state only if every writer has heard the same things in the same order, which merges
//! exactly the orders that no writer can tell apart.
//!
//! The window is the log format's own 100,000 offsets. The log may jump by a whole window, as if other products had
//! filled it, so both sides of the edge are reached. All products share one partition: partitions never meet.
//!
//! Start with `cargo test -p folio-model -- --nocapture`; `scene.rs` says what is played.

mod check;
mod model;
mod product;
mod scene;
pub mod state;
mod trace;
mod writer;

pub use check::Promise;
pub use model::Action;
pub use product::Order;
pub use scene::{CommandRequest, Scene, Sight};
pub use state::Bounds;
pub use trace::trace;

#[cfg(test)]
mod tests;
