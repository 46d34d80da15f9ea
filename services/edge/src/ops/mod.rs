//! The operators' port: `/livez`, `/startupz`, `/readyz`, `/metrics`, `/loglevel`, and what a service adds. Not for clients.
//!
//! Promises: it answers from the start of the process until its work is finished, also while the process drains
//! (not ready, alive), an answer never waits for a dependency, and connections that do nothing are closed.

mod level;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::http::header;
use actix_web::{App, HttpResponse, web};
use opentelemetry::KeyValue;
use toolkit::config::ListenConfig;
use toolkit::lifecycle::{Lifecycle, Readiness, Status};
use toolkit::telemetry::{Telemetry, names};
use toolkit::tls::ServerTlsConfig;

use crate::auth::{Access, Auth, Scope};
use crate::config::DoorConfig;
use crate::http::{self, Door, Taken};
use crate::limits::Peers;

/// Connections at once: probes and scrapes need few.
const MAX_CONNECTIONS: usize = 256;

const GET: &[&str] = &["GET"];
/// Probes have nothing to show.
const ALIVE: Taken = Taken { path: "/livez", methods: GET, needs: Access::Anyone };
const STARTED: Taken = Taken { path: "/startupz", methods: GET, needs: Access::Anyone };
const READY: Taken = Taken { path: "/readyz", methods: GET, needs: Access::Anyone };
/// Unless `auth.open_metrics` shows them to anyone.
const METRICS: Taken = Taken { path: "/metrics", methods: GET, needs: Access::Needs(Scope::Ops) };
/// All that every service shows there.
pub const PATHS: &[Taken] = &[ALIVE, STARTED, READY, METRICS, level::LOG_LEVEL];

/// Where the operators' port is, and its TLS.
#[derive(Clone, Copy, Debug)]
pub struct OpsPort<'c> {
    pub address: SocketAddr,
    pub tls: &'c ServerTlsConfig,
}

impl<'c> From<&'c ListenConfig> for OpsPort<'c> {
    fn from(listen: &'c ListenConfig) -> Self {
        Self { address: listen.ops, tls: &listen.ops_tls }
    }
}

/// Serves the operators' port under `lifecycle` until all work is finished. Returns where it listens (port 0 is
/// resolved).
pub(crate) fn serve(
    OpsPort { address, tls }: OpsPort<'_>,
    lifecycle: &Lifecycle,
    telemetry: &Telemetry,
    auth: &Auth,
    own: impl Fn(&mut web::ServiceConfig, &Auth) + Clone + Send + 'static,
) -> anyhow::Result<SocketAddr> {
    let (readiness, telemetry) = (lifecycle.readiness().clone(), telemetry.clone());
    show(&readiness, &telemetry);
    let config = DoorConfig {
        workers: 1,
        max_connections: MAX_CONNECTIONS,
        tls: tls.clone(),
        ..DoorConfig::default()
    };
    let door = Door { address, config: &config, auth, grace: Duration::from_secs(1), handles: false };
    let auth = auth.clone();
    // Where a kubelet seems to be at the address of a client, its probes must not be refused for that.
    let (peers, keys) = (Peers::default(), ("listen.ops", "listen.ops_tls"));
    let of_metrics = Taken { needs: auth.of_metrics(), ..METRICS };
    let (bound, server) = http::open((door, peers), keys, lifecycle, lifecycle.drained(), move || {
        App::new()
            .app_data(web::Data::new(readiness.clone()))
            .app_data(web::Data::new(telemetry.clone()))
            .service(ALIVE.resource(&auth).to(alive))
            .service(STARTED.resource(&auth).to(started))
            .service(READY.resource(&auth).to(ready))
            .service(of_metrics.resource(&auth).to(metrics))
            .app_data(web::PayloadConfig::new(level::MAX_BODY))
            .service(level::LOG_LEVEL.resource(&auth).to(level::log_level))
            .configure(|app| own(app, &auth))
    })?;
    lifecycle.spawn_support("ops", http::until(server, lifecycle.drained()));
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
    answer_with(status.started, status)
}

async fn ready(readiness: web::Data<Readiness>) -> HttpResponse {
    let status = readiness.status();
    answer_with(status.ready, status)
}

fn answer_with(is_so: bool, status: Status) -> HttpResponse {
    let mut answer = if is_so { HttpResponse::Ok() } else { HttpResponse::ServiceUnavailable() };
    answer.json(status)
}

async fn metrics(telemetry: web::Data<Telemetry>) -> HttpResponse {
    match telemetry.render_metrics() {
        Ok(text) => HttpResponse::Ok()
            .insert_header((header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
            .body(text),
        Err(error) => HttpResponse::InternalServerError().body(format!("{error}\n")),
    }
}
