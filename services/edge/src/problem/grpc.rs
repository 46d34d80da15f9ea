//! A problem as a gRPC status with `google.rpc` details.

use std::collections::HashMap;

use serde_json::Value;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, FieldViolation, StatusExt};

use super::{ERROR_DOMAIN, Problem};

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let mut details = ErrorDetails::new();
        let mut metadata: HashMap<String, String> =
            problem.extensions.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        metadata.insert("retryable".to_owned(), problem.retryable.to_string());
        metadata.insert("type".to_owned(), problem.type_uri());
        // The reason of an ErrorInfo is UPPER_SNAKE_CASE by Google's rule; the code is the same, written so.
        details.set_error_info(problem.code.replace('-', "_").to_uppercase(), ERROR_DOMAIN, metadata);
        if !problem.errors.is_empty() {
            let violation =
                |error: &super::FieldError| FieldViolation::new(error.pointer.clone(), error.detail.clone());
            details.set_bad_request(problem.errors.iter().map(violation).collect::<Vec<_>>());
        }
        if problem.retry_after.is_some() {
            details.set_retry_info(problem.retry_after);
        }
        Status::with_error_details(Code::from_i32(problem.grpc), problem.detail, details)
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
