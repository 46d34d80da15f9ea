//! P17 Instances come and go under load at no more than the price of broken connections, which a client's retry cures.
//!
//! A client that sends its command again, under the same key, to any other instance gets its answer, and nothing takes
//! effect twice.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::sys::signal::Signal;
use serde_json::json;
use testkit::{Client, OnServers, PATIENCE, Reply, Started, System, eventually};

/// Each changes a product of its own, through all instances in turn: every instance decides on what others have written.
const CLIENTS: usize = 16;
/// Commands between one change and the next.
const BETWEEN: u64 = 1_500;
const AGAIN: Duration = Duration::from_millis(20);
/// What a load balancer takes to notice that an instance is gone.
const UNNOTICED: Duration = Duration::from_millis(300);

/// What a load balancer and the clients behind it know.
#[derive(Debug, Default)]
struct Load {
    instances: Mutex<Vec<String>>,
    turn: AtomicUsize,
    acknowledged: AtomicU64,
    broken_connections: AtomicU64,
    stop: AtomicBool,
}

impl Load {
    fn add(&self, instance: &Started) {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).push(instance.url());
    }

    fn remove(&self, instance: &Started) {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).retain(|url| *url != instance.url());
    }

    /// The clients of all instances in turn.
    fn next(&self, clients: &mut BTreeMap<String, Client>) -> Client {
        let instances = self.instances.lock().unwrap_or_else(PoisonError::into_inner);
        let url = &instances[self.turn.fetch_add(1, Ordering::Relaxed) % instances.len()];
        clients.entry(url.clone()).or_insert_with(|| Client::new(url)).clone()
    }

    async fn more(&self) {
        let until = self.acknowledged.load(Ordering::Relaxed) + BETWEEN;
        let now = async || self.acknowledged.load(Ordering::Relaxed);
        eventually("commands go on", now, |now| *now >= until).await;
    }
}

/// Creates its product, and changes it until it is told to stop. The event of each answer.
async fn commands(load: Arc<Load>, number: usize) -> anyhow::Result<Vec<String>> {
    let mut clients = BTreeMap::new();
    let product = format!("product-{number}");
    let mut events = Vec::new();
    for step in 1_u64.. {
        if load.stop.load(Ordering::Relaxed) {
            break;
        }
        let key = format!("client-{number}-{step}");
        let reply = if step == 1 {
            let mut body = testkit::product(&product);
            body["product_id"] = json!(product);
            answer(&load, &mut clients, "/v1/products", &key, &body).await?
        } else {
            let price = json!({ "minor_units": 10_000 + step, "currency": "USD" });
            let path = format!("/v1/products/{product}:change-price");
            answer(&load, &mut clients, &path, &key, &json!({ "price": price })).await?
        };
        ensure!(reply.status.is_success(), "{key} was answered {reply:?}");
        events.push(reply.body["event_id"].as_str().context("an answer without an event")?.to_owned());
        load.acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    Ok(events)
}

/// The answer to a command, however many connections break before it comes.
async fn answer(
    load: &Load,
    clients: &mut BTreeMap<String, Client>,
    path: &str,
    key: &str,
    body: &serde_json::Value,
) -> anyhow::Result<Reply> {
    let until = Instant::now() + PATIENCE;
    loop {
        match load.next(clients).post(path, &[("idempotency-key", key)], body).await {
            Ok(reply) => return Ok(reply),
            Err(error) => ensure!(Instant::now() < until, "{key} has no answer: {error}"),
        }
        load.broken_connections.fetch_add(1, Ordering::Relaxed);
        tokio::time::sleep(AGAIN).await;
    }
}

async fn is_ready(instance: &Started) -> bool {
    Client::new(&instance.ops()).get("/readyz").await.is_ok_and(|it| it.status.is_success())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_added_killed_and_stopped_under_load_cost_no_command() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let (one, two) = (system.command_service().await?, system.command_service().await?);
    let load = Arc::new(Load::default());
    load.add(&one);
    load.add(&two);
    let clients: Vec<_> = (0..CLIENTS).map(|number| tokio::spawn(commands(load.clone(), number))).collect();
    load.more().await;

    let three = system.command_service().await?;
    load.add(&three);
    load.more().await;

    one.service.kill();
    tokio::time::sleep(UNNOTICED).await;
    load.remove(&one);
    let broken = load.broken_connections.load(Ordering::Relaxed);
    assert!(broken > 0, "nobody noticed the kill -9");
    load.more().await;

    // It comes back to its cache while the others write.
    assert!(one.service.wait_ended(PATIENCE).await);
    let one = system.again(&one).await?;
    load.add(&one);
    load.more().await;

    // SIGTERM, as a rollout does it: the balancer follows readiness.
    two.service.signal(Signal::SIGTERM);
    eventually("not ready", async || is_ready(&two).await, |ready| !ready).await;
    load.remove(&two);
    assert!(two.service.wait_ended(PATIENCE).await);
    load.more().await;

    load.stop.store(true, Ordering::Relaxed);
    let mut events = Vec::new();
    for client in clients {
        events.extend(client.await??);
    }
    let oracle = system.oracle().await?;
    let records = oracle.products.values().flatten();
    let mut effective: Vec<String> = records.map(|record| record.event_id.to_string()).collect();
    effective.sort();
    events.sort();
    assert_eq!(events, effective, "each answer is one effective record, and each of these was answered");
    println!(
        "{} commands, {} void records, {} broken connections ({broken} by kill -9)",
        events.len(),
        oracle.void,
        load.broken_connections.load(Ordering::Relaxed)
    );
    Ok(())
}
