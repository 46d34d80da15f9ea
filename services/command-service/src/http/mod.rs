//! The HTTP door.
//!
//! | route | command |
//! | --- | --- |
//! | `POST /v1/products`, `PUT /v1/products/{id}` | create |
//! | `POST /v1/products/{id}:<action>` | the others, see [`products::ACTIONS`] |
//! | `POST /v1/commands:bulk` | any, one per line |
//!
//! Promises: every answer that is not a success is a problem (RFC 9457) with a code; no panic reaches a client; bodies
//! are bounded before they are read; `X-Request-Id` comes back; what a request asks of its product's version is kept or
//! refused, never passed over.

mod answer;
mod body;
mod bulk;
mod headers;
mod lines;
#[cfg(test)]
mod openapi;
mod products;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use contract::code::Code;
use edge::context::Spans;
use edge::http::{Door, Requests};
use edge::problem::Problem;
use toolkit::lifecycle::Lifecycle;
use toolkit::telemetry::Telemetry;

use crate::door::State;

/// What the door takes and answers, as it is committed; `openapi` makes it from the code, and holds it.
const OPENAPI: &str = include_str!("../../../../schemas/openapi/command-service.json");

/// Shows the document on the ops port.
pub(crate) fn document(app: &mut web::ServiceConfig) {
    edge::openapi::show(app, OPENAPI);
}

/// Adds the routes of the door to an app whose data hold a [`State`].
fn routes(app: &mut web::ServiceConfig) {
    app.service(
        web::resource("/v1/products")
            .route(web::post().to(products::create))
            .default_service(web::to(takes_post_only)),
    )
    .service(
        web::resource("/v1/products/{id:[^/:]+}:{action:[^/:]+}")
            .route(web::post().to(products::act))
            .default_service(web::to(takes_post_only)),
    )
    .service(
        web::resource("/v1/products/{id:[^/:]+}")
            .route(web::put().to(products::create_with_id))
            .default_service(web::to(takes_put_only)),
    )
    .service(
        web::resource("/v1/commands:bulk")
            .route(web::post().to(bulk::upload))
            .default_service(web::to(takes_post_only)),
    )
    .default_service(web::to(nothing_here));
}

async fn takes_post_only() -> HttpResponse {
    method_not_allowed("POST")
}

async fn takes_put_only() -> HttpResponse {
    method_not_allowed("PUT")
}

fn method_not_allowed(allowed: &'static str) -> HttpResponse {
    let detail = format!("this path takes {allowed} only; products are read at the query gateway");
    let mut response = HttpResponse::from_error(Problem::new(Code::MethodNotAllowed, detail));
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
    response
}

async fn nothing_here(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let detail = format!(
        "there is nothing at {}; commands go to /v1/products, /v1/products/{{id}}:<action> and /v1/commands:bulk",
        request.path().chars().take(200).collect::<String>()
    );
    Err(Problem::new(Code::NotFound, detail))
}

/// Serves the door under `lifecycle`. Returns where it listens (port 0 is resolved).
pub(crate) fn serve(
    address: SocketAddr,
    state: State,
    lifecycle: &Lifecycle,
    telemetry: &Telemetry,
    grace: Duration,
) -> anyhow::Result<SocketAddr> {
    let config = state.config.clone();
    // Clients of uploads may take nothing for as long as they send.
    let door = Door { address, config: &config, grace, handles: true };
    let requests = Requests::new(telemetry, Spans::TracesOnly);
    edge::http::serve(door, lifecycle, move || {
        edge::http::app(&requests).app_data(web::Data::new(state.clone())).configure(routes)
    })
}
