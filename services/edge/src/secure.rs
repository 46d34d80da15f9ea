//! TLS on the doors: opened with them, and followed while they are open.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use anyhow::Context as _;
use futures::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::task::AbortOnDropHandle;
use tonic::transport::server::Connected;
use toolkit::lifecycle::Lifecycle;
use toolkit::tls::{EVERY, ServerTls, ServerTlsConfig};

use crate::auth::Peer;
use crate::connections::Connection;

/// How long a client may take to come to terms.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// The TLS that `section` configures; `None`: plain text. Its files are followed as long as `lifecycle` works.
pub(crate) fn open(
    config: &ServerTlsConfig,
    section: &'static str,
    lifecycle: &Lifecycle,
) -> anyhow::Result<Option<ServerTls>> {
    let tls = ServerTls::open(config).with_context(|| format!("cannot serve TLS; check {section}"))?;
    if let Some(tls) = &tls {
        let following = tls.clone().follow(section, EVERY, lifecycle.drained());
        lifecycle.spawn_support(format!("certificates of {section}"), async move {
            following.await;
            Ok(())
        });
    }
    Ok(tls)
}

/// A connection of the gRPC door, secured or not.
#[derive(Debug)]
pub(crate) struct Wire(Either<Connection, TlsStream<Connection>>);

/// Comes to terms with every client of `incoming`, with many at once; those with whom it cannot are closed.
pub(crate) fn secured(
    incoming: impl Stream<Item = io::Result<Connection>>,
    tls: Option<TlsAcceptor>,
    at_once: usize,
) -> impl Stream<Item = io::Result<Wire>> {
    let with_each = move |taken: io::Result<Connection>| {
        let tls = tls.clone();
        async move {
            let (connection, tls) = match (taken, tls) {
                (Err(error), _) => return Some(Err(error)),
                (Ok(connection), None) => return Some(Ok(Wire(Either::Left(connection)))),
                (Ok(connection), Some(tls)) => (connection, tls),
            };
            // On any processor: signing for one client must not keep others waiting.
            let agreed = tokio::spawn(tokio::time::timeout(HANDSHAKE, tls.accept(connection)));
            match AbortOnDropHandle::new(agreed).await {
                Ok(Ok(Ok(stream))) => return Some(Ok(Wire(Either::Right(stream)))),
                Ok(Ok(Err(error))) => tracing::debug!(%error, "no TLS with a client of gRPC"),
                Ok(Err(_)) => tracing::debug!("a client of gRPC took too long to come to terms"),
                Err(error) => tracing::warn!(%error, "coming to terms with a client of gRPC failed"),
            }
            None
        }
    };
    incoming.map(with_each).buffer_unordered(at_once.max(1)).filter_map(std::future::ready)
}

/// What the gRPC door comes to terms with.
pub(crate) fn acceptor(tls: &ServerTls) -> anyhow::Result<TlsAcceptor> {
    Ok(TlsAcceptor::from(Arc::new(tls.config(&[b"h2"])?)))
}

/// Calls have the [`Peer`] of their connection among their extensions.
impl Connected for Wire {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        match &self.0 {
            Either::Left(plain) => Peer::at(plain.address()),
            Either::Right(secured) => {
                let (plain, tls) = secured.get_ref();
                Peer::of(tls.peer_certificates(), plain.address())
            }
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, from)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
