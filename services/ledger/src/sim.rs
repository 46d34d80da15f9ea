//! For tests: a simulated log whose faults come from a seed, the suite that every adapter of the port passes,
//! a place for saved products, and sequencers that break a [`Law`].

mod broker;
mod cold;
pub mod conformance;
mod dice;
mod log;
mod records;

pub use crate::laws::Law;
pub use broker::{Faults, Happening, Step};
pub use cold::{SimCold, StateCodec};
pub use dice::Dice;
pub use log::{SimLog, SimTopic};

#[cfg(test)]
mod tests;
