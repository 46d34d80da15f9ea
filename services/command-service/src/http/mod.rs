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

use actix_web::{HttpRequest, web};
use contract::code::Code;
use edge::auth::{Access, Auth, Scope};
use edge::context::Spans;
use edge::http::{Door, Paths, Requests, Taken};
use edge::problem::Problem;
use toolkit::lifecycle::Lifecycle;
use toolkit::telemetry::Telemetry;

use crate::door::State;

/// What the door takes and answers, as it is committed; `openapi` makes it from the code, and holds it.
pub(crate) const OPENAPI: &str = include_str!("../../../../schemas/openapi/command-service.json");

const POST: &[&str] = &["POST"];
const WRITE: Access = Access::Needs(Scope::Write);
const PRODUCTS: Taken = Taken { path: "/v1/products", methods: POST, needs: WRITE };
/// Which scope it is depends on the action: the door looks again when it knows the command.
const ACTION: Taken = Taken {
    path: "/v1/products/{id:[^/:]+}:{action:[^/:]+}",
    methods: POST,
    needs: Access::NeedsOneOf(&[Scope::Write, Scope::Delete]),
};
const PRODUCT: Taken = Taken { path: "/v1/products/{id:[^/:]+}", methods: &["PUT"], needs: WRITE };
/// And each line the scope of its command.
const BULK: Taken = Taken { path: "/v1/commands:bulk", methods: POST, needs: Access::Needs(Scope::Bulk) };
/// All that the door takes.
pub(crate) const PATHS: &[Taken] = &[PRODUCTS, ACTION, PRODUCT, BULK];

/// Shows the document on the ops port.
pub(crate) fn document(app: &mut web::ServiceConfig, auth: &Auth) {
    edge::openapi::show(app, auth, OPENAPI);
}

/// Adds the routes of the door.
pub(crate) fn routes(app: &mut web::ServiceConfig, state: &State) {
    let auth = &state.auth;
    app.app_data(web::Data::new(state.clone()))
        .service(PRODUCTS.resource(auth).to(products::create))
        .service(ACTION.resource(auth).to(products::act))
        .service(PRODUCT.resource(auth).to(products::create_with_id))
        .service(BULK.resource(auth).to(bulk::upload));
}

/// What is said to whom the door does not answer.
fn refuse(request: &HttpRequest, methods: Option<&str>) -> Problem {
    if let Some(methods) = methods {
        let detail = format!("this path takes {methods} only; products are read at the query gateway");
        return Problem::new(Code::MethodNotAllowed, detail);
    }
    let detail = format!(
        "there is nothing at {}; commands go to /v1/products, /v1/products/{{id}}:<action> and /v1/commands:bulk",
        request.path().chars().take(200).collect::<String>()
    );
    Problem::new(Code::NotFound, detail)
}

/// Serves the door under `lifecycle`. Returns where it listens (port 0 is resolved).
pub(crate) fn serve(
    address: SocketAddr,
    state: State,
    lifecycle: &Lifecycle,
    telemetry: &Telemetry,
    grace: Duration,
) -> anyhow::Result<SocketAddr> {
    let (config, auth) = (state.config.clone(), state.auth.clone());
    // Clients of uploads may take nothing for as long as they send.
    let door = Door { address, config: &config, auth: &auth, grace, handles: true };
    let requests = Requests::new(telemetry, Spans::Sampled).draining_with(lifecycle);
    let otherwise = Paths::of(&[PATHS]).otherwise(refuse);
    edge::http::serve(door, lifecycle, move || {
        edge::http::app(&requests).configure(|app| routes(app, &state)).configure(&otherwise)
    })
}
