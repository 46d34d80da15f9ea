//! What surrounds every request: its id, its metrics, and the net under handlers that panic.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, ResponseError, web};
use contract::code::Code;
use edge::problem::Problem;
use futures::FutureExt;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use toolkit::telemetry::{TraceContext, labels, names};

use super::headers::X_REQUEST_ID;
use crate::door::problem;

/// The member of a problem that names its trace.
const TRACE_ID: &str = "trace_id";

/// The door's instruments.
#[derive(Clone, Debug)]
pub(crate) struct HttpInstruments {
    requests: Counter<u64>,
    seconds: Histogram<f64>,
}

impl HttpInstruments {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            requests: meter.u64_counter(names::HTTP_REQUESTS_TOTAL).build(),
            seconds: meter.f64_histogram(names::HTTP_REQUEST_SECONDS).build(),
        }
    }

    fn answered(&self, route: String, method: &'static str, status: u16, since: Instant) {
        let labels = [
            KeyValue::new("route", route),
            KeyValue::new("method", method),
            KeyValue::new("status", i64::from(status)),
        ];
        self.requests.add(1, &labels);
        self.seconds.record(since.elapsed().as_secs_f64(), &labels[..1]);
    }
}

/// What a request is known by, in its answer, in logs and in the event.
#[derive(Clone, Debug)]
pub(super) struct RequestContext {
    /// The client's if it is a short visible text, else a new one.
    pub(super) id: String,
    pub(super) trace: TraceContext,
}

impl RequestContext {
    fn of(request: &ServiceRequest) -> Self {
        let visible = |text: &&str| {
            (1..=128).contains(&text.len()) && text.bytes().all(|byte| (0x21..0x7f).contains(&byte))
        };
        let given = request.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(visible);
        let id = given.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned);
        Self { id, trace: super::headers::trace(request.headers()) }
    }

    /// Names the trace in a problem, so that a client's report leads to the logs.
    pub(super) fn traced(&self, problem: Problem) -> Problem {
        problem.with(TRACE_ID, self.trace.trace_id())
    }
}

pub(super) async fn observe<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, actix_web::Error> {
    let since = Instant::now();
    let context = RequestContext::of(&request);
    let method = labels::http_method(request.method().as_str());
    let instruments = request.app_data::<web::Data<HttpInstruments>>().cloned();
    request.extensions_mut().insert(context.clone());
    let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    let (route, status) = match &outcome {
        Ok(Ok(response)) => (response.request().match_pattern(), response.status().as_u16()),
        Ok(Err(error)) => (None, error.as_response_error().status_code().as_u16()),
        Err(_panic) => (None, Code::Internal.http()),
    };
    if let Some(instruments) = instruments {
        instruments.answered(route.unwrap_or_else(|| "none".to_owned()), method, status, since);
    }
    let response = outcome.unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        tracing::error!(request.id = context.id, panic = said, "a request could not be answered: a defect");
        let told = problem(Code::Internal, "the request could not be answered because of a defect");
        Err(context.traced(told.with("request_id", context.id.as_str())).into())
    })?;
    let mut response = traced(response, &context);
    if let Ok(value) = HeaderValue::from_str(&context.id) {
        response.headers_mut().insert(HeaderName::from_static(X_REQUEST_ID), value);
    }
    Ok(response)
}

/// The answer; if it is a problem that names no trace yet, with the trace.
fn traced<B>(response: ServiceResponse<B>, context: &RequestContext) -> ServiceResponse<EitherBody<B>> {
    let told = response.response().error().and_then(|error| error.as_error::<Problem>());
    match told.filter(|problem| !problem.extensions.contains_key(TRACE_ID)).cloned() {
        None => response.map_into_left_body(),
        Some(problem) => {
            let told = context.traced(problem).error_response();
            response.into_response(told.map_into_right_body())
        }
    }
}
