//! A name and a password before a server that asks for none, and a password that may be replaced: what a registry or a search server in
//! a company asks for.
//!
//! Promise: every request is looked at, not only the first of a connection.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Most of a request's head that is looked at.
const HEAD: usize = 64 * 1024;

/// Forwards the requests of who knows the password. Dropped, it takes no new connections.
#[derive(Debug)]
pub struct PasswordFront {
    address: SocketAddr,
    shared: Arc<Shared>,
    taking: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    user: String,
    password: Mutex<String>,
    let_in: AtomicU64,
    refused: AtomicU64,
}

impl PasswordFront {
    /// Before `target` (`host:port`).
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn before(target: &str, user: &str, password: &str) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            user: user.to_owned(),
            password: Mutex::new(password.to_owned()),
            let_in: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        });
        let serving = Arc::clone(&shared);
        let taking = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let serving = Arc::clone(&serving);
                tokio::spawn(async move { drop(serving.one(client).await) });
            }
        });
        Ok(Self { address, shared, taking })
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it is this password, and no other.
    pub fn wants(&self, password: &str) {
        password.clone_into(&mut self.shared.password.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// How many requests it has let in, and refused.
    pub fn counts(&self) -> (u64, u64) {
        (self.shared.let_in.load(Ordering::SeqCst), self.shared.refused.load(Ordering::SeqCst))
    }
}

impl Drop for PasswordFront {
    fn drop(&mut self) {
        self.taking.abort();
    }
}

impl Shared {
    /// One request: the server is told to close the connection behind its answer, so that the next request comes by another.
    async fn one(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut read = Vec::new();
        let end = loop {
            if let Some(end) = read.windows(4).position(|it| it == b"\r\n\r\n") {
                break end;
            }
            if read.len() > HEAD || client.read_buf(&mut read).await? == 0 {
                return Ok(());
            }
        };
        let head = String::from_utf8_lossy(&read[..end]).into_owned();
        let password = self.password.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let wanted = format!("Basic {}", STANDARD.encode(format!("{}:{password}", self.user)));
        let named = |line: &str, wanted: &str| {
            line.split_once(':').is_some_and(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        let shown = head.lines().find(|line| named(line, "authorization"));
        if shown.and_then(|line| line.split_once(':')).is_none_or(|(_, value)| value.trim() != wanted) {
            self.refused.fetch_add(1, Ordering::SeqCst);
            let answer = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            client.write_all(answer.as_bytes()).await?;
            return client.shutdown().await;
        }
        self.let_in.fetch_add(1, Ordering::SeqCst);
        let kept = head.lines().filter(|line| !named(line, "connection") && !named(line, "authorization"));
        let head = kept.collect::<Vec<_>>().join("\r\n") + "\r\nconnection: close\r\n\r\n";
        let mut server = TcpStream::connect(&self.target).await?;
        server.write_all(head.as_bytes()).await?;
        server.write_all(&read[end + 4..]).await?;
        copy_bidirectional(&mut client, &mut server).await.map(drop)
    }
}
