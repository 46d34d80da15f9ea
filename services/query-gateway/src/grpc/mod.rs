//! The read side over gRPC: the same questions as over HTTP, with the same codes.
//!
//! Promises: every error carries `google.rpc.ErrorInfo`, field errors `BadRequest` and waits `RetryInfo`; health follows
//! readiness; the services describe themselves by reflection.

mod asked;
mod observe;
mod server;
mod service;
#[cfg(test)]
mod tests;
mod views;

pub(crate) use server::serve;

/// The service's full name.
const NAME: &str = "catalog.v1.QueryService";
const METHODS: &[&str] =
    &["GetProduct", "BatchGetProducts", "ListProducts", "GetHistory", "Search", "Suggest"];
