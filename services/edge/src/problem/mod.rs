//! One error shape for both APIs: RFC 9457 problem details over HTTP, a status with `google.rpc` details over gRPC.
//!
//! Promises: both tell the same code, detail, field errors and retry advice; `type` is a stable address whose document
//! exists in `docs/errors`; an internal cause is logged, never sent.

mod body;
mod grpc;
mod http;
#[cfg(test)]
mod tests;

use std::fmt;
use std::time::Duration;

use contract::code::Code;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use body::{Body, EXTENSIONS};

/// What every problem's `type` begins with; the code follows.
pub const TYPE_BASE: &str = "https://folio.dev/errors/";
/// The media type of a problem over HTTP.
pub const MEDIA_TYPE: &str = "application/problem+json";
/// The extension that is also a header over HTTP: an answer that rests on the log can be waited for, whatever it says.
const CONSISTENCY_TOKEN: &str = "consistency_token";
/// The domain of `google.rpc.ErrorInfo`.
pub const ERROR_DOMAIN: &str = "folio.dev";

/// An answer that is not the one asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// Stable, kebab-case.
    pub code: &'static str,
    pub title: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// The gRPC code's number.
    pub grpc: i32,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// When to try again, if that is known.
    pub retry_after: Option<Duration>,
    /// What happened this time, and what to do.
    pub detail: String,
    /// What is wrong where in the request.
    pub errors: Vec<FieldError>,
    /// Further members, of [`EXTENSIONS`]: names as clients see them.
    pub extensions: Map<String, Value>,
}

/// What is wrong with one part of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct FieldError {
    /// A JSON pointer (RFC 6901) into the request; empty is the whole.
    #[schema(example = "/price/minor_units")]
    pub pointer: String,
    /// What is wrong, and what would be right.
    #[schema(example = "must not be negative")]
    pub detail: String,
}

impl Problem {
    /// What the table of codes says of `code`, and what happened.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self {
            code: code.name(),
            title: code.title(),
            status: code.http(),
            grpc: code.grpc(),
            retryable: code.retryable(),
            retry_after: code.retry_after(),
            detail: detail.into(),
            errors: Vec::new(),
            extensions: Map::new(),
        }
    }

    #[must_use]
    pub fn field(mut self, pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
        self
    }

    /// Adds one of [`EXTENSIONS`]: clients are told of no others.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        debug_assert!(EXTENSIONS.iter().any(|(known, ..)| *known == name), "{name} is not among EXTENSIONS");
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// The address of the document that explains the code.
    pub fn type_uri(&self) -> String {
        format!("{TYPE_BASE}{}", self.code)
    }

    /// What `Retry-After` says.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after.map(|after| after.as_secs())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}
