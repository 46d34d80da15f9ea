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
mod observe;
#[cfg(test)]
mod openapi;
mod products;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{App, HttpMessage, HttpRequest, HttpResponse, HttpServer, ResponseError, web};
use contract::code::Code;
use edge::connections;
use opentelemetry::metrics::Meter;
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::Lifecycle;

use crate::config::HttpConfig;
use crate::door::{Door, problem};
use edge::problem::Problem;
use toolkit::memory::Memory;

pub(crate) use observe::HttpInstruments;
use observe::RequestContext;

/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long a client may take to send the head of a request, from the connection on.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What the handlers share.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) door: Door,
    pub(crate) config: HttpConfig,
    /// What the bodies take that are arriving.
    pub(crate) bodies: Memory,
    /// What the answers of uploads take on disk.
    pub(crate) spools: Memory,
    /// Cancelled when no new work may be taken.
    pub(crate) shutdown: CancellationToken,
}

/// What the door takes and answers, as it is committed; `openapi` makes it from the code, and holds it.
const OPENAPI: &str = include_str!("../../../../schemas/openapi/command-service.json");

/// Shows the document on the ops port.
pub(crate) fn document(app: &mut web::ServiceConfig) {
    edge::openapi::show(app, OPENAPI);
}

/// Adds the routes of the door to an app whose data hold a [`State`] and [`HttpInstruments`].
pub(crate) fn routes(app: &mut web::ServiceConfig) {
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

async fn takes_post_only(request: HttpRequest) -> HttpResponse {
    method_not_allowed(&request, "POST")
}

async fn takes_put_only(request: HttpRequest) -> HttpResponse {
    method_not_allowed(&request, "PUT")
}

fn method_not_allowed(request: &HttpRequest, allowed: &'static str) -> HttpResponse {
    let detail = format!("this path takes {allowed} only; products are read at the query gateway");
    let problem = problem(Code::MethodNotAllowed, detail);
    let mut response = match request.extensions().get::<RequestContext>() {
        Some(context) => context.traced(problem).error_response(),
        None => problem.error_response(),
    };
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
    response
}

async fn nothing_here(request: HttpRequest) -> Result<HttpResponse, Problem> {
    let detail = format!(
        "there is nothing at {}; commands go to /v1/products, /v1/products/{{id}}:<action> and /v1/commands:bulk",
        request.path().chars().take(200).collect::<String>()
    );
    Err(problem(Code::NotFound, detail))
}

/// Serves the door under `lifecycle`. Returns where it listens (port 0 is resolved).
pub(crate) fn serve(
    address: SocketAddr,
    state: State,
    lifecycle: &Lifecycle,
    meter: &Meter,
    grace: Duration,
) -> anyhow::Result<SocketAddr> {
    let instruments = HttpInstruments::new(meter);
    let workers = state.config.workers;
    let most = state.config.max_connections.div_ceil(workers);
    let (shutdown, unacknowledged) = (state.shutdown.clone(), state.config.stall());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(state.clone()))
            .app_data(web::Data::new(instruments.clone()))
            .wrap(actix_web::middleware::from_fn(observe::observe))
            .configure(routes)
    })
    .workers(workers)
    .max_connections(most)
    .disable_signals()
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(HEAD_TIMEOUT)
    .client_disconnect_timeout(DISCONNECT_TIMEOUT)
    .on_connect(connections::on_connect_with_handle(unacknowledged))
    .shutdown_timeout(grace.as_secs().max(1))
    .bind(address)
    .map_err(|error| {
        anyhow::anyhow!("cannot listen on {address}: {error}; give a free address as listen.http")
    })?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    let server = server.run();
    let handle = server.handle();
    lifecycle.spawn("http", async move {
        let stop = async {
            shutdown.cancelled().await;
            handle.stop(true).await;
        };
        let (outcome, ()) = tokio::join!(server, stop);
        Ok(outcome?)
    });
    tracing::info!(address = %bound, "the HTTP door is open");
    Ok(bound)
}
