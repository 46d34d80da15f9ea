//! P2 One product is decided in order, however many instances write it, and every answer is true.
//!
//! Two command services, eight clients each, 50 hot products, 20,000 requests with and without expected versions. The
//! clients record what they asked and what they were told; then the log is judged independently and compared.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use contract::ConsistencyToken;
use domain::{ChangePrice, Command, Decision, DeleteProduct, DiscontinueProduct, Event, Money, decide};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use testkit::{Client, Oracle, Reply, System};

const PRODUCTS: usize = 50;
const CLIENTS_PER_INSTANCE: usize = 8;
const REQUESTS: usize = 20_000;

/// What the clients know together.
struct Hot {
    id: String,
    /// The highest offset of an acknowledged change, -1 if none.
    acknowledged: AtomicI64,
    /// The highest version anyone was told.
    version: AtomicU64,
}

/// A request and its answer.
struct Recorded {
    product: usize,
    command: Command,
    expected: Option<u64>,
    /// [`Hot::acknowledged`] before it was sent.
    known_before: i64,
    reply: Reply,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_instances_writing_the_same_products_answer_truly() -> anyhow::Result<()> {
    let mut system = System::prepare().await?;
    let instances = [system.command_service().await?, system.command_service().await?];
    // The last product is never created: all answers about it say so.
    let hot: Arc<Vec<Hot>> = Arc::new((0..PRODUCTS).map(hot_product).collect());
    for (number, product) in hot[..PRODUCTS - 1].iter().enumerate() {
        let reply = Client::new(&instances[number % 2].url()).create(&product.id).await?;
        assert_eq!(reply.status, 201, "{}", reply.body);
        product.told(&reply);
        // Known at once on the other instance: neither unknown nor a false conflict.
        let other = Client::new(&instances[(number + 1) % 2].url());
        let reply = other.change_price(&product.id, 2_000, &[("if-match", "\"1\"")]).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        product.told(&reply);
    }

    let clients = (0..2 * CLIENTS_PER_INSTANCE).map(|number| {
        let client = Client::new(&instances[number % 2].url());
        tokio::spawn(one_client(client, Arc::clone(&hot), number as u64))
    });
    let mut recorded = Vec::with_capacity(REQUESTS);
    for client in futures::future::join_all(clients).await {
        recorded.extend(client??);
    }
    assert_eq!(recorded.len(), REQUESTS);

    let ids = cli::commands::schemas::ids(&system.config).await?;
    let oracle = Oracle::read(&system.config, ids).await?;
    check(&oracle, &hot, &recorded);
    Ok(())
}

fn hot_product(number: usize) -> Hot {
    Hot { id: format!("hot-{number}"), acknowledged: AtomicI64::new(-1), version: AtomicU64::new(0) }
}

impl Hot {
    fn told(&self, reply: &Reply) {
        if let Some(version) =
            reply.body["version"].as_u64().or_else(|| reply.body["current_version"].as_u64())
        {
            self.version.fetch_max(version, Ordering::SeqCst);
        }
        if reply.body["outcome"] == "accepted" {
            self.acknowledged.fetch_max(token(&reply.body).offset, Ordering::SeqCst);
        }
    }
}

fn token(body: &Value) -> ConsistencyToken {
    ConsistencyToken::decode(body["consistency_token"].as_str().unwrap_or_default())
        .unwrap_or_else(|error| panic!("every answer carries a consistency token: {error}; {body}"))
}

async fn one_client(client: Client, hot: Arc<Vec<Hot>>, seed: u64) -> anyhow::Result<Vec<Recorded>> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut recorded = Vec::new();
    for _ in 0..REQUESTS / (2 * CLIENTS_PER_INSTANCE) {
        let product = dice.random_range(0..PRODUCTS);
        let it = &hot[product];
        let (verb, body, command) = wish(&mut dice)?;
        let told = it.version.load(Ordering::SeqCst);
        let expected = match dice.random_range(0..10) {
            0..4 => None,
            4..9 => Some(told),
            _ => Some(told.saturating_sub(1)),
        };
        let if_match = expected.map(|version| format!("\"{version}\""));
        let headers: Vec<(&str, &str)> = if_match.iter().map(|value| ("if-match", value.as_str())).collect();
        let known_before = it.acknowledged.load(Ordering::SeqCst);
        let reply = client.post(&format!("/v1/products/{}:{verb}", it.id), &headers, &body).await?;
        it.told(&reply);
        recorded.push(Recorded { product, command, expected, known_before, reply });
    }
    Ok(recorded)
}

/// A random command: as a request, and as the domain sees it.
fn wish(dice: &mut StdRng) -> anyhow::Result<(&'static str, Value, Command)> {
    Ok(match dice.random_range(0..20) {
        0 => ("list", json!({}), Command::ListProduct),
        1 => ("discontinue", json!({}), Command::DiscontinueProduct(DiscontinueProduct { reason: None })),
        2 => ("delete", json!({}), Command::DeleteProduct(DeleteProduct { reason: None })),
        3 | 4 => ("restore", json!({}), Command::RestoreProduct),
        _ => {
            // Few prices, so that some change nothing.
            let minor_units = dice.random_range(1..6) * 1_000;
            let price = Money::new(minor_units, "USD")?;
            let body = json!({ "price": { "minor_units": minor_units, "currency": "USD" } });
            ("change-price", body, Command::ChangePrice(ChangePrice { price }))
        }
    })
}

fn check(oracle: &Oracle, hot: &[Hot], recorded: &[Recorded]) {
    let mut tally = std::collections::BTreeMap::<String, u64>::new();
    let mut accepted = std::collections::BTreeSet::new();
    for one in recorded {
        let Recorded { product, command, expected, known_before, reply } = one;
        let id = &hot[*product].id;
        let outcome = reply.body["outcome"].as_str().unwrap_or_else(|| reply.code());
        *tally.entry(outcome.to_owned()).or_default() += 1;
        if outcome == "contended" {
            continue; // Nothing was written: what is effective below shows it.
        }
        let at = token(&reply.body).offset;
        // Real time: what was acknowledged to anyone before this request was sent is part of the answer's truth.
        assert!(at >= *known_before, "{id}: answered from before offset {known_before}: {}", reply.body);
        if outcome == "accepted" {
            let version = reply.body["version"].as_u64().unwrap_or_default();
            let record = &oracle.products[id][version as usize - 1];
            assert_eq!((record.version, record.offset), (version, at), "{}", reply.body);
            assert_eq!(Some(record.event_id.to_string().as_str()), reply.body["event_id"].as_str());
            assert!(
                expected.is_none_or(|expected| expected + 1 == version),
                "expected {expected:?}: {}",
                reply.body
            );
            let before = oracle.before(id, at).map(|it| &it.after);
            assert_eq!(decide(before, command), Decision::Event(record.event.clone()), "{}", reply.body);
            assert!(accepted.insert(record.event_id), "one record answers one command: {}", reply.body);
            continue;
        }
        // Without a record: true of the records below `at`, which its token names the last of.
        let before = oracle.before(id, at + 1);
        let actual = before.map_or(0, |it| it.version);
        match outcome {
            "version-conflict" => {
                assert_ne!(*expected, Some(actual), "{id} had version {actual} at {at}: {}", reply.body);
                assert_eq!(reply.body["current_version"].as_u64(), Some(actual), "{}", reply.body);
            }
            "no_effect" => {
                assert!(expected.is_none_or(|expected| expected == actual), "{}", reply.body);
                assert_eq!(decide(before.map(|it| &it.after), command), Decision::NoEffect, "{}", reply.body);
            }
            code => {
                assert!(expected.is_none_or(|expected| expected == actual), "{}", reply.body);
                let Decision::Rejected(rejection) = decide(before.map(|it| &it.after), command) else {
                    panic!("{id} at {at} was answered {}", reply.body);
                };
                assert_eq!(rejection.code(), code, "{}", reply.body);
            }
        }
    }
    let ours: u64 = hot.iter().filter_map(|it| oracle.products.get(&it.id)).map(|it| it.len() as u64).sum();
    // Two changes per product were made before the recording began.
    assert_eq!(
        ours,
        accepted.len() as u64 + 2 * (PRODUCTS as u64 - 1),
        "every effective record was acknowledged"
    );
    for product in hot {
        let versions = oracle.products.get(&product.id).into_iter().flatten().map(|it| it.version);
        assert!(versions.eq(1..=oracle.products.get(&product.id).map_or(0, |it| it.len() as u64)));
    }
    let prices =
        oracle.products.values().flatten().filter(|it| matches!(it.event, Event::PriceChanged(_))).count();
    eprintln!("answers: {tally:?}; {} void records; {prices} prices changed", oracle.void);
    for kind in ["accepted", "version-conflict", "no_effect", "product-not-found", "product-deleted"] {
        assert!(
            tally.get(kind).copied().unwrap_or_default() > 20,
            "too few answers of {kind} to mean anything: {tally:?}"
        );
    }
    assert!(oracle.void > 20, "the instances did not race: {} void records", oracle.void);
}
