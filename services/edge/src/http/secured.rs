//! The HTTP door with TLS: HTTP/1.1 only.
//!
//! actix-web's own server with TLS offers HTTP/2 whatever it is told, and bounds neither its streams nor their headers, nor how long
//! a client may take nothing. So this is that server's recipe without it.

use std::any::Any;
use std::io;
use std::net::TcpListener;

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{IntoServiceFactory as _, ServiceFactoryExt as _, map_config};
use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::MessageBody;
use actix_web::dev::AppConfig;
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error};
use tokio_rustls::rustls::ServerConfig;
use tokio_util::sync::CancellationToken;

use super::{DISCONNECT_TIMEOUT, Door, HEAD_TIMEOUT, KEEP_ALIVE, Routes};
use crate::connections::OnConnect;

/// Handshakes at once that one thread may have: as many as connections, so that silent clients keep nobody else out.
const HANDSHAKES: usize = 100_000;

/// Serves `app` on `listener`. Connections that are idle end when `stop` says so.
pub(super) fn serve<F, T, B>(
    (door, on_connect): (Door<'_>, impl OnConnect),
    listener: TcpListener,
    tls: ServerConfig,
    stop: CancellationToken,
    app: F,
) -> io::Result<Server>
where
    F: Fn() -> App<T> + Send + Clone + 'static,
    T: Routes<B>,
    B: MessageBody + 'static,
{
    let Door { config, grace, .. } = door;
    actix_tls::accept::max_concurrent_tls_connect(HANDSHAKES);
    let server = Server::build()
        .workers(config.workers)
        .max_concurrent_connections(config.max_connections.div_ceil(config.workers))
        .disable_signals()
        .shutdown_timeout(grace.as_secs().max(1))
        .listen("https", listener, move || {
            let (on_connect, stop) = (on_connect.clone(), stop.clone());
            let app = app().into_factory().map_err(|error: Error| error.error_response());
            HttpService::build()
                .keep_alive(KEEP_ALIVE)
                .client_request_timeout(HEAD_TIMEOUT)
                .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                .graceful_shutdown_signal(move || stop.clone().cancelled_owned())
                .on_connect_ext(move |io: &TlsStream<TcpStream>, data: &mut _| {
                    on_connect(io as &dyn Any, data);
                })
                .h1(map_config(app, |()| AppConfig::default()))
                .rustls_0_23(tls.clone())
        })?;
    Ok(server.run())
}
