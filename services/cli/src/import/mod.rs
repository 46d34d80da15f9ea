//! Importing a catalog through the public bulk API.

pub mod diamonds;
mod upload;

pub use upload::{Answer, Upload};
