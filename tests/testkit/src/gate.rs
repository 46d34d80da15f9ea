//! A TCP forwarder that can be closed: a server that is away, and comes back, for the one service that goes through it; or one that
//! hears what it is told, and whose answers are lost.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Forwards connections to one address while it is open. Dropped, it is closed for good.
#[derive(Debug)]
pub struct Gate {
    address: SocketAddr,
    way: Arc<watch::Sender<Way>>,
}

/// What comes through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    Closed,
    /// Requests only.
    NoAnswers,
}

impl Gate {
    /// A gate to `target` (`host:port`), open or closed.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn to(target: &str, is_open: bool) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", local_servers::free_port()?)).await?;
        let address = listener.local_addr()?;
        let (way, state) = watch::channel(if is_open { Way::Open } else { Way::Closed });
        tokio::spawn(forward(listener, target.to_owned(), state));
        Ok(Self { address, way: Arc::new(way) })
    }

    /// Where to connect: `host:port`.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Lets connections through from now on. Those of which answers were lost are cut.
    pub fn open(&self) {
        self.way.send_replace(Way::Open);
    }

    /// Cuts all connections, and takes no new ones.
    pub fn close(&self) {
        self.way.send_replace(Way::Closed);
    }

    /// Passes on what clients send, and loses what they are answered.
    pub fn lose_answers(&self) {
        self.way.send_replace(Way::NoAnswers);
    }
}

async fn forward(listener: TcpListener, target: String, mut state: watch::Receiver<Way>) {
    loop {
        let connection = tokio::select! {
            accepted = listener.accept() => accepted,
            gone = state.changed() => if gone.is_err() { return } else { continue },
        };
        let Ok((client, _)) = connection else { continue };
        if *state.borrow() != Way::Closed {
            tokio::spawn(one(client, target.clone(), state.clone()));
        }
    }
}

async fn one(mut client: TcpStream, target: String, mut state: watch::Receiver<Way>) {
    let Ok(mut server) = TcpStream::connect(&target).await else { return };
    let (mut asking, mut asked) = client.split();
    let (mut answering, mut answered) = server.split();
    let answers = state.clone();
    let down = async {
        let mut part = vec![0; 16 << 10];
        loop {
            let length = answering.read(&mut part).await?;
            if length == 0 {
                return asked.shutdown().await;
            }
            if *answers.borrow() != Way::NoAnswers {
                asked.write_all(&part[..length]).await?;
            }
        }
    };
    let up = async {
        copy(&mut asking, &mut answered).await?;
        answered.shutdown().await
    };
    tokio::select! {
        // However it ended: both sides are closed.
        _ = async { tokio::try_join!(up, down) } => {}
        () = cut(&mut state) => {}
    }
}

/// Ends when a connection cannot be used any more.
async fn cut(state: &mut watch::Receiver<Way>) {
    loop {
        let before = *state.borrow_and_update();
        if before == Way::Closed || state.changed().await.is_err() || before == Way::NoAnswers {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers each byte with it, and its address.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    #[tokio::test]
    async fn answers_are_lost_until_it_is_open_again_and_then_the_connection_is_cut() {
        let gate = Gate::to(&echo().await, true).await.unwrap();
        let mut client = TcpStream::connect(gate.address()).await.unwrap();
        let mut byte = [0];
        client.write_all(b"a").await.unwrap();
        client.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"a");
        gate.lose_answers();
        client.write_all(b"b").await.unwrap();
        let soon = std::time::Duration::from_millis(200);
        assert!(tokio::time::timeout(soon, client.read(&mut byte)).await.is_err(), "nothing comes");
        gate.open();
        assert!(!matches!(client.read(&mut byte).await, Ok(1..)), "it is cut");
        let mut client = TcpStream::connect(gate.address()).await.unwrap();
        client.write_all(b"c").await.unwrap();
        client.read_exact(&mut byte).await.unwrap();
        assert_eq!(&byte, b"c");
        gate.close();
        assert!(!matches!(client.read(&mut byte).await, Ok(1..)), "it is closed");
    }
}
