//! What surrounds every request: its id, its metrics, and the net under handlers that panic.

use std::panic::AssertUnwindSafe;
use std::time::Instant;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, web};
use contract::code::Code;
use futures::FutureExt;
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use toolkit::telemetry::names;

use super::headers::X_REQUEST_ID;
use crate::door::problem;

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

/// The request's id: the client's if it is a short visible text, else a new one.
#[derive(Clone, Debug)]
pub(super) struct RequestId(pub(super) String);

impl RequestId {
    fn of(request: &ServiceRequest) -> Self {
        let visible = |text: &&str| {
            (1..=128).contains(&text.len()) && text.bytes().all(|byte| (0x21..0x7f).contains(&byte))
        };
        let given = request.headers().get(X_REQUEST_ID).and_then(|value| value.to_str().ok()).filter(visible);
        Self(given.map_or_else(|| uuid::Uuid::new_v4().to_string(), str::to_owned))
    }
}

/// A label for the method: anyone may invent names of methods.
fn method_label(method: &actix_web::http::Method) -> &'static str {
    match method.as_str() {
        "POST" => "POST",
        "PUT" => "PUT",
        "GET" => "GET",
        "HEAD" => "HEAD",
        "DELETE" => "DELETE",
        "PATCH" => "PATCH",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

pub(super) async fn observe<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, actix_web::Error> {
    let since = Instant::now();
    let id = RequestId::of(&request);
    let method = method_label(request.method());
    let instruments = request.app_data::<web::Data<HttpInstruments>>().cloned();
    request.extensions_mut().insert(id.clone());
    let outcome = AssertUnwindSafe(next.call(request)).catch_unwind().await;
    let (route, status) = match &outcome {
        Ok(Ok(response)) => (response.request().match_pattern(), response.status().as_u16()),
        Ok(Err(error)) => (None, error.as_response_error().status_code().as_u16()),
        Err(_panic) => (None, Code::Internal.http()),
    };
    if let Some(instruments) = instruments {
        instruments.answered(route.unwrap_or_else(|| "none".to_owned()), method, status, since);
    }
    let mut response = outcome.unwrap_or_else(|panic| {
        let said = panic
            .downcast_ref::<&str>()
            .map(|text| (*text).to_owned())
            .or_else(|| panic.downcast_ref::<String>().cloned());
        tracing::error!(request.id = id.0, panic = said, "a request could not be answered: a defect");
        Err(problem(Code::Internal, "the request could not be answered because of a defect")
            .with("request_id", id.0.as_str())
            .into())
    })?;
    if let Ok(value) = HeaderValue::from_str(&id.0) {
        response.headers_mut().insert(HeaderName::from_static(X_REQUEST_ID), value);
    }
    Ok(response)
}
