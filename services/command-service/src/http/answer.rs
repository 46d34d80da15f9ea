//! Outcomes and problems as HTTP answers.

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use contract::json::schemas;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::Object;

use super::headers::{CONSISTENCY_TOKEN, IDEMPOTENCY_REPLAYED};
use crate::door::{Kind, Outcome};

/// A command that was accepted; it may have had nothing to change.
#[derive(Serialize, ToSchema)]
pub(super) struct Success<'a> {
    #[schema(schema_with = outcome_name)]
    outcome: &'static str,
    /// The product.
    #[schema(example = "lamp-1")]
    product_id: &'a str,
    /// The product's version after the command.
    #[schema(example = 2)]
    version: u64,
    /// The event that was appended; null if there was none.
    #[schema(required)]
    event_id: Option<uuid::Uuid>,
    /// Give it to a read to see this write.
    #[schema(schema_with = schemas::consistency_token)]
    consistency_token: &'a str,
    /// The command was executed before, under the same idempotency key: this is the first answer.
    replayed: bool,
}

fn outcome_name() -> Object {
    schemas::one_of(
        [Kind::Accepted, Kind::NoEffect].map(Kind::name),
        "`no_effect`: what the command asks for was true already, and nothing was written.",
    )
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
