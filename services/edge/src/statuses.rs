//! Statuses that a gRPC server's own code did not make: of a message that is too large or no message, a method that does not
//! exist, a compression nobody knows. Promises that each leaves with a `google.rpc.ErrorInfo` as all others do, and that
//! every status names the trace of its call.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::calls::Calls;
use crate::problem::Problem;
use toolkit::telemetry::TraceContext;

const TRACEPARENT: &str = "traceparent";
const TRACE_ID: &str = "trace_id";

/// What a status without details is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bare {
    /// A message, or what it becomes when it is unpacked, is larger than the server takes.
    TooLarge,
    /// A message that cannot be read.
    Malformed,
    NoSuchMethod,
    /// A message packed in a way the server does not know.
    Packed,
    Other(Code),
}

impl Bare {
    fn of(status: &Status) -> Self {
        match status.code() {
            Code::OutOfRange | Code::ResourceExhausted => Self::TooLarge,
            // The server's own failures have details: of the rest it says so of messages.
            Code::Internal | Code::InvalidArgument => Self::Malformed,
            Code::Unimplemented if status.message().contains("ompress") => Self::Packed,
            Code::Unimplemented => Self::NoSuchMethod,
            code => Self::Other(code),
        }
    }
}

/// Makes the problem of a bare status; the text is what the library said.
pub type Explain = fn(Bare, &str) -> Problem;

/// The status with details and the name of the trace; one that has both stays as it is.
pub fn explained(status: Status, trace: &TraceContext, explain: Explain) -> Status {
    let mut details = status.get_error_details();
    let Some(mut info) = details.error_info().cloned() else {
        let bare = Bare::of(&status);
        let mut problem = explain(bare, status.message());
        if matches!(bare, Bare::NoSuchMethod | Bare::Packed | Bare::Other(_)) {
            // gRPC's own rules name the code.
            problem.grpc = status.code() as i32;
        }
        let mut told = Status::from(problem.with(TRACE_ID, trace.trace_id()));
        *told.metadata_mut() = status.metadata().clone();
        return told;
    };
    if info.metadata.contains_key(TRACE_ID) {
        return status;
    }
    info.metadata.insert(TRACE_ID.to_owned(), trace.trace_id());
    details.set_error_info(info.reason, info.domain, info.metadata);
    let metadata = status.metadata().clone();
    Status::with_error_details_and_metadata(status.code(), status.message(), details, metadata)
}

/// A server whose statuses all have details, and whose calls are counted. It also tells the calls their trace: their requests have a [`TraceContext`]
/// among their extensions.
#[derive(Clone, Debug)]
pub struct Explained<S> {
    inner: S,
    explain: Explain,
    calls: Calls,
}

impl<S> Explained<S> {
    pub fn new(inner: S, explain: Explain, calls: Calls) -> Self {
        Self { inner, explain, calls }
    }
}

impl<S> Service<http::Request<Body>> for Explained<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let header = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
        let trace = TraceContext::incoming(header);
        request.extensions_mut().insert(trace);
        let (since, calls, method) =
            (Instant::now(), self.calls.clone(), self.calls.method(request.uri().path()));
        let (call, explain) = (self.inner.call(request), self.explain);
        Box::pin(async move {
            let mut response = call.await?;
            let mut code = Code::Ok;
            // A status that stands in the headers is all of the answer; others come after a stream, from our own code.
            if let Some(status) =
                Status::from_header_map(response.headers()).filter(|it| it.code() != Code::Ok)
            {
                let headers = response.headers_mut();
                for name in [Status::GRPC_STATUS, Status::GRPC_MESSAGE, Status::GRPC_STATUS_DETAILS] {
                    headers.remove(name);
                }
                let told = explained(status, &trace, explain);
                code = told.code();
                if let Err(status) = told.add_header(headers) {
                    tracing::error!(%status, "a status cannot be written: a defect");
                }
            }
            calls.answered(method, code, since);
            Ok(response)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explain(bare: Bare, said: &str) -> Problem {
        Problem::new("for-a-test", "For a test", 400, 3, format!("{bare:?}: {said}"))
    }

    #[test]
    fn a_bare_status_gets_its_details_and_the_trace() {
        let trace = TraceContext::new();
        for (status, code, bare) in [
            (Status::out_of_range("5 bytes"), Code::InvalidArgument, Bare::TooLarge),
            (Status::internal("failed to decode"), Code::InvalidArgument, Bare::Malformed),
            (Status::unimplemented(""), Code::Unimplemented, Bare::NoSuchMethod),
            (Status::unimplemented("Content is compressed with `br`"), Code::Unimplemented, Bare::Packed),
            (Status::cancelled("late"), Code::Cancelled, Bare::Other(Code::Cancelled)),
        ] {
            let said = status.message().to_owned();
            let told = explained(status, &trace, explain);
            assert_eq!((told.code(), told.message()), (code, format!("{bare:?}: {said}").as_str()));
            let info = told.get_details_error_info().unwrap();
            assert_eq!((info.reason.as_str(), &info.metadata[TRACE_ID]), ("FOR_A_TEST", &trace.trace_id()));
        }
    }

    #[test]
    fn a_status_with_details_only_learns_its_trace() {
        let trace = TraceContext::new();
        let problem = explain(Bare::TooLarge, "mine").field("/sku", "is empty").with("current_version", 3);
        let told = explained(problem.clone().into(), &trace, explain);
        let details = told.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata[TRACE_ID], trace.trace_id());
        assert_eq!(details.error_info().unwrap().metadata["current_version"], "3");
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, "/sku");
        let traced = explained(problem.with(TRACE_ID, "a").into(), &trace, explain);
        assert_eq!(traced.get_details_error_info().unwrap().metadata[TRACE_ID], "a");
    }
}
