//! Clients that cost little: the load generator shares the machine with what it measures. Requests are made before the
//! clock starts, answers are kept as bytes and read after it stops.

pub(crate) mod grpc;
pub(crate) mod http;
pub(crate) mod single;
