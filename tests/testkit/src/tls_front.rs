//! TLS before a server that has none of its own: the Elasticsearch of Maven Central comes without its security. Whoever stands
//! before a server in a company does the same.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use toolkit::tls::{ServerTls, ServerTlsConfig};

/// Most of a request's head that is looked at.
const HEAD: usize = 16 * 1024;

/// Speaks TLS with clients, and forwards what they say as it is. Dropped, it takes no new connections.
#[derive(Debug)]
pub struct TlsFront {
    address: SocketAddr,
    taking: JoinHandle<()>,
}

impl TlsFront {
    /// Before `target` (`host:port`). With `authorization` a connection whose first request has no such header is answered 401.
    ///
    /// # Errors
    /// If the certificates cannot serve, or there is no free port.
    pub async fn before(
        target: &str,
        tls: &ServerTlsConfig,
        authorization: Option<&str>,
    ) -> anyhow::Result<Self> {
        let tls = ServerTls::open(tls)?.ok_or_else(|| anyhow::anyhow!("a front needs a certificate"))?;
        let acceptor = TlsAcceptor::from(Arc::new(tls.config(&[])?));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let wanted = authorization.map(|it| format!("authorization: {it}\r\n").to_lowercase());
        let (target, wanted) = (target.to_owned(), Arc::new(wanted));
        let taking = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, target, wanted) = (acceptor.clone(), target.clone(), Arc::clone(&wanted));
                tokio::spawn(async move { one(client, &acceptor, &target, wanted.as_deref()).await });
            }
        });
        Ok(Self { address, taking })
    }

    /// Where to connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for TlsFront {
    fn drop(&mut self) {
        self.taking.abort();
    }
}

async fn one(
    client: TcpStream,
    acceptor: &TlsAcceptor,
    target: &str,
    wanted: Option<&str>,
) -> std::io::Result<()> {
    let mut client = acceptor.accept(client).await?;
    let mut head = Vec::new();
    if let Some(wanted) = wanted {
        while !head.windows(4).any(|it| it == b"\r\n\r\n") && head.len() < HEAD {
            if client.read_buf(&mut head).await? == 0 {
                return Ok(());
            }
        }
        if !String::from_utf8_lossy(&head).to_lowercase().contains(wanted) {
            let answer = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            client.write_all(answer.as_bytes()).await?;
            return client.shutdown().await;
        }
    }
    let mut server = TcpStream::connect(target).await?;
    server.write_all(&head).await?;
    copy_bidirectional(&mut client, &mut server).await.map(drop)
}
