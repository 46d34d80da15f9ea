//! Connections of a server, bounded in number and time: whoever connects and says nothing, falls silent or reads nothing
//! must not keep a place from others for ever.
//!
//! Promises: at most so many are open at once, and the next one waits in the kernel until one has ended; one that has sent
//! nothing within [`Limits::first_byte`], or nothing more for [`Limits::idle`], is closed (a living client of HTTP/2 answers
//! the server's pings); one whose peer acknowledges nothing or takes nothing for [`Limits::unacknowledged`] is closed by
//! the kernel.

use std::time::Duration;

use tokio::net::TcpStream;

/// How many connections a server has at once, and how long each may do nothing.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub max: usize,
    /// How long a client may take to send its first byte.
    pub first_byte: Duration,
    /// How long nothing may come; longer than the server's pings take to be sent and answered.
    pub idle: Duration,
    /// How long what was sent may stay unacknowledged, or unsent because the peer takes nothing.
    pub unacknowledged: Duration,
}

impl Limits {
    /// Of a server that pings every half minute.
    pub fn of(max: usize) -> Self {
        Self {
            max,
            first_byte: Duration::from_secs(10),
            idle: Duration::from_secs(90),
            unacknowledged: UNACKNOWLEDGED,
        }
    }
}

/// How long a peer may take nothing, where nobody says otherwise.
pub const UNACKNOWLEDGED: Duration = Duration::from_mins(1);

/// Lets the kernel close a connection whose peer takes nothing for so long.
pub fn close_if_unacknowledged(stream: &TcpStream, within: Duration) {
    if let Err(error) = socket2::SockRef::from(stream).set_tcp_user_timeout(Some(within)) {
        tracing::debug!(%error, "a connection has no limit on unacknowledged data");
    }
}

#[cfg(feature = "http")]
mod http {
    use std::any::Any;
    use std::time::Duration;

    /// The same for a server of actix-web: give it to `HttpServer::on_connect`.
    pub fn on_connect(
        within: Duration,
    ) -> impl Fn(&dyn Any, &mut actix_web::dev::Extensions) + Clone + Send + Sync {
        move |connection, _| {
            if let Some(stream) = connection.downcast_ref::<tokio::net::TcpStream>() {
                super::close_if_unacknowledged(stream, within);
            }
        }
    }
}

#[cfg(feature = "http")]
pub use http::on_connect;

#[cfg(feature = "grpc")]
mod grpc;

#[cfg(feature = "grpc")]
pub use grpc::{Connection, take};
