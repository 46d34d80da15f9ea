//! What surrounds every request: its id and trace, its span, its count, and the net under handlers that panic.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::{BoxBody, EitherBody, MessageBody};
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method};
use actix_web::middleware::{Next, from_fn};
use actix_web::{App, Error, HttpMessage, ResponseError};
use contract::code::Code;
use futures::FutureExt;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram};
use toolkit::lifecycle::{Lifecycle, Readiness};
use toolkit::telemetry::{Sampling, Telemetry, names};
use tracing::{Instrument, Span};

use crate::context::{Context, REQUEST_ID, Spans, request_span, said};
use crate::problem::Problem;

/// The route of what is at no path.
const NO_ROUTE: &str = "none";

/// What a server tells of its requests. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Requests {
    count: Counter<u64>,
    seconds: Histogram<f64>,
    spans: Spans,
    sampling: Sampling,
    readiness: Option<Readiness>,
}

impl Requests {
    pub fn new(telemetry: &Telemetry, spans: Spans) -> Self {
        telemetry.show_all(&[names::HTTP_REQUESTS_TOTAL, names::HTTP_REQUEST_SECONDS], &[]);
        let meter = telemetry.meter();
        Self {
            count: meter.u64_counter(names::HTTP_REQUESTS_TOTAL).build(),
            seconds: meter.f64_histogram(names::HTTP_REQUEST_SECONDS).build(),
            spans,
            sampling: telemetry.sampling(),
            readiness: None,
        }
    }

    /// From the moment that the process is told to end, every answer is the last of its connection: a client that keeps one
    /// goes elsewhere with its next request, instead of sending it to a door that closes.
    #[must_use]
    pub fn draining_with(self, lifecycle: &Lifecycle) -> Self {
        Self { readiness: Some(lifecycle.readiness().clone()), ..self }
    }

    fn answered(&self, route: String, method: &'static str, status: u16, since: Instant) {
        let labels = [
            KeyValue::new("route", route),
            KeyValue::new("method", method),
            KeyValue::new("status", i64::from(status)),
        ];
        self.count.add(1, &labels);
        self.seconds.record(since.elapsed().as_secs_f64(), &labels[..1]);
    }
}

/// An application without routes, whose requests have a [`Context`] among their extensions and are told to `requests`. Add
/// data, routes, and what else wraps them.
pub fn app(
    requests: &Requests,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody + use<>>,
        Error = Error,
        InitError = (),
    > + use<>,
> {
    let requests = requests.clone();
    App::new().wrap(from_fn(move |request, next| observe(requests.clone(), request, next)))
}

async fn observe(
    requests: Requests,
    request: ServiceRequest,
    next: Next<BoxBody>,
) -> Result<ServiceResponse<EitherBody<BoxBody>>, Error> {
    let since = Instant::now();
    let method = label(request.method());
    let route = request.match_pattern().unwrap_or_else(|| NO_ROUTE.to_owned());
    let mut context = Context::of(request.headers());
    context.trace = requests.sampling.decide(context.trace);
    let span = span_of(&requests, &request, (method, &route), &context);
    context.trace = context.trace.adopt(&span);
    context.trace.name(&span);
    request.extensions_mut().insert(context.clone());
    let outcome = AssertUnwindSafe(next.call(request).instrument(span.clone())).catch_unwind().await;
    let outcome = outcome.unwrap_or_else(|panic| {
        let panic = said(&*panic);
        tracing::error!(request.id = context.id, panic, "a request could not be answered: a defect");
        let told = Problem::new(Code::Internal, "the request could not be answered because of a defect");
        Err(context.name(told).into())
    });
    let status = match &outcome {
        Ok(response) => response.status(),
        Err(error) => error.as_response_error().status_code(),
    };
    span.record("http.response.status_code", status.as_u16());
    // What a client did wrong is no error of the server's.
    if status.is_server_error() {
        span.record("otel.status_code", "error");
        span.record("error.type", status.as_str());
    }
    // The pattern that took it: before the call only the path is known, which another method's pattern may take too.
    let taken = outcome.as_ref().ok().and_then(|response| response.request().match_pattern());
    requests.answered(taken.unwrap_or(route), method, status.as_u16(), since);
    let mut response = named(outcome?, &context);
    if let Ok(id) = HeaderValue::from_str(&context.id) {
        response.headers_mut().insert(HeaderName::from_static(REQUEST_ID), id);
    }
    if requests.readiness.is_some_and(|it| it.is_shutting_down()) {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    Ok(response)
}

/// By OpenTelemetry's conventions for servers of HTTP.
fn span_of(
    requests: &Requests,
    request: &ServiceRequest,
    (method, route): (&str, &str),
    context: &Context,
) -> Span {
    request_span!(
        requests.spans.are_of(&context.trace, requests.sampling),
        "http request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        otel.status_code = tracing::field::Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        url.path = request.path(),
        url.scheme = if request.app_config().secure() { "https" } else { "http" },
        "error.type" = tracing::field::Empty,
        request.id = context.id,
        trace_id = tracing::field::Empty,
    )
}

/// The label of a method. Anyone may invent methods: one that is not common is `other`.
fn label(method: &Method) -> &'static str {
    const COMMON: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"];
    COMMON.into_iter().find(|common| *common == method.as_str()).unwrap_or("other")
}

/// The answer; if it is a problem, with the names of its request.
fn named(response: ServiceResponse, context: &Context) -> ServiceResponse<EitherBody<BoxBody>> {
    let problem = response.response().error().and_then(|error| error.as_error::<Problem>()).cloned();
    match problem {
        None => response.map_into_left_body(),
        Some(problem) => {
            let body = context.name(problem).error_response().into_body();
            response.map_body(|_, _| EitherBody::right(body))
        }
    }
}
