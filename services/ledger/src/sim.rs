//! For tests: a simulated log whose faults come from a seed, and the suite that every adapter of the port passes.

mod broker;
pub mod conformance;
mod dice;
mod log;

pub use broker::Faults;
pub use dice::Dice;
pub use log::{SimLog, SimTopic};

#[cfg(test)]
mod tests;
