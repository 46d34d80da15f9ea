//! The connections of a tonic server.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::{Stream, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep, sleep_until};
use tonic::transport::server::TcpIncoming;

use super::{Limits, close_if_unacknowledged};
use crate::limits::{Peers, Visit};

/// A connection, its place, and how long it may be silent.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    limits: Limits,
    /// When it sent something last, or was taken.
    heard: Instant,
    has_sent: bool,
    /// Comes up no later than the silence is too long.
    alarm: Pin<Box<Sleep>>,
    address: Option<IpAddr>,
    _place: OwnedSemaphorePermit,
    _visit: Visit,
}

/// Takes connections while fewer than the most are open. Those of a peer that has too many are closed.
pub(crate) fn take(
    limits: Limits,
    peers: Peers,
    incoming: TcpIncoming,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(limits.max.min(Semaphore::MAX_PERMITS)));
    futures::stream::unfold((incoming, places, peers), move |(mut incoming, places, peers)| async move {
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        loop {
            let stream = match incoming.next().await? {
                Ok(stream) => stream,
                Err(error) => return Some((Err(error), (incoming, places, peers))),
            };
            let address = stream.peer_addr().ok().map(|address| address.ip());
            if let Some(visit) = peers.connect(address) {
                let taken = Connection::new(stream, limits, (place, visit, address));
                return Some((Ok(taken), (incoming, places, peers)));
            }
        }
    })
}

impl Connection {
    fn new(
        stream: TcpStream,
        limits: Limits,
        (place, visit, address): (OwnedSemaphorePermit, Visit, Option<IpAddr>),
    ) -> Self {
        close_if_unacknowledged(&stream, limits.unacknowledged);
        let heard = Instant::now();
        let alarm = Box::pin(sleep_until(heard + limits.first_byte));
        Self { stream, limits, heard, has_sent: false, alarm, address, _place: place, _visit: visit }
    }

    /// Where its peer is.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// Fails once the silence is too long; wakes the caller when it is.
    fn poll_silence(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        while self.alarm.as_mut().poll(cx).is_ready() {
            let patience = if self.has_sent { self.limits.idle } else { self.limits.first_byte };
            let deadline = self.heard + patience;
            if deadline <= Instant::now() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "nothing came for too long"));
            }
            self.alarm.as_mut().reset(deadline);
        }
        Ok(())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, into) {
            Poll::Ready(outcome) => {
                if into.filled().len() > before {
                    self.heard = Instant::now();
                    self.has_sent = true;
                }
                Poll::Ready(outcome)
            }
            Poll::Pending => match self.poll_silence(cx) {
                Ok(()) => Poll::Pending,
                Err(error) => Poll::Ready(Err(error)),
            },
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn limits(max: usize) -> Limits {
        let (first_byte, idle) = (Duration::from_millis(100), Duration::from_millis(300));
        Limits { max, first_byte, idle, unacknowledged: Duration::from_millis(500) }
    }

    /// A server that takes one connection and a client of it.
    async fn pair() -> (Connection, TcpStream) {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let client = TcpStream::connect(address).await.unwrap();
        let taken = Box::pin(take(limits(1), Peers::default(), incoming)).next().await.unwrap().unwrap();
        (taken, client)
    }

    #[tokio::test]
    async fn the_next_connection_is_taken_when_one_has_ended() {
        let incoming = TcpIncoming::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = incoming.local_addr().unwrap();
        let mut taken = Box::pin(take(limits(1), Peers::default(), incoming));
        let _clients =
            (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        let first = taken.next().await.unwrap().unwrap();
        assert!(futures::poll!(taken.next()).is_pending());
        drop(first);
        assert!(taken.next().await.unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_connection_that_sends_nothing_is_closed_soon_and_one_that_fell_silent_later() {
        let (mut server, _client) = pair().await;
        let since = Instant::now();
        let error = server.read_u8().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(since.elapsed() < Duration::from_millis(290), "{:?}", since.elapsed());

        let (mut server, mut client) = pair().await;
        for _ in 0..4 {
            client.write_u8(7).await.unwrap();
            assert_eq!(server.read_u8().await.unwrap(), 7);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let since = Instant::now();
        assert_eq!(server.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert!(since.elapsed() >= Duration::from_millis(200), "{:?}", since.elapsed());
    }

    #[tokio::test]
    async fn a_peer_that_reads_nothing_is_closed_by_the_kernel() {
        let (mut server, _client) = pair().await;
        let block = vec![0; 1024 * 1024];
        let writing = async {
            loop {
                if let Err(error) = server.write_all(&block).await {
                    return error;
                }
            }
        };
        let error =
            tokio::time::timeout(Duration::from_secs(20), writing).await.expect("closed in bounded time");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
