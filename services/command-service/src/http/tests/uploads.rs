//! Uploads over real sockets, with clients that read late or never, or stop in the middle.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use edge::config::DoorConfig;
use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::config::UploadsConfig;
use crate::testing::{World, eventually};

/// A served door whose uploads may stand still for `stall_ms`.
async fn served(http: DoorConfig) -> (World, SocketAddr) {
    served_with(http, UploadsConfig::default()).await
}

async fn served_with(http: DoorConfig, uploads: UploadsConfig) -> (World, SocketAddr) {
    let mut world = World::start().await;
    (world.http, world.uploads) = (http, uploads);
    // Long, for a client that still sends when the service stops may be slow on a machine that has other work.
    let (local, state, grace) = (([127, 0, 0, 1], 0).into(), world.state(), Duration::from_secs(30));
    let address = crate::http::serve(local, state, &world.lifecycle, &world.telemetry, grace).unwrap();
    (world, address)
}

/// A connection that takes little before it is read.
fn connect(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    socket.set_send_buffer_size(64 * 1024).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    stream.set_write_timeout(Some(Duration::from_mins(1))).unwrap();
    stream
}

fn head(stream: &mut TcpStream, length: usize) {
    let head = format!(
        "POST /v1/commands:bulk HTTP/1.1\r\nhost: folio\r\ncontent-type: application/x-ndjson\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
}

/// A line of about 1 KB that is no command, so that its answer costs nothing but its bytes.
fn line(n: usize) -> Vec<u8> {
    format!("{{\"command\":\"paint\",\"product_id\":\"p{n}\",\"payload\":{{\"pad\":\"{n:0>960}\"}}}}\n")
        .into_bytes()
}

/// The lines of a chunked answer.
fn answers(stream: &mut TcpStream) -> Vec<Value> {
    let mut raw = Vec::new();
    stream.read_to_end(&mut raw).unwrap();
    let start = raw.windows(4).position(|it| it == b"\r\n\r\n").unwrap() + 4;
    let (mut rest, mut body) = (&raw[start..], Vec::new());
    while let Some(end) = rest.windows(2).position(|it| it == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 4 + size..];
    }
    body.split(|byte| *byte == b'\n')
        .filter(|it| !it.is_empty())
        .map(|it| serde_json::from_slice(it).unwrap())
        .collect()
}

fn metric(world: &World, name: &str) -> Option<f64> {
    let text = world.telemetry.render_metrics().unwrap();
    text.lines().find(|line| line.starts_with(name))?.rsplit(' ').next()?.parse().ok()
}

fn stalled(world: &World, reason: &str) -> bool {
    let text = world.telemetry.render_metrics().unwrap();
    let counted = |line: &&str| line.starts_with("folio_uploads_stalled_total") && line.contains(reason);
    text.lines().find(counted).is_some_and(|line| line.ends_with(" 1"))
}

async fn blocking<T: Send + 'static>(client: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(client).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_may_send_everything_before_it_reads_anything() {
    const LINES: usize = 40_000;
    let (world, address) = served(DoorConfig::default()).await;
    let answers = blocking(move || {
        // Before the head's time begins.
        let length = (0..LINES).map(|n| line(n).len()).sum();
        let mut stream = connect(address);
        head(&mut stream, length);
        for n in 0..LINES {
            stream.write_all(&line(n)).unwrap();
        }
        answers(&mut stream)
    })
    .await;
    assert_eq!(answers.len(), LINES);
    for (n, answer) in answers.iter().enumerate() {
        assert_eq!((&answer["line"], &answer["status"]), (&(n + 1).into(), &400.into()), "{answer}");
    }
    assert!(metric(&world, "folio_uploads_stalled_total").is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_stops_sending_is_told_from_where_on_nothing_was_read() {
    let (world, address) = served(DoorConfig { stall_ms: 300, ..DoorConfig::default() }).await;
    let (answers, took) = blocking(move || {
        let mut stream = connect(address);
        head(&mut stream, 1_000_000);
        stream.write_all(&[line(1), line(2), b"{\"comm".to_vec()].concat()).unwrap();
        let since = Instant::now();
        (answers(&mut stream), since.elapsed())
    })
    .await;
    assert!(took >= Duration::from_millis(300) && took < Duration::from_secs(20), "{took:?}");
    assert_eq!(answers.len(), 3, "{answers:?}");
    let last = &answers[2];
    assert_eq!((&last["line"], &last["problem"]["code"]), (&3.into(), &"request-timeout".into()), "{last}");
    assert!(last["problem"]["retry_after"].is_number(), "{last}");
    assert!(stalled(&world, "sending"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_sends_for_long_and_slowly_before_it_reads_keeps_its_connection_and_its_answers() {
    const LINES: usize = 8_000;
    let (_world, address) = served(DoorConfig { stall_ms: 500, ..DoorConfig::default() }).await;
    let answers = blocking(move || {
        // Before the head's time begins.
        let length = (0..LINES).map(|n| line(n).len()).sum();
        let mut stream = connect(address);
        head(&mut stream, length);
        for n in 0..LINES {
            stream.write_all(&line(n)).unwrap();
            if n % 800 == 799 {
                std::thread::sleep(Duration::from_millis(300));
            }
        }
        answers(&mut stream)
    })
    .await;
    assert_eq!(answers.len(), LINES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_service_stops_a_client_that_still_sends_comes_to_its_answers() {
    const LINES: usize = 60_000;
    let (world, address) = served(DoorConfig::default()).await;
    let shutdown = world.shutdown();
    let answers = blocking(move || {
        // Before the head's time begins.
        let length = (0..LINES).map(|n| line(n).len()).sum();
        let mut stream = connect(address);
        head(&mut stream, length);
        for n in 0..LINES {
            stream.write_all(&line(n)).unwrap_or_else(|error| panic!("line {n}: {error}"));
            if n == 20_000 {
                shutdown.cancel();
                std::thread::sleep(Duration::from_millis(100));
            }
        }
        answers(&mut stream)
    })
    .await;
    let last = answers.last().unwrap();
    assert_eq!(last["problem"]["code"], "not-ready", "{last}");
    assert_eq!(last["line"], answers.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connection_of_a_client_that_never_reads_its_answers_is_closed() {
    let (_world, address) = served(DoorConfig { stall_ms: 100, ..DoorConfig::default() }).await;
    blocking(move || {
        // Before the head's time begins.
        let length = (0..20_000).map(|n| line(n).len()).sum();
        let mut stream = connect(address);
        head(&mut stream, length);
        for n in 0..20_000 {
            stream.write_all(&line(n)).unwrap();
        }
        let since = Instant::now();
        // It takes nothing, and learns of the end because what it sends now is refused.
        while stream.write_all(b"x").is_ok() {
            assert!(since.elapsed() < Duration::from_secs(30), "closed in bounded time");
            std::thread::sleep(Duration::from_millis(50));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_whose_answers_nobody_reads_ends_in_bounded_time() {
    let uploads = UploadsConfig { spool_mib: 1, ..UploadsConfig::default() };
    let (world, address) = served_with(DoorConfig { stall_ms: 300, ..DoorConfig::default() }, uploads).await;
    let since = Instant::now();
    let client = tokio::task::spawn_blocking(move || {
        let mut stream = connect(address);
        head(&mut stream, 1_000_000_000);
        // Until the service has closed the connection.
        (0..10_000_000).find(|n| stream.write_all(&line(*n)).is_err())
    });
    eventually("the upload has ended", || stalled(&world, "reading")).await;
    let sent = client.await.unwrap();
    assert!(since.elapsed() < Duration::from_secs(30), "{:?} after {sent:?} lines", since.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_of_a_client_that_went_away_ends() {
    let (world, address) = served(DoorConfig::default()).await;
    let create = serde_json::json!({"command": "create_product", "product_id": "p1", "payload": crate::testing::diamond()});
    blocking(move || {
        let mut stream = connect(address);
        head(&mut stream, 1_000_000);
        stream.write_all(format!("{create}\n").as_bytes()).unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).unwrap();
    })
    .await;
    // Its command stays submitted.
    let partition = ledger::partition_of("p1", 4);
    eventually("the command is executed", || world.live.topic.end(partition) > 0).await;
}
