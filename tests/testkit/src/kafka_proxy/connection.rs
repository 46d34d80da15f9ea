//! One connection: frames in both directions, each looked at before it goes on.

use std::collections::HashMap;
use std::future::pending;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::Attack;
use super::frame::{self, RequestHeader};
use super::rules::Rules;

/// Frames that may wait in one direction of a connection; beyond that the sender has to.
const WAITING: usize = 64;

struct Connection<'a> {
    node: i32,
    rules: &'a Rules,
    /// Requests whose answers are to come. One that asks for none stays: its correlation id may come again.
    asked: Mutex<HashMap<i32, RequestHeader>>,
}

/// A frame and when it came.
type Came = (Instant, Vec<u8>);

/// Forwards until the broker closes, both are done, or an attack ends it.
pub(super) async fn forward(client: TcpStream, broker: TcpStream, node: i32, rules: &Rules) {
    // One that cannot be set only costs time.
    drop((client.set_nodelay(true), broker.set_nodelay(true)));
    let connection = Connection { node, rules, asked: Mutex::default() };
    let (from_client, to_client) = client.into_split();
    let (from_broker, to_broker) = broker.into_split();
    let (requests_in, requests) = mpsc::channel(WAITING);
    let (answers_in, answers) = mpsc::channel(WAITING);
    // A client may be gone while what it sent is still to be delivered: only the broker's end, or a cut, ends all.
    let client_side = async {
        drop(read_all(from_client, requests_in).await);
        pending::<()>().await;
    };
    let requests = async {
        if connection.requests(requests, to_broker).await.is_ok() {
            pending::<()>().await;
        }
    };
    let broker_side = async {
        // Its end, however it came, ends the answers.
        drop(read_all(from_broker, answers_in).await);
        pending::<()>().await;
    };
    tokio::select! {
        () = client_side => {}
        () = broker_side => {}
        () = requests => {}
        _ = connection.answers(answers, to_client) => {}
        () = rules.closed() => {}
    }
}

async fn read_all(mut from: OwnedReadHalf, into: mpsc::Sender<Came>) -> io::Result<()> {
    while let Some(frame) = frame::read(&mut from).await? {
        if into.send((Instant::now(), frame)).await.is_err() {
            break;
        }
    }
    Ok(())
}

impl Connection<'_> {
    /// Passes requests on; an error ends the connection.
    async fn requests(&self, mut frames: mpsc::Receiver<Came>, mut to: OwnedWriteHalf) -> io::Result<()> {
        while let Some((came, frame)) = frames.recv().await {
            let Some(request) = RequestHeader::parse(&frame) else {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "no request of Kafka's"));
            };
            self.rules.done(request.api, "requests");
            let attacks = self.rules.on(self.node, &request);
            if attacks.contains(&Attack::CutAtRequest) {
                self.rules.done(request.api, Attack::CutAtRequest.name());
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            for attack in &attacks {
                if let Attack::DelayRequest(delay) = attack {
                    self.rules.done(request.api, attack.name());
                    sleep_until(came + *delay).await;
                }
            }
            if attacks.contains(&Attack::HoldRequest) {
                self.rules.done(request.api, Attack::HoldRequest.name());
                self.rules.let_go(self.node, &request).await;
            }
            self.asked().insert(request.correlation_id, request);
            write(&mut to, &frame).await?;
        }
        to.shutdown().await
    }

    /// Passes answers on until the broker has no more; an error ends the connection.
    async fn answers(&self, mut frames: mpsc::Receiver<Came>, mut to: OwnedWriteHalf) -> io::Result<()> {
        let mut client_listens = true;
        while let Some((came, frame)) = frames.recv().await {
            let asked = frame::correlation_id(&frame).and_then(|id| self.asked().remove(&id));
            if let Some(request) = asked {
                let attacks = self.rules.on(self.node, &request);
                if attacks.contains(&Attack::CutAtAnswer) {
                    self.rules.done(request.api, Attack::CutAtAnswer.name());
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                if attacks.contains(&Attack::DropAnswer) {
                    self.rules.done(request.api, Attack::DropAnswer.name());
                    continue;
                }
                for attack in &attacks {
                    if let Attack::DelayAnswer(delay) = attack {
                        self.rules.done(request.api, attack.name());
                        sleep_until(came + *delay).await;
                    }
                }
            }
            client_listens = client_listens && write(&mut to, &frame).await.is_ok();
        }
        Ok(())
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<i32, RequestHeader>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn write(to: &mut OwnedWriteHalf, frame: &[u8]) -> io::Result<()> {
    let size = i32::try_from(frame.len()).map_err(io::Error::other)?;
    let mut whole = Vec::with_capacity(4 + frame.len());
    whole.extend_from_slice(&size.to_be_bytes());
    whole.extend_from_slice(frame);
    to.write_all(&whole).await
}
