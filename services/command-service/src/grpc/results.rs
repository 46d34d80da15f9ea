//! Outcomes and problems as messages.

use contract::proto::catalog::v1::command_result::Result as Told;
use contract::proto::catalog::v1::{
    CommandError, CommandResponse, CommandResult, FieldViolation, Outcome as OutcomeKind,
};
use contract::{FieldError, FieldErrors, Named};
use edge::problem::Problem;

use crate::door::{Kind, Outcome, faults_at};

pub(super) fn response(outcome: Outcome) -> CommandResponse {
    let kind = match outcome.kind {
        Kind::Accepted => OutcomeKind::Accepted,
        Kind::NoEffect => OutcomeKind::NoEffect,
    };
    CommandResponse {
        outcome: kind.into(),
        product_id: outcome.product.to_string(),
        version: outcome.version,
        event_id: outcome.event_id.map(|id| id.to_string()).unwrap_or_default(),
        consistency_token: outcome.token,
        replayed: outcome.replayed,
    }
}

/// The result of request `index` of a stream, which named this.
pub(super) fn result(index: u64, named: Named, outcome: Result<Outcome, Problem>) -> CommandResult {
    let told = match outcome {
        Ok(outcome) => Told::Response(response(outcome)),
        Err(problem) => Told::Error(error(problem)),
    };
    let product_id = match (&told, named.product_id) {
        (Told::Response(response), _) => response.product_id.clone(),
        (Told::Error(_), product_id) => product_id.unwrap_or_default(),
    };
    CommandResult {
        index,
        product_id,
        idempotency_key: named.idempotency_key.unwrap_or_default(),
        result: Some(told),
    }
}

fn error(problem: Problem) -> CommandError {
    let (consistency_token, trace_id) = (text(&problem, "consistency_token"), text(&problem, "trace_id"));
    let retry_after_seconds = problem.retry_after_seconds().map(|seconds| seconds as u32);
    CommandError {
        code: problem.code.to_owned(),
        grpc_code: problem.grpc,
        message: problem.detail,
        retryable: problem.retryable,
        retry_after_seconds,
        consistency_token,
        trace_id,
        current_version: problem.extensions.get("current_version").and_then(serde_json::Value::as_u64),
        violations: problem
            .errors
            .into_iter()
            .map(|error| FieldViolation { field: error.pointer, description: error.detail })
            .collect(),
    }
}

/// An extension of a problem; empty if it has none.
fn text(problem: &Problem, name: &str) -> String {
    problem.extensions.get(name).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
}

/// The faults of a message, their places written as protobuf clients write them.
pub(super) fn faults(errors: FieldErrors) -> Problem {
    faults_at(errors, FieldError::field_path)
}
