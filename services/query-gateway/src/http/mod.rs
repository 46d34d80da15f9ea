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
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::header;
use actix_web::middleware::{Compress, Next, from_fn};
use actix_web::{App, Error, HttpRequest, web};
use edge::auth::{Access, Auth, Scope};
use edge::context::Spans;
use edge::http::{Door, Paths, Requests, Taken};
use edge::problem::Problem;
use toolkit::lifecycle::Lifecycle;
use toolkit::telemetry::Telemetry;

use crate::ask::{ApiError, Queries};
use crate::config::{Config, QueriesConfig};

/// How all of it is asked.
const READ: &[&str] = &["GET", "HEAD"];
const PRODUCT: Taken = read("/v1/products/{product_id}");
const BATCH: Taken = read("/v1/products:batchGet");
const CATEGORY: Taken = read("/v1/products");
const HISTORY: Taken = read("/v1/products/{product_id}/history");
const SEARCH: Taken = read("/v1/search");
const SUGGEST: Taken = read("/v1/suggest");
/// All that the door takes.
pub(crate) const PATHS: &[Taken] = &[PRODUCT, BATCH, CATEGORY, HISTORY, SEARCH, SUGGEST];

const fn read(path: &'static str) -> Taken {
    Taken { path, methods: READ, needs: Access::Needs(Scope::Read) }
}

/// Serves under `lifecycle`. Returns where it listens.
pub(crate) fn serve(
    config: &Config,
    questions: Queries,
    auth: &Auth,
    lifecycle: &Lifecycle,
    telemetry: &Telemetry,
) -> anyhow::Result<SocketAddr> {
    let grace = grace(&config.queries);
    let door = Door { address: config.listen.http, config: &config.http, auth, grace, handles: false };
    let requests = Requests::new(telemetry, Spans::Logs).draining_with(lifecycle);
    let otherwise = Paths::of(&[PATHS]).otherwise(refuse);
    let auth = auth.clone();
    edge::http::serve(door, lifecycle, move || app(questions.clone(), &auth, &requests, &otherwise))
}

/// How long requests in flight may wait for a read model; the lifecycle's grace period bounds it from outside.
pub(crate) fn grace(config: &QueriesConfig) -> Duration {
    config.max_wait() + config.store_timeout() * 3
}

/// What the door takes and answers, as it is committed; `openapi` makes it from the code, and holds it.
pub(crate) const OPENAPI: &str = include_str!("../../../../schemas/openapi/query-gateway.json");

/// Shows the document on the ops port.
pub(crate) fn document(app: &mut web::ServiceConfig, auth: &Auth) {
    edge::openapi::show(app, auth, OPENAPI);
}

/// The whole application, for a server or a test, and what `beside` adds to it.
pub(crate) fn app(
    questions: Queries,
    auth: &Auth,
    requests: &Requests,
    beside: &dyn Fn(&mut web::ServiceConfig),
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
        .wrap(from_fn(compress_reads_alone))
        // First, so that its patterns, which are narrower, name the requests that are its own.
        .configure(beside)
        .service(PRODUCT.resource(auth).to(products::product))
        .service(BATCH.resource(auth).to(products::batch))
        .service(CATEGORY.resource(auth).to(products::category))
        .service(HISTORY.resource(auth).to(history::history))
        .service(SEARCH.resource(auth).to(search::search))
        .service(SUGGEST.resource(auth).to(search::suggest))
}

/// What stands beside may stream its answers line by line, which compressing would hold back.
async fn compress_reads_alone(
    mut request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    if !READ.contains(&request.method().as_str()) {
        request.headers_mut().remove(header::ACCEPT_ENCODING);
    }
    next.call(request).await
}

/// What is said to whom the door does not answer.
fn refuse(request: &HttpRequest, methods: Option<&str>) -> Problem {
    match methods {
        None => ApiError::NoRoute(request.path().to_owned()).into(),
        Some(_) => ApiError::NoMethod(request.method().to_string()).into(),
    }
}
