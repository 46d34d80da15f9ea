//! For tests only: real servers, and whatever more than one crate's tests need.

pub mod servers;
