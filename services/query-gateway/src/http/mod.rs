//! The read side over HTTP: routes, and what every answer has in common.
//!
//! Promises: every error is a problem of `contract::code`, also for an unknown route or method; every answer carries the
//! request's id; nothing is served from a cache without asking here first.

mod asked;
mod conditions;
mod headers;
mod history;
mod observe;
#[cfg(test)]
mod openapi;
mod params;
mod products;
mod search;
mod server;
#[cfg(test)]
mod tests;
mod views;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::{Method, header};
use actix_web::middleware::{Compress, from_fn};
use actix_web::{App, Error, HttpRequest, HttpResponse, Resource, Route, guard, web};

use crate::ask::{AskError, Questions};
pub(crate) use observe::Metrics;
pub(crate) use server::serve;

/// What the door takes and answers, as it is committed; `openapi` makes it from the code, and holds it.
const OPENAPI: &str = include_str!("../../../../schemas/openapi/query-gateway.json");

/// Shows the document on the ops port.
pub(crate) fn document(app: &mut web::ServiceConfig) {
    edge::openapi::show(app, OPENAPI);
}

/// The whole application, for a server or a test.
pub(crate) fn app(
    questions: Questions,
    metrics: Metrics,
) -> App<
    impl ServiceFactory<
        ServiceRequest,
        Config = (),
        Response = ServiceResponse<impl MessageBody>,
        Error = Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(web::Data::new(questions))
        .app_data(web::Data::new(metrics))
        .wrap(from_fn(observe::observe))
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
    asked::answer(&request, async { Err(AskError::NoRoute(request.path().to_owned())) }).await
}

async fn no_method(request: HttpRequest) -> HttpResponse {
    let method: &Method = request.method();
    let mut answer = asked::answer(&request, async { Err(AskError::NoMethod(method.to_string())) }).await;
    answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("GET, HEAD"));
    answer
}
