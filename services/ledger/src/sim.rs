//! The simulated log and the conformance suite.
