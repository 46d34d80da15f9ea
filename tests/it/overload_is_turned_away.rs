//! P18 Overload is turned away at once, and what is accepted goes on as before.
//!
//! Ten times as many clients as may be in flight at once, over HTTP and gRPC, beside an upload: who is turned away is told
//! when to come back, everything accepted is in the log once, memory stays flat, and afterwards all is as before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use contract::proto::catalog::v1::command_request::Command;
use contract::proto::catalog::v1::command_service_client::CommandServiceClient;
use contract::proto::catalog::v1::{ChangePrice, CommandRequest, Money};
use testkit::{Client, OnServers, PATIENCE, System, eventually, memory};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tonic::Code;
use tonic_types::StatusExt as _;

const IN_FLIGHT: usize = 16;
const CLIENTS: usize = 10 * IN_FLIGHT;
const PRODUCTS: usize = 40;

/// What the clients were told.
#[derive(Debug, Default)]
struct Told {
    accepted: AtomicU64,
    turned_away: AtomicU64,
    stop: AtomicBool,
}

async fn flood_http(client: Client, number: usize, told: Arc<Told>) -> anyhow::Result<()> {
    let id = format!("p{}", number % PRODUCTS);
    // From 2,000 on: products are made at 1,000, and the same price again would be no event.
    for price in (2_u64..).map(|step| step * 1_000 + number as u64) {
        if told.stop.load(Ordering::Relaxed) {
            break;
        }
        let reply = client.change_price(&id, price, &[]).await?;
        match reply.status.as_u16() {
            200 => told.accepted.fetch_add(1, Ordering::Relaxed),
            429 => {
                assert_eq!((reply.code(), reply.header("retry-after")), ("overloaded", "1"));
                told.turned_away.fetch_add(1, Ordering::Relaxed)
            }
            _ => anyhow::bail!("{reply:?}"),
        };
    }
    Ok(())
}

async fn flood_grpc(url: String, number: usize, told: Arc<Told>) -> anyhow::Result<()> {
    let mut client = CommandServiceClient::connect(url).await?;
    for step in 2_i64.. {
        if told.stop.load(Ordering::Relaxed) {
            break;
        }
        let price = Money { minor_units: step * 1_000 + number as i64, currency: "USD".to_owned() };
        let command = CommandRequest {
            product_id: format!("p{}", number % PRODUCTS),
            command: Some(Command::ChangePrice(ChangePrice { price: Some(price) })),
            ..CommandRequest::default()
        };
        match client.execute(command).await {
            Ok(_) => told.accepted.fetch_add(1, Ordering::Relaxed),
            Err(status) => {
                assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
                let retry = status.get_details_retry_info();
                assert_eq!(retry.and_then(|it| it.retry_delay), Some(Duration::from_secs(1)));
                told.turned_away.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_times_the_load_is_turned_away_and_the_accepted_go_on() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let (most, least) = (IN_FLIGHT.to_string(), (IN_FLIGHT / 2).to_string());
    let settings = [("OVERLOAD__MAX_IN_FLIGHT", &*most), ("OVERLOAD__MIN_IN_FLIGHT", &*least)];
    let service = system.command_service_with(&settings).await?;
    let client = Client::new(&service.url());
    for number in 0..PRODUCTS {
        assert_eq!(client.create(&format!("p{number}")).await?.status, 201);
    }
    let told = Arc::new(Told::default());
    let floods: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let told = Arc::clone(&told);
            if number % 4 == 0 {
                tokio::spawn(flood_grpc(service.grpc(), number, told))
            } else {
                tokio::spawn(flood_http(client.clone(), number, told))
            }
        })
        .collect();
    // Each product remembers its last 64 commands: only when it does is memory a measure.
    let accepted = async || told.accepted.load(Ordering::Relaxed);
    eventually("the products are warm", accepted, |n| *n > (PRODUCTS * 100) as u64).await;
    let warm = memory::resident(service.service.pid)?;
    let turned_away = told.turned_away.load(Ordering::Relaxed);

    // An upload is not turned away: its lines wait for each other.
    let lines: Vec<_> = cli::import::diamonds::lines()?[..2_000].to_vec();
    let headers = [("content-type", "application/x-ndjson")];
    let upload = client.send(reqwest::Method::POST, "/v1/commands:bulk", &headers, lines.join("\n")).await?;
    assert_eq!(upload.body.as_str().unwrap_or_default().matches("\"status\":201").count(), 2_000);

    let more = told.accepted.load(Ordering::Relaxed) + 4_000;
    eventually("the flood goes on", accepted, |n| *n > more).await;
    let after = memory::resident(service.service.pid)?;
    told.stop.store(true, Ordering::Relaxed);
    for flood in floods {
        flood.await??;
    }
    assert!(turned_away > 1_000, "only {turned_away} were turned away");
    // The upload's 2,000 products are part of the state, some 2 KiB each, and the cache takes up to 32 MiB before it writes
    // files.
    assert!(after < warm + 48 * 1_024 * 1_024, "memory grew from {warm} to {after} bytes");

    eventually(
        "one command",
        async || client.create("after").await.ok(),
        |it| it.as_ref().is_some_and(|it| it.status == 201),
    )
    .await;
    let oracle = system.oracle().await?;
    let accepted = told.accepted.load(Ordering::Relaxed);
    assert_eq!(
        oracle.effective(),
        accepted + PRODUCTS as u64 + 2_000 + 1,
        "each accepted command is one event"
    );
    println!(
        "{accepted} accepted, {} turned away, {warm} to {after} bytes",
        told.turned_away.load(Ordering::Relaxed)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_never_comes_and_a_connection_too_many_hold_nobody_up() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let settings = [("HTTP__BODY_TIMEOUT_MS", "300"), ("HTTP__MAX_CONNECTIONS", "8")];
    let service = system.command_service_with(&settings).await?;
    let begun = "POST /v1/products HTTP/1.1\r\nhost: folio\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    // More than there is room for, each with a body that does not come.
    let mut slow = Vec::new();
    for _ in 0..12 {
        let mut stream = tokio::net::TcpStream::connect(&service.listens.http).await?;
        stream.write_all(begun.as_bytes()).await?;
        slow.push(stream);
    }
    let since = Instant::now();
    let mut answer = [0; 4_096];
    let read = slow[0].read(&mut answer).await?;
    let answer = String::from_utf8_lossy(&answer[..read]).into_owned();
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("request-timeout"), "{answer}");
    assert!(since.elapsed() < PATIENCE);
    drop(slow);
    assert_eq!(Client::new(&service.url()).create("patient").await?.status, 201);
    Ok(())
}
