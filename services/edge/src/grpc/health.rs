//! Health as gRPC clients ask for it. Promise: it follows readiness, of the whole server (the empty name) and of each of its services.

use std::time::Duration;

use tonic_health::ServingStatus;
use tonic_health::pb::health_server::{Health, HealthServer};
use tonic_health::server::HealthReporter;
use toolkit::lifecycle::Lifecycle;

/// How often it is compared.
const INTERVAL: Duration = Duration::from_millis(250);

/// What answers, for as long as `lifecycle` runs.
pub(super) async fn follow(
    lifecycle: &Lifecycle,
    services: Vec<&'static str>,
) -> HealthServer<impl Health + use<>> {
    let (reporter, health) = tonic_health::server::health_reporter();
    report(&reporter, &services, false).await;
    let (readiness, shutdown) = (lifecycle.readiness().clone(), lifecycle.shutdown());
    lifecycle.spawn("grpc health", async move {
        let mut was_ready = false;
        loop {
            let is_ready = readiness.is_ready();
            if is_ready != was_ready {
                report(&reporter, &services, is_ready).await;
                was_ready = is_ready;
            }
            tokio::select! {
                () = tokio::time::sleep(INTERVAL) => {}
                () = shutdown.cancelled() => break,
            }
        }
        report(&reporter, &services, false).await;
        Ok(())
    });
    health
}

async fn report(reporter: &HealthReporter, services: &[&str], is_ready: bool) {
    let status = if is_ready { ServingStatus::Serving } else { ServingStatus::NotServing };
    for name in services.iter().chain(&[""]) {
        reporter.set_service_status(*name, status).await;
    }
}
