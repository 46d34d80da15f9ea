//! A TCP forwarder that can be closed: a server that is away, and comes back, for the one service that goes through it.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to one address while it is open. Dropped, it is closed for good.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    open: Arc<watch::Sender<bool>>,
}

impl Gate {
    /// A gate to `target` (`host:port`), open or closed.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn to(target: &str, is_open: bool) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", local_servers::free_port()?)).await?;
        let address = listener.local_addr()?;
        let (open, state) = watch::channel(is_open);
        tokio::spawn(forward(listener, target.to_owned(), state));
        Ok(Self { address, open: Arc::new(open) })
    }

    /// Where to connect: `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Lets connections through from now on.
    pub fn open(&self) {
        self.open.send_replace(true);
    }

    /// Cuts all connections, and takes no new ones.
    pub fn close(&self) {
        self.open.send_replace(false);
    }
}

async fn forward(listener: TcpListener, target: String, mut state: watch::Receiver<bool>) {
    loop {
        let connection = tokio::select! {
            accepted = listener.accept() => accepted,
            gone = state.changed() => if gone.is_err() { return } else { continue },
        };
        let Ok((client, _)) = connection else { continue };
        if *state.borrow() {
            tokio::spawn(one(client, target.clone(), state.clone()));
        }
    }
}

async fn one(mut client: TcpStream, target: String, mut state: watch::Receiver<bool>) {
    let Ok(mut server) = TcpStream::connect(&target).await else { return };
    tokio::select! {
        // However it ended: both sides are closed.
        _ = copy_bidirectional(&mut client, &mut server) => {}
        _ = state.wait_for(|open| !open) => {}
    }
}
