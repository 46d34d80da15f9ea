//! The read side over HTTP: routes, and what every answer has in common.
//!
//! Promises: every error is a problem of `contract::code`, also for an unknown route or method; every answer carries the
//! request's id; nothing is served from a cache without asking here first.

mod asked;
mod conditions;
mod headers;
mod history;
#[cfg(test)]
mod openapi;
mod params;
mod products;
mod search;
#[cfg(test)]
mod tests;
mod views;

use std::net::SocketAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, Error, HttpRequest, HttpResponse, Resource, Route, guard, web};
use edge::context::Spans;
use edge::http::{Door, Requests};
use toolkit::lifecycle::Lifecycle;
use toolkit::telemetry::Telemetry;

use crate::ask::{ApiError, Queries};
use crate::config::Config;

/// Serves under `lifecycle`. Returns where it listens.
pub(crate) fn serve(
    config: &Config,
    questions: Queries,
    lifecycle: &Lifecycle,
    telemetry: &Telemetry,
) -> anyhow::Result<SocketAddr> {
    // Requests in flight may wait this long for a read model; the lifecycle's grace period bounds it from outside.
    let grace = config.queries.longest_wait() + config.queries.store_timeout() * 2;
    let door = Door { address: config.listen.http, config: &config.http, grace, handles: false };
    let requests = Requests::new(telemetry, Spans::Logs);
    edge::http::serve(door, lifecycle, move || app(questions.clone(), &requests))
}

/// What the door takes and answers, as it is committed; `openapi` makes it from the code, and holds it.
const OPENAPI: &str = include_str!("../../../../schemas/openapi/query-gateway.json");

/// Shows the document on the ops port.
pub(crate) fn document(app: &mut web::ServiceConfig) {
    edge::openapi::show(app, OPENAPI);
}

/// The whole application, for a server or a test.
fn app(
    questions: Queries,
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
    edge::http::app(requests)
        .app_data(web::Data::new(questions))
        .wrap(Compress::default())
        .wrap(from_fn(conditions::tag_coding))
        .service(read_only("/v1/products/{product_id}", read().to(products::product)))
        .service(read_only("/v1/products:batchGet", read().to(products::batch)))
        .service(read_only("/v1/products", read().to(products::category)))
        .service(read_only("/v1/products/{product_id}/history", read().to(history::history)))
        .service(read_only("/v1/search", read().to(search::search)))
        .service(read_only("/v1/suggest", read().to(search::suggest)))
        .default_service(web::to(no_route))
}

/// A resource that can be read and nothing else.
fn read_only(path: &str, route: Route) -> Resource {
    web::resource(path).route(route).default_service(web::to(no_method))
}

fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

async fn no_route(request: HttpRequest) -> HttpResponse {
    asked::answer(async { Err(ApiError::NoRoute(request.path().to_owned())) }).await
}

async fn no_method(request: HttpRequest) -> HttpResponse {
    let method: &Method = request.method();
    let mut answer = asked::answer(async { Err(ApiError::NoMethod(method.to_string())) }).await;
    answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    answer
}
