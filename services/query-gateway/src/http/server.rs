//! The HTTP server: its port, its workers and its end.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::HttpServer;
use anyhow::Context;
use edge::connections;
use toolkit::lifecycle::Lifecycle;

use super::{Metrics, app};
use crate::ask::Questions;
use crate::config::Config;

/// How long a caller may take to send the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// Serves under `lifecycle`. Returns where it listens.
pub(crate) fn serve(
    config: &Config,
    questions: Questions,
    metrics: Metrics,
    lifecycle: &Lifecycle,
) -> anyhow::Result<SocketAddr> {
    let address = config.listen.http;
    // Requests under way may wait this long for a read model; the lifecycle's grace period bounds it from outside.
    let longest = config.queries.longest_wait() + config.queries.store_timeout() * 2;
    let server = HttpServer::new(move || app(questions.clone(), metrics.clone()))
        .workers(config.queries.http_workers)
        .max_connections(config.queries.max_connections.div_ceil(config.queries.http_workers))
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .on_connect(connections::on_connect(connections::UNACKNOWLEDGED))
        .shutdown_timeout(longest.as_secs())
        .disable_signals()
        .bind(address)
        .with_context(|| {
            format!("cannot listen for HTTP on {address}; give a free address as listen.http")
        })?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    let server = server.run();
    let (handle, shutdown) = (server.handle(), lifecycle.shutdown());
    lifecycle.spawn("http server", async move {
        let mut server = Box::pin(server);
        tokio::select! {
            ended = &mut server => return Ok(ended?),
            () = shutdown.cancelled() => {}
        }
        let (ended, ()) = tokio::join!(server, handle.stop(true));
        Ok(ended?)
    });
    Ok(bound)
}
