//! What surrounds every call: its id and trace, its span, its count, the details of its errors, and the net under methods
//! that panic.
//!
//! Promises: every call is counted once, also one that no method saw, and no label holds what a caller made up; every status
//! leaves with a `google.rpc.ErrorInfo` that names its call.

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll};
use std::time::Instant;

use contract::code::Code as FolioCode;
use futures::FutureExt;
use http_body_util::BodyExt;
use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::{KeyValue, StringValue};
use prost_types::FileDescriptorSet;
use tokio_util::task::TaskTracker;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::{Code, Status};
use toolkit::telemetry::{Sampling, Telemetry, names};
use tracing::{Instrument, Span};

use super::methods;
use super::statuses::explained;
use crate::context::{Context, Spans, request_span, said};
use crate::problem::Problem;

/// The method of whatever is no method of a service (health, reflection, what does not exist). Of those only failures
/// count: probes would outnumber everything.
const NO_METHOD: &str = "none";

/// What a server tells of its calls, and those in flight. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Calls {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    count: Counter<u64>,
    seconds: Histogram<f64>,
    methods: Vec<Method>,
    spans: Spans,
    sampling: Sampling,
    in_flight: TaskTracker,
}

#[derive(Debug)]
struct Method {
    service: &'static str,
    path: String,
    name: StringValue,
    /// Whether its client sends a stream.
    streams: bool,
}

impl Calls {
    /// Of the services of these full names, which `files` describe.
    pub(super) fn new(
        telemetry: &Telemetry,
        services: &[&'static str],
        files: &FileDescriptorSet,
        spans: Spans,
    ) -> Self {
        telemetry.show_all(&[names::GRPC_REQUESTS_TOTAL, names::GRPC_REQUEST_SECONDS], &[]);
        let described = |service: &'static str| {
            methods(service, files).map(move |method| Method {
                service,
                path: format!("/{service}/{}", method.name()),
                name: Arc::<str>::from(method.name()).into(),
                streams: method.client_streaming(),
            })
        };
        let methods = services.iter().flat_map(|service| described(service));
        let (meter, methods) = (telemetry.meter(), methods.collect());
        let count = meter.u64_counter(names::GRPC_REQUESTS_TOTAL).build();
        let seconds = meter.f64_histogram(names::GRPC_REQUEST_SECONDS).build();
        let (sampling, in_flight) = (telemetry.sampling(), TaskTracker::new());
        let shared = Shared { count, seconds, methods, spans, sampling, in_flight };
        Self { shared: Arc::new(shared) }
    }

    /// The paths of the methods whose clients send streams.
    pub(super) fn streaming(&self) -> impl Iterator<Item = &str> {
        self.shared.methods.iter().filter(|method| method.streams).map(|method| method.path.as_str())
    }

    /// The calls of the services that are not answered to their end.
    pub(super) fn in_flight(&self) -> TaskTracker {
        self.shared.in_flight.clone()
    }

    /// The method at a path.
    fn method(&self, path: &str) -> Option<&Method> {
        self.shared.methods.iter().find(|method| method.path == path)
    }

    /// By OpenTelemetry's conventions for servers of gRPC.
    fn span(&self, method: Option<&Method>, context: &Context) -> Span {
        let Some(Method { service, name: method, .. }) = method else { return Span::none() };
        request_span!(
            self.shared.spans.are_of(&context.trace, self.shared.sampling),
            "grpc call",
            otel.name = format!("{service}/{method}"),
            otel.kind = "server",
            otel.status_code = tracing::field::Empty,
            rpc.system = "grpc",
            rpc.service = *service,
            rpc.method = method.as_str(),
            rpc.grpc.status_code = tracing::field::Empty,
            request.id = context.id,
            trace_id = tracing::field::Empty,
        )
    }

    /// A call was answered, or its stream of answers began.
    fn answered(&self, method: Option<StringValue>, code: Code, since: Instant) {
        let method = match method {
            Some(method) => method,
            None if code == Code::Ok => return,
            None => NO_METHOD.into(),
        };
        let labels = [KeyValue::new("method", method), KeyValue::new("code", format!("{code:?}"))];
        self.shared.count.add(1, &labels);
        self.shared.seconds.record(since.elapsed().as_secs_f64(), &labels[..1]);
    }
}

/// Whether the conventions call it an error of the server's: what a client did wrong is none.
fn is_error(code: Code) -> bool {
    matches!(
        code,
        Code::Unknown
            | Code::DeadlineExceeded
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
    )
}

/// A call, counted when it is over. Dropped without an answer it was given up: by its client, or because its client's time
/// was over.
struct ObservedCall {
    calls: Calls,
    method: Option<StringValue>,
    since: Instant,
    code: Code,
}

impl ObservedCall {
    fn answered(mut self, code: Code) {
        self.code = code;
    }
}

impl Drop for ObservedCall {
    fn drop(&mut self) {
        self.calls.answered(self.method.take(), self.code, self.since);
    }
}

/// A server whose calls have a [`Context`] among their requests' extensions.
#[derive(Clone, Debug)]
pub(super) struct Observed<S> {
    inner: S,
    calls: Calls,
}

impl<S> Observed<S> {
    pub(super) fn new(inner: S, calls: Calls) -> Self {
        Self { inner, calls }
    }
}

impl<S> Service<http::Request<Body>> for Observed<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Task<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        let since = Instant::now();
        let calls = self.calls.clone();
        let method = calls.method(request.uri().path());
        let mut context = Context::of(request.headers());
        // Calls of no method have no spans, and no part in a trace.
        if method.is_some() {
            context.trace = calls.shared.sampling.decide(context.trace);
        }
        let span = calls.span(method, &context);
        let method = method.map(|method| method.name.clone());
        context.trace = context.trace.adopt(&span);
        context.trace.name(&span);
        request.extensions_mut().insert(context.clone());
        let observed =
            ObservedCall { calls: calls.clone(), method: method.clone(), since, code: Code::Cancelled };
        let in_flight = method.is_some().then(|| calls.shared.in_flight.token());
        let call = AssertUnwindSafe(self.inner.call(request).instrument(span.clone())).catch_unwind();
        Box::pin(async move {
            let mut response = call.await.unwrap_or_else(|panic| {
                let panic = said(&*panic);
                tracing::error!(request.id = context.id, panic, "a call could not be answered: a defect");
                let told = "the call could not be answered because of a defect";
                Ok(Status::from(Problem::new(FolioCode::Internal, told)).into_http())
            })?;
            let mut code = Code::Ok;
            // A status that stands in the headers is all of the answer; others come after a stream, from our own code.
            if let Some(status) =
                Status::from_header_map(response.headers()).filter(|it| it.code() != Code::Ok)
            {
                let headers = response.headers_mut();
                for name in [Status::GRPC_STATUS, Status::GRPC_MESSAGE, Status::GRPC_STATUS_DETAILS] {
                    headers.remove(name);
                }
                let told = explained(status, &context);
                code = told.code();
                if let Err(status) = told.add_header(headers) {
                    tracing::error!(%status, "a status cannot be written: a defect");
                }
            }
            span.record("rpc.grpc.status_code", code as i32);
            if is_error(code) {
                span.record("otel.status_code", "error");
            }
            observed.answered(code);
            let Some(in_flight) = in_flight else { return Ok(response) };
            // In flight until its last answer has been taken.
            Ok(response.map(|body| {
                Body::new(body.map_frame(move |frame| {
                    let _until_then = &in_flight;
                    frame
                }))
            }))
        })
    }
}
