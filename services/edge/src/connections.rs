//! Connections of a server, bounded in number and time: whoever connects and says nothing, falls silent or reads nothing
//! must not keep a place from others for ever.
//!
//! Promises: at most so many are open at once, and the next one waits in the kernel until one has ended; one of a peer that has too many
//! itself is closed at once; one that has sent
//! nothing within `Limits::first_byte`, or nothing more for `Limits::idle`, is closed (a living client of HTTP/2 answers
//! the server's pings); one whose peer acknowledges nothing or takes nothing for `Limits::unacknowledged` is closed by
//! the kernel.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

/// How many connections a server has at once, and how long each may do nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) max: usize,
    /// How long a client may take to send its first byte.
    pub(crate) first_byte: Duration,
    /// How long nothing may come; longer than the server's pings take to be sent and answered.
    pub(crate) idle: Duration,
    /// How long what was sent may stay unacknowledged, or unsent because the peer takes nothing.
    pub(crate) unacknowledged: Duration,
}

impl Limits {
    /// Of a server that pings every half minute.
    pub(crate) fn of(max: usize, unacknowledged: Duration) -> Self {
        Self { max, first_byte: Duration::from_secs(10), idle: Duration::from_secs(90), unacknowledged }
    }
}

/// Listens as actix-web's server does.
pub(crate) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1_024)?;
    Ok(socket.into())
}

/// Lets the kernel close a connection whose peer takes nothing for so long.
fn close_if_unacknowledged(stream: &TcpStream, within: Duration) {
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(within)) {
        tracing::debug!(%error, "a connection has no limit on unacknowledged data");
    }
}

mod http {
    use std::any::Any;
    use std::net::Shutdown;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
    use std::time::{Duration, Instant};

    use actix_tls::accept::rustls_0_23::TlsStream;
    use socket2::{SockRef, Socket, TcpKeepalive};

    use crate::auth::Peer;
    use crate::limits::Peers;

    /// How long a connection says nothing before the kernel asks whether its peer is still there.
    const KEEPALIVE: Duration = Duration::from_mins(1);

    /// How often it is looked whether a connection is still there.
    const LOOK: Duration = Duration::from_secs(5);

    /// A connection as its requests see it (`HttpRequest::conn_data`), for those whose client may rightly take nothing for
    /// long. Another descriptor of the same socket: who keeps it long should keep it weakly.
    #[derive(Debug)]
    pub struct Handle {
        socket: Socket,
        /// How often a request said that its client may take its time.
        patient: AtomicU64,
        /// When it may no longer, and as of which turn; somebody waits for it.
        hurry: Mutex<Option<(Instant, u64, Duration)>>,
    }

    impl Handle {
        /// From now on the kernel does not mind that the peer takes nothing, until [`Handle::hurry`] is told this turn.
        pub fn be_patient(&self) -> u64 {
            self.limit(None);
            self.patient.fetch_add(1, Ordering::Relaxed) + 1
        }

        /// In so long the kernel closes the connection again if the peer takes nothing for as long, unless a later turn has begun. However
        /// often it is said, one task waits for it, and not for long once the connection is gone.
        pub fn hurry(self: &Arc<Self>, turn: u64, within: Duration) {
            let before = self.hurrying().replace((Instant::now() + within, turn, within));
            if before.is_none() {
                actix_web::rt::spawn(Self::waits(Arc::downgrade(self)));
            }
        }

        async fn waits(this: Weak<Self>) {
            while let Some(there) = this.upgrade() {
                let Some((at, turn, within)) = *there.hurrying() else { return };
                let left = at.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    *there.hurrying() = None;
                    if there.patient.load(Ordering::Relaxed) == turn {
                        there.limit(Some(within));
                    }
                    return;
                }
                drop(there);
                tokio::time::sleep(left.min(LOOK)).await;
            }
        }

        fn hurrying(&self) -> MutexGuard<'_, Option<(Instant, u64, Duration)>> {
            self.hurry.lock().unwrap_or_else(PoisonError::into_inner)
        }

        /// Ends the connection, whatever is on its way.
        pub fn close(&self) {
            // It fails only if the connection has ended.
            drop(self.socket.shutdown(Shutdown::Both));
        }

        fn limit(&self, within: Option<Duration>) {
            if let Err(error) = self.socket.set_tcp_user_timeout(within) {
                tracing::debug!(%error, "a connection keeps its limit on unacknowledged data");
            }
        }
    }

    /// What is done with each connection, for `HttpServer::on_connect`.
    pub(crate) trait OnConnect:
        Fn(&dyn Any, &mut actix_web::dev::Extensions) + Clone + Send + Sync + 'static
    {
    }

    impl<F> OnConnect for F where F: Fn(&dyn Any, &mut actix_web::dev::Extensions) + Clone + Send + Sync + 'static {}

    /// Connections whose peer takes nothing for so long are closed, and those of one that has too many, at once. Requests of a connection
    /// have its [`Peer`], and with `handles` those of each a [`Handle`] (in an [`Arc`]).
    pub(crate) fn on_connect(within: Duration, handles: bool, peers: Peers) -> impl OnConnect {
        move |connection, data| {
            let secured = || connection.downcast_ref::<TlsStream<tokio::net::TcpStream>>();
            let plain = connection.downcast_ref::<tokio::net::TcpStream>();
            let Some(stream) = plain.or_else(|| secured().map(|it| it.get_ref().0)) else { return };
            let address = stream.peer_addr().ok().map(|address| address.ip());
            let certificates = secured().and_then(|tls| tls.get_ref().1.peer_certificates());
            // Before anything else: requests of a connection too many may still be read, and count as its peer's.
            data.insert(Peer::of(certificates, address));
            let Some(visit) = peers.connect(address) else {
                // Fails only if the connection has ended.
                drop(SockRef::from(stream).shutdown(Shutdown::Both));
                return;
            };
            // Kept as long as the connection and what is answered on it.
            data.insert(visit);
            super::close_if_unacknowledged(stream, within);
            if !handles {
                return;
            }
            let socket = SockRef::from(stream);
            let keepalive = TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 4);
            let socket = socket.set_tcp_keepalive(&keepalive).and_then(|()| socket.try_clone());
            match socket {
                Ok(socket) => {
                    data.insert(Arc::new(Handle {
                        socket,
                        patient: AtomicU64::new(0),
                        hurry: Mutex::default(),
                    }));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection has no handle: it ends if its client takes nothing for long");
                }
            }
        }
    }
}

pub use http::Handle;
pub(crate) use http::{OnConnect, on_connect};

mod grpc;

pub(crate) use grpc::{Connection, take};
