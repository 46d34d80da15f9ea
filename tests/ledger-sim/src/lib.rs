//! For tests of whatever uses the ledger: a simulated log whose faults come from a seed, the suite that every adapter of
//! the port passes, a place for saved products, and laws for writers that break one.
//!
//! Start at [`SimLog`] for a log of a test, at [`conformance`] for a new adapter.

mod broker;
mod cold;
pub mod conformance;
mod dice;
mod laws;
mod log;
mod records;

pub use broker::{Faults, SimEvent, Step};
pub use cold::{SimCold, StateCodec};
pub use dice::SeededRng;
pub use laws::{Broken, Law};
pub use log::{SimLog, SimTopic};

#[cfg(test)]
mod tests;
