//! For tests: a simulated log whose faults come from a seed, and the suite that every adapter of the port passes.

pub mod conformance;
mod dice;
mod log;

pub use dice::Dice;
pub use log::{Faults, SimLog, SimTopic};

#[cfg(test)]
mod tests;
