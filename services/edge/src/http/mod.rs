//! HTTP servers: their connections, and what every request passes before a handler sees it.
//!
//! Promises: a server that ends early ends the process; told to stop it finishes the requests it has; connections that do
//! nothing are closed.

mod observe;
mod paths;
mod secured;
mod skip;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::body::MessageBody;
use actix_web::dev::{Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::{App, Error, HttpServer};
use anyhow::Context;
use tokio_util::sync::CancellationToken;
use toolkit::lifecycle::Lifecycle;

use crate::auth::Auth;
use crate::config::DoorConfig;
use crate::connections;
use crate::limits::Peers;
use crate::secure;

pub use observe::{Requests, app};
pub use paths::{Paths, Taken, otherwise};
pub use skip::skip;

/// How long an idle connection is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// How long a client may take to send the head of a request, from the connection on.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// How long it may take to close its side.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What an [`App`] of a door is made of: routes, with all that a request passes before them. `B` is the body of its answers.
pub trait Routes<B>:
    ServiceFactory<ServiceRequest, Config = (), Response = ServiceResponse<B>, Error = Error, InitError = ()>
    + 'static
{
}

impl<B, T> Routes<B> for T where
    T: ServiceFactory<
            ServiceRequest,
            Config = (),
            Response = ServiceResponse<B>,
            Error = Error,
            InitError = (),
        > + 'static
{
}

/// A door over HTTP.
#[derive(Clone, Copy, Debug)]
pub struct Door<'c> {
    pub address: SocketAddr,
    pub config: &'c DoorConfig,
    /// What bounds the connections of each peer; routes have it of their own.
    pub auth: &'c Auth,
    /// How long requests may take that are in flight when the door closes.
    pub grace: Duration,
    /// Whether requests get a [`connections::Handle`]: for those whose client may rightly take nothing for long.
    pub handles: bool,
}

/// Serves `app` under `lifecycle`. Returns where it listens (port 0 is resolved).
pub fn serve<F, T, B>(door: Door<'_>, lifecycle: &Lifecycle, app: F) -> anyhow::Result<SocketAddr>
where
    F: Fn() -> App<T> + Send + Clone + 'static,
    T: Routes<B>,
    B: MessageBody + 'static,
{
    let peers = door.auth.limits().peers();
    let keys = ("listen.http", "http.tls");
    let (bound, server) = open((door, peers), keys, lifecycle, lifecycle.shutdown(), app)?;
    lifecycle.spawn("http", until(server, lifecycle.shutdown()));
    tracing::info!(address = %bound, "the HTTP door is open");
    Ok(bound)
}

/// Binds the address that `key` configures, with the TLS of `section`. `stop` is what the server will be told by.
pub(crate) fn open<F, T, B>(
    (door, peers): (Door<'_>, Peers),
    (key, section): (&str, &'static str),
    lifecycle: &Lifecycle,
    stop: CancellationToken,
    app: F,
) -> anyhow::Result<(SocketAddr, Server)>
where
    F: Fn() -> App<T> + Send + Clone + 'static,
    T: Routes<B>,
    B: MessageBody + 'static,
{
    let Door { address, config, grace, handles, .. } = door;
    let on_connect = connections::on_connect(config.stall(), handles, peers);
    let why = || format!("cannot listen on {address}; give a free address as {key}");
    if let Some(tls) = secure::open(&config.tls, section, lifecycle)? {
        let listener = connections::listen(address).with_context(why)?;
        let bound = listener.local_addr().with_context(why)?;
        let server = secured::serve((door, on_connect), listener, tls.config(&[b"http/1.1"])?, stop, app);
        return Ok((bound, server.with_context(why)?));
    }
    let server = HttpServer::new(app)
        .workers(config.workers)
        .max_connections(config.max_connections.div_ceil(config.workers))
        .client_request_timeout(HEAD_TIMEOUT)
        .client_disconnect_timeout(DISCONNECT_TIMEOUT)
        .keep_alive(KEEP_ALIVE)
        .on_connect(on_connect)
        .disable_signals()
        .shutdown_timeout(grace.as_secs().max(1))
        .bind(address)
        .with_context(why)?;
    let bound = server.addrs().first().copied().unwrap_or(address);
    Ok((bound, server.run()))
}

/// Runs a server until it is told to stop, and then until it has answered what it has taken.
pub(crate) async fn until(mut server: Server, stop: CancellationToken) -> anyhow::Result<()> {
    let handle = server.handle();
    tokio::select! {
        ended = &mut server => return Ok(ended?),
        () = stop.cancelled() => {}
    }
    let (ended, ()) = tokio::join!(server, handle.stop(true));
    Ok(ended?)
}
