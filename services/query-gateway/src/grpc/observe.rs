//! What is done around every call: its trace, and its errors as statuses.

use std::future::Future;

use edge::problem::Problem;
use tonic::metadata::MetadataMap;
use tonic::{Code, Response, Status};
use toolkit::telemetry::TraceContext;
use tracing::Instrument;
use uuid::Uuid;

use super::NAME;
use crate::ask::AskError;
use crate::ask::limits::is_request_id;

/// Runs `call`, and tells how it went.
pub(super) async fn observe<T>(
    method: &'static str,
    metadata: &MetadataMap,
    call: impl Future<Output = Result<T, AskError>>,
) -> Result<Response<T>, Status> {
    let text = |name| metadata.get(name).and_then(|value| value.to_str().ok());
    let id = text("x-request-id").filter(|id| is_request_id(id));
    let id = id.map_or_else(|| Uuid::new_v4().to_string(), str::to_owned);
    let span = tracing::info_span!(
        "grpc call",
        otel.name = format!("{NAME}/{method}"),
        otel.kind = "server",
        rpc.system = "grpc",
        rpc.service = NAME,
        rpc.method = method,
        rpc.grpc.status_code = tracing::field::Empty,
        request.id = id,
    );
    let context = TraceContext::incoming(text("traceparent")).adopt(&span);
    let answer = call.instrument(span.clone()).await.map_err(|error| {
        let problem = Problem::from(error).with("request_id", id).with("trace_id", context.trace_id());
        Status::from(problem)
    });
    let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
    span.record("rpc.grpc.status_code", code as i32);
    answer.map(Response::new)
}
