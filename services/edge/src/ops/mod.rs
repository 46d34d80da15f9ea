//! The operators' port: `/livez`, `/startupz`, `/readyz`, `/metrics`, and what a service adds. Not for clients.
//!
//! Promises: it answers from the start of the process until its work is finished, also while the process drains
//! (not ready, alive), an answer never waits for a dependency, and connections that do nothing are closed.

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{App, HttpResponse, HttpServer, web};
use opentelemetry::KeyValue;

use crate::connections;
use toolkit::lifecycle::{Lifecycle, Readiness};
use toolkit::telemetry::{Telemetry, names};

/// Connections at once: probes and scrapes need few.
const MAX_CONNECTIONS: usize = 256;
/// How long a client may take to send the head of a request, from the connection on.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept: longer than from one scrape to the next.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Why the operators' port cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for operators on {address}; give a free address as listen.ops")]
pub struct Error {
    address: SocketAddr,
    source: std::io::Error,
}

/// Serves the operators' port under `lifecycle` until all work is finished. Returns where it listens (port 0 is
/// resolved).
pub fn serve(address: SocketAddr, lifecycle: &Lifecycle, telemetry: &Telemetry) -> Result<SocketAddr, Error> {
    serve_with(address, lifecycle, telemetry, |_| {})
}

/// The same with routes of the service's own, such as [`crate::openapi::show`] makes.
pub fn serve_with(
    address: SocketAddr,
    lifecycle: &Lifecycle,
    telemetry: &Telemetry,
    own: fn(&mut web::ServiceConfig),
) -> Result<SocketAddr, Error> {
    let (readiness, telemetry) = (lifecycle.readiness().clone(), telemetry.clone());
    show(&readiness, &telemetry);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(readiness.clone()))
            .app_data(web::Data::new(telemetry.clone()))
            .route("/livez", web::get().to(alive))
            .route("/startupz", web::get().to(started))
            .route("/readyz", web::get().to(ready))
            .route("/metrics", web::get().to(metrics))
            .configure(own)
    })
    .workers(1)
    .max_connections(MAX_CONNECTIONS)
    .client_request_timeout(REQUEST_TIMEOUT)
    .client_disconnect_timeout(DISCONNECT_TIMEOUT)
    .keep_alive(KEEP_ALIVE)
    .on_connect(connections::on_connect(connections::UNACKNOWLEDGED))
    .disable_signals()
    .shutdown_timeout(1)
    .bind(address)
    .map_err(|source| Error { address, source })?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    let server = server.run();
    let (handle, drained) = (server.handle(), lifecycle.drained());
    lifecycle.spawn_support("ops", async move {
        let stop = async {
            drained.cancelled().await;
            handle.stop(true).await;
        };
        let (outcome, ()) = tokio::join!(server, stop);
        Ok(outcome?)
    });
    tracing::info!(address = %bound, "operators' port is open");
    Ok(bound)
}

/// Shows in the metrics what readiness says of each dependency.
fn show(readiness: &Readiness, telemetry: &Telemetry) {
    let (readiness, meter) = (readiness.clone(), telemetry.meter());
    let gauge = meter.u64_observable_gauge(names::DEPENDENCY_UP).with_callback(move |observer| {
        for (name, is_up) in readiness.status().dependencies() {
            observer.observe(u64::from(is_up), &[KeyValue::new("dependency", name.to_owned())]);
        }
    });
    // The provider keeps the callback; the handle has no further use.
    let _gauge = gauge.build();
}

async fn alive() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("alive\n")
}

async fn started(readiness: web::Data<Readiness>) -> HttpResponse {
    let status = readiness.status();
    if status.started {
        HttpResponse::Ok().json(status)
    } else {
        HttpResponse::ServiceUnavailable().json(status)
    }
}

async fn ready(readiness: web::Data<Readiness>) -> HttpResponse {
    let status = readiness.status();
    if status.ready {
        HttpResponse::Ok().json(status)
    } else {
        HttpResponse::ServiceUnavailable().json(status)
    }
}

async fn metrics(telemetry: web::Data<Telemetry>) -> HttpResponse {
    match telemetry.render_metrics() {
        Ok(text) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
            .body(text),
        Err(error) => HttpResponse::InternalServerError().body(format!("{error}\n")),
    }
}
