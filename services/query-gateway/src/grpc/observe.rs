//! What is done around every call: its trace, its count, its duration, and its errors as statuses.

use std::future::Future;
use std::time::Instant;

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use tonic::metadata::MetadataMap;
use tonic::{Code, Response, Status};
use toolkit::problem::Problem;
use toolkit::telemetry::{TraceContext, names};
use tracing::Instrument;
use uuid::Uuid;

use super::NAME;
use crate::ask::AskError;
use crate::ask::limits::is_request_id;

/// The instruments of the gRPC server.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    calls: Counter<u64>,
    seconds: Histogram<f64>,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            calls: meter.u64_counter(names::GRPC_REQUESTS_TOTAL).build(),
            seconds: meter.f64_histogram(names::GRPC_REQUEST_SECONDS).build(),
        }
    }

    /// Runs `call`, and tells how it went.
    pub(super) async fn observe<T>(
        &self,
        method: &'static str,
        metadata: &MetadataMap,
        call: impl Future<Output = Result<T, AskError>>,
    ) -> Result<Response<T>, Status> {
        let started = Instant::now();
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
        let method = KeyValue::new("method", method);
        self.seconds.record(started.elapsed().as_secs_f64(), std::slice::from_ref(&method));
        self.calls.add(1, &[method, KeyValue::new("code", format!("{code:?}"))]);
        answer.map(Response::new)
    }
}
