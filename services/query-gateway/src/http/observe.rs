//! What is done around every request: its id, its trace, its count and its duration.

use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderValue;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, web};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use toolkit::telemetry::{TraceContext, names};
use tracing::Instrument;
use uuid::Uuid;

use super::headers;

/// The instruments of the HTTP server.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    requests: Counter<u64>,
    seconds: Histogram<f64>,
}

impl Metrics {
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            requests: meter.u64_counter(names::HTTP_REQUESTS_TOTAL).build(),
            seconds: meter.f64_histogram(names::HTTP_REQUEST_SECONDS).build(),
        }
    }

    fn answered(&self, route: &str, method: &'static str, status: u16, started: Instant) {
        let route = KeyValue::new("route", route.to_owned());
        self.seconds.record(started.elapsed().as_secs_f64(), std::slice::from_ref(&route));
        let labels = [route, KeyValue::new("method", method), KeyValue::new("status", i64::from(status))];
        self.requests.add(1, &labels);
    }
}

/// A label for the method: anyone may invent names of methods.
fn method_label(method: &actix_web::http::Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// What a request is known by.
#[derive(Clone, Debug)]
pub(super) struct RequestContext {
    pub(super) id: String,
    pub(super) trace_id: String,
}

pub(super) async fn observe(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let started = Instant::now();
    let method = method_label(request.method());
    let metrics = request.app_data::<web::Data<Metrics>>().cloned();
    let id = headers::request_id(request.headers()).unwrap_or_else(|| Uuid::new_v4().to_string());
    let traceparent = request.headers().get("traceparent").and_then(|value| value.to_str().ok());
    let context = TraceContext::incoming(traceparent);
    let route = request.match_pattern().unwrap_or_else(|| "(none)".to_owned());
    let span = tracing::info_span!(
        "http request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        http.response.status_code = tracing::field::Empty,
        request.id = id,
    );
    let context = context.adopt(&span);
    request.extensions_mut().insert(RequestContext { id: id.clone(), trace_id: context.trace_id() });
    let mut answer = next.call(request).instrument(span.clone()).await?;
    if let Ok(id) = HeaderValue::from_str(&id) {
        answer.headers_mut().insert(headers::REQUEST_ID.clone(), id);
    }
    let status = answer.status().as_u16();
    span.record("http.response.status_code", status);
    if let Some(metrics) = metrics {
        metrics.answered(&route, method, status, started);
    }
    Ok(answer)
}
