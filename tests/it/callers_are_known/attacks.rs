//! What an attacker sends to real doors: tokens that were good once, keys that were withdrawn, and bytes that two readers might read as
//! different requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use contract::proto::catalog::v1::command_request::Command;
use contract::proto::catalog::v1::command_result::Result as Told;
use contract::proto::catalog::v1::command_service_client::CommandServiceClient;
use contract::proto::catalog::v1::query_service_client::QueryServiceClient;
use contract::proto::catalog::v1::{CommandRequest, GetProductRequest, ListProduct};
use edge::auth::Scope;
use folio_dev::Dev;
use reqwest::Method;
use serde_json::{Value, json};
use testkit::eventually;
use testkit::login::{Login, now};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{Caller, options};

/// How long a door may take to answer or to close.
const BOUND: Duration = Duration::from_mins(1);

/// Sends bytes as they are; all that comes back until the door closes, or has been silent for this long.
async fn raw(address: SocketAddr, bytes: &[u8], silence: Duration) -> anyhow::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(address).await?;
    // It may be closed before all is sent.
    drop(stream.write_all(bytes).await);
    let mut answer = Vec::new();
    while let Ok(Ok(read)) = tokio::time::timeout(silence, stream.read_buf(&mut answer)).await {
        if read == 0 {
            break;
        }
    }
    Ok(answer)
}

fn statuses(answer: &str) -> Vec<&str> {
    answer.match_indices("HTTP/1.1 ").filter_map(|(at, _)| answer.get(at + 9..at + 12)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_is_over_is_refused_on_a_connection_and_in_a_stream_that_it_opened() -> anyhow::Result<()>
{
    let login = Login::start().await?;
    let dev = Dev::start(options(&login, |oidc| oidc.leeway_ms = 0)).await?;
    let scope = [Scope::Read, Scope::Write, Scope::Bulk].map(Scope::name).join(" ");
    let until = now() + 6;
    let token = login.signed(&json!({ "sub": "ada", "scope": scope, "exp": until }))?;

    // One connection, which stays open all the time.
    let mut http = TcpStream::connect(dev.addresses().http).await?;
    let mut ask = async || {
        let request =
            format!("GET /v1/products/p-1 HTTP/1.1\r\nhost: here\r\nauthorization: Bearer {token}\r\n\r\n");
        http.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            ensure!(http.read_buf(&mut answer).await? > 0, "the connection was closed");
        }
        let answer = String::from_utf8(answer)?;
        anyhow::Ok(statuses(&answer).first().map(|it| (*it).to_owned()).unwrap_or_default())
    };
    ensure!(ask().await? == "404", "it counts, and the product is not there");

    // And one stream of commands.
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", dev.addresses().grpc))?;
    let mut client = CommandServiceClient::new(channel.connect().await?);
    let (sender, receiver) = mpsc::channel(1);
    let mut request = tonic::Request::new(ReceiverStream::new(receiver));
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let mut results = client.execute_bulk(request).await?.into_inner();
    let mut execute = async || {
        let command = Some(Command::ListProduct(ListProduct {}));
        sender
            .send(CommandRequest { product_id: "p-1".to_owned(), command, ..CommandRequest::default() })
            .await?;
        let result = results.message().await?.context("each command has its result")?;
        match result.result {
            Some(Told::Error(error)) => Ok(error.code),
            other => anyhow::bail!("{other:?}"),
        }
    };
    ensure!(execute().await? == "product-not-found");
    ensure!(now() < until, "this machine is too slow for a token of six seconds");

    eventually("its time is over", async || now(), |now| *now > until).await;
    ensure!(execute().await? == "unauthenticated", "the stream stays open, and nothing more is done for it");
    ensure!(ask().await? == "401", "what was once judged good is not for ever");
    dev.stop().await
}

/// Callers that ask all the time, each answer counted.
struct Load {
    token: Arc<std::sync::Mutex<String>>,
    is_over: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    asking: Vec<tokio::task::JoinHandle<anyhow::Result<()>>>,
}

impl Load {
    fn on(address: SocketAddr, token: String) -> Self {
        let (token, is_over) = (Arc::new(std::sync::Mutex::new(token)), Arc::new(AtomicBool::new(false)));
        let answered = Arc::new(AtomicU64::new(0));
        let one = || {
            let (token, is_over, answered) =
                (Arc::clone(&token), Arc::clone(&is_over), Arc::clone(&answered));
            tokio::spawn(async move {
                let client = testkit::Client::new(&format!("http://{address}"));
                while !is_over.load(Ordering::SeqCst) {
                    let bearer = format!("Bearer {}", token.lock().map_err(|_| anyhow::anyhow!("poisoned"))?);
                    let headers = [("authorization", bearer.as_str())];
                    let reply = client.send(Method::GET, "/v1/products/p-1", &headers, "").await?;
                    ensure!(
                        reply.status == 404,
                        "a good token was answered {}: {}",
                        reply.status,
                        reply.body
                    );
                    answered.fetch_add(1, Ordering::SeqCst);
                }
                Ok(())
            })
        };
        let asking = (0..8).map(|_| one()).collect();
        Self { token, is_over, answered, asking }
    }

    /// From now on they show this token; waits until many have.
    async fn show(&self, token: String) -> anyhow::Result<()> {
        *self.token.lock().map_err(|_| anyhow::anyhow!("poisoned"))? = token;
        let from = self.answered.load(Ordering::SeqCst);
        let answered = async || self.answered.load(Ordering::SeqCst);
        eventually("they are answered", answered, |now| {
            *now > from + 100 || self.asking.iter().any(tokio::task::JoinHandle::is_finished)
        })
        .await;
        Ok(())
    }

    async fn end(self) -> anyhow::Result<u64> {
        self.is_over.store(true, Ordering::SeqCst);
        for asking in self.asking {
            asking.await??;
        }
        Ok(self.answered.load(Ordering::SeqCst))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_rotated_under_load_without_a_refusal_and_a_withdrawn_one_counts_no_more()
-> anyhow::Result<()> {
    let login = Login::start().await?;
    let dev = Dev::start(options(&login, |_| ())).await?;
    let read = [Scope::Read.name()];
    let first = login.token("ada", &read)?;
    let load = Load::on(dev.addresses().http, first.clone());
    load.show(first.clone()).await?;
    // An issuer that signs with its new key at once: the first token of it has the keys fetched, and all others wait for that.
    for _ in 0..2 {
        let fetched_long_ago = std::time::Instant::now() + Duration::from_secs(11);
        let is_time = async || std::time::Instant::now() >= fetched_long_ago;
        eventually("keys may be fetched because of a token", is_time, |it| *it).await;
        login.renew()?;
        load.show(login.token("ada", &read)?).await?;
    }
    // And one that goes away while it is asked: what it had shown goes on counting.
    login.be_away(true);
    load.show(login.token("ada", &read)?).await?;
    login.be_away(false);
    let answered = load.end().await?;
    ensure!(answered > 400, "{answered} were answered");

    let ask = async |token: &str| {
        let asked = Caller::of(&dev, token);
        let reply = asked.send(Method::GET, "/v1/products/p-1", &[], &Value::Null).await;
        reply.map(|it| it.status.as_u16()).unwrap_or_default()
    };
    ensure!(ask(&first).await == 404, "the issuer shows its old keys still");
    login.withdraw();
    // The keys are fetched because of a token of none of them, as with every refresh.
    login.renew()?;
    let newest = login.token("ada", &read)?;
    eventually("the new key is known", async || ask(&newest).await, |status| *status == 404).await;
    ensure!(ask(&first).await == 401, "the key was withdrawn, and its tokens with it");
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bytes_are_read_as_two_requests_or_lend_one_the_name_of_another() -> anyhow::Result<()> {
    let login = Login::start().await?;
    let dev = Dev::start(options(&login, |_| ())).await?;
    let token = login.token("ada", &Scope::ALL.iter().map(|it| it.name()).collect::<Vec<_>>())?;
    let bearer = format!("authorization: Bearer {token}\r\n");
    // Who is let in by the outer request, and would be a second time by the inner one, if anybody took it for one.
    let inner = format!("GET /v1/products/inner HTTP/1.1\r\nhost: here\r\n{bearer}\r\n");
    let length = inner.len() + 5;
    let json = "content-type: application/json\r\n";
    let heads = [
        format!("content-length: {length}\r\ntransfer-encoding: chunked\r\n"),
        format!("transfer-encoding: chunked\r\ncontent-length: {length}\r\n"),
        format!("content-length: 5\r\ncontent-length: {length}\r\n"),
        format!("content-length: {length}\r\ncontent-length: 5\r\n"),
        format!("content-length: 5, {length}\r\n"),
        "content-length: +5\r\n".to_owned(),
        "content-length: -1\r\n".to_owned(),
        "content-length: 0x5\r\n".to_owned(),
        "content-length : 5\r\n".to_owned(),
        "transfer-encoding : chunked\r\n".to_owned(),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
        "transfer-encoding: xchunked\r\n".to_owned(),
        "transfer-encoding:\r\n chunked\r\n".to_owned(),
        "x-a: 1\r\n content-length: 5\r\n".to_owned(),
        "content-length: 5\r\n\tx-b: 1\r\n".to_owned(),
        "x-\u{0}: 1\r\ncontent-length: 5\r\n".to_owned(),
        "x-a: 1\rcontent-length: 5\r\n".to_owned(),
    ];
    let silence = Duration::from_secs(2);
    for (door, path) in [
        (dev.addresses().http, "/v1/products/outer"),
        (dev.addresses().ops, "/admin/v1/read-models/products:rebuild"),
    ] {
        let method = if path.starts_with("/v1") { "PUT" } else { "POST" };
        for head in &heads {
            let request =
                format!("{method} {path} HTTP/1.1\r\nhost: here\r\n{bearer}{json}{head}\r\n0\r\n\r\n{inner}");
            let answer = raw(door, request.as_bytes(), silence).await?;
            let answer = String::from_utf8_lossy(&answer);
            let told = statuses(&answer);
            ensure!(told.len() <= 1, "{door} {head:?} was read as two requests: {answer}");
            ensure!(told.first().is_none_or(|it| it.starts_with('4')), "{door} {head:?}: {answer}");
        }
    }
    // And nothing of it was done.
    let caller = Caller::of(&dev, &token);
    let outer = caller.send(Method::GET, "/v1/products/outer", &[], &Value::Null).await?;
    ensure!(outer.status == 404, "{}", outer.body);
    // The last of two names is not the one that is believed, and neither is the first.
    for other in ["wrong", &token] {
        let request = format!(
            "GET /v1/products/p HTTP/1.1\r\nhost: here\r\nconnection: close\r\n{bearer}authorization: Bearer {other}\r\n\r\n"
        );
        let answer = String::from_utf8(raw(dev.addresses().http, request.as_bytes(), BOUND).await?)?;
        ensure!(statuses(&answer) == ["401"], "{answer}");
    }
    // One protocol at the door of the other; and a token as large as a head may be, and larger.
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let answer = raw(dev.addresses().http, preface, BOUND).await?;
    ensure!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1 2"), "{answer:?}");
    let request = format!("GET /v1/products/p HTTP/1.1\r\nhost: here\r\n{bearer}\r\n");
    let answer = raw(dev.addresses().grpc, request.as_bytes(), BOUND).await?;
    ensure!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1 2"), "{answer:?}");
    for length in [8_193, 60_000, 1_000_000] {
        let huge = format!("e.{}.s", "a".repeat(length));
        let request = format!(
            "GET /v1/products/p HTTP/1.1\r\nhost: here\r\nconnection: close\r\nauthorization: Bearer {huge}\r\n\r\n"
        );
        let answer = raw(dev.addresses().http, request.as_bytes(), silence).await?;
        let answer = String::from_utf8_lossy(&answer);
        ensure!(statuses(&answer).first().is_none_or(|it| it.starts_with('4')), "{length}: {answer}");
        ensure!(!answer.contains(&huge[..50]), "what was shown comes back");
    }
    let good = caller.send(Method::GET, "/v1/products/p", &[], &Value::Null).await?;
    ensure!(good.status == 404, "the doors go on: {}", good.body);
    dev.stop().await
}

/// Frames of HTTP/2, by hand: no client would send what these tests send.
mod h2 {
    pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    pub(super) const HEADERS: u8 = 1;
    pub(super) const RST_STREAM: u8 = 3;
    pub(super) const GOAWAY: u8 = 7;

    pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_be_bytes();
        [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
    }

    /// Fields as they are, none of them indexed.
    pub(super) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in fields {
            block.push(0);
            for text in [name, value] {
                integer(text.len(), &mut block);
                block.extend_from_slice(text.as_bytes());
            }
        }
        block
    }

    /// With a prefix of seven bits.
    fn integer(value: usize, into: &mut Vec<u8>) {
        if value < 127 {
            return into.push(value as u8);
        }
        into.push(127);
        let mut rest = value - 127;
        while rest >= 128 {
            into.push((rest % 128 + 128) as u8);
            rest /= 128;
        }
        into.push(rest as u8);
    }

    /// Kind, stream and payload of each frame that came.
    pub(super) fn frames(mut bytes: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
        let mut frames = Vec::new();
        while bytes.len() >= 9 {
            let length = u32::from_be_bytes([0, bytes[0], bytes[1], bytes[2]]) as usize;
            let stream = u32::from_be_bytes([bytes[5] & 127, bytes[6], bytes[7], bytes[8]]);
            let Some(payload) = bytes.get(9..9 + length) else { break };
            frames.push((bytes[3], stream, payload.to_vec()));
            bytes = &bytes[9 + length..];
        }
        frames
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_http_2_forbids_is_refused_and_never_a_call() -> anyhow::Result<()> {
    let login = Login::start().await?;
    let dev = Dev::start(options(&login, |_| ())).await?;
    let token = login.token("ada", &[Scope::Read.name(), Scope::Write.name()])?;
    let bearer = format!("Bearer {token}");
    let call = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/catalog.v1.QueryService/GetProduct"),
        (":authority", "here"),
        ("content-type", "application/grpc"),
        ("te", "trailers"),
        ("authorization", bearer.as_str()),
    ];
    // A message of no bytes: who is let in is told that it names no product.
    let message = [0_u8; 5];
    // All that comes until the stream is answered or refused.
    let send = async |fields: &[(&str, &str)]| {
        let head = h2::frame(h2::HEADERS, 4, 1, &h2::fields(fields));
        let sent = [h2::PREFACE, &h2::frame(4, 0, 0, &[]), &head, &h2::frame(0, 1, 1, &message)].concat();
        let mut stream = TcpStream::connect(dev.addresses().grpc).await?;
        stream.write_all(&sent).await?;
        let mut answer = Vec::new();
        let is_over = |answer: &[u8]| {
            let last = [h2::HEADERS, h2::RST_STREAM, h2::GOAWAY];
            h2::frames(answer).iter().any(|(kind, ..)| last.contains(kind))
        };
        while !is_over(&answer) {
            let read = tokio::time::timeout(BOUND, stream.read_buf(&mut answer)).await?;
            if !read.is_ok_and(|read| read > 0) {
                break;
            }
        }
        anyhow::Ok(h2::frames(&answer))
    };
    let is_answered = |frames: &[(u8, u32, Vec<u8>)]| {
        frames.iter().any(|(kind, stream, _)| (*kind, *stream) == (h2::HEADERS, 1))
    };
    let good = send(&call).await?;
    ensure!(is_answered(&good), "as it should be it is a call: {good:?}");
    for wrong in [
        ("connection", "keep-alive"),
        ("connection", "authorization"),
        ("transfer-encoding", "chunked"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("upgrade", "h2c"),
        ("te", "chunked"),
        ("Authorization", bearer.as_str()),
        (":path", "/catalog.v1.CommandService/Execute"),
        (":status", "200"),
        ("x-a", "1\r\nauthorization: Bearer x"),
        ("x-a\r\nauthorization", "Bearer x"),
    ] {
        let frames = send(&[&call[..], &[wrong]].concat()).await?;
        ensure!(!is_answered(&frames), "{wrong:?}: {frames:?}");
    }
    // Two names: neither is believed.
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", dev.addresses().grpc))?;
    let mut client = QueryServiceClient::new(channel.connect().await?);
    for other in [bearer.as_str(), "Bearer wrong"] {
        let mut request = tonic::Request::new(GetProductRequest::default());
        request.metadata_mut().append("authorization", bearer.parse()?);
        request.metadata_mut().append("authorization", other.parse()?);
        let refused = client.get_product(request).await.err().context("it is refused")?;
        ensure!(refused.code() == tonic::Code::Unauthenticated, "{refused:?}");
    }
    dev.stop().await
}
