//! Outcomes and problems as HTTP answers.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use serde::Serialize;

use super::headers::{CONSISTENCY_TOKEN, IDEMPOTENCY_REPLAYED};
use crate::door::Outcome;

/// The body of a success, alone or in a bulk answer.
#[derive(Serialize)]
pub(super) struct Success<'a> {
    outcome: &'static str,
    product_id: &'a str,
    version: u64,
    event_id: Option<uuid::Uuid>,
    consistency_token: &'a str,
    replayed: bool,
}

impl<'a> Success<'a> {
    pub(super) fn of(outcome: &'a Outcome) -> Self {
        Self {
            outcome: outcome.kind.name(),
            product_id: outcome.product.as_str(),
            version: outcome.version,
            event_id: outcome.event_id,
            consistency_token: &outcome.token,
            replayed: outcome.replayed,
        }
    }
}

pub(super) fn success(outcome: &Outcome) -> HttpResponse {
    let status = StatusCode::from_u16(outcome.http_status()).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    response
        .insert_header((header::ETAG, format!("\"{}\"", outcome.version)))
        .insert_header((CONSISTENCY_TOKEN, outcome.token.as_str()));
    if status == StatusCode::CREATED {
        response.insert_header((header::LOCATION, format!("/v1/products/{}", outcome.product)));
    }
    if outcome.replayed {
        response.insert_header((IDEMPOTENCY_REPLAYED, "true"));
    }
    response.json(Success::of(outcome))
}
