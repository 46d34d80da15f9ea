//! P16 The cache on disk is never believed by itself: products that left memory, kill -9, and caches of something else
//! change no answer.

use std::path::Path;

use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::StatusCode;
use serde_json::Value;
use testkit::{Client, PATIENCE, Reply, Started, System, eventually, promised};

promised! {
    thousands_of_products_are_decided_with_fifty_in_memory_through_kill_9_at_any_time,
    a_cache_of_another_topic_or_a_damaged_one_is_discarded_and_a_used_one_refused,
    a_cache_that_is_gone_or_from_an_older_time_changes_no_answer,
}

/// Many more than stay in memory.
const PRODUCTS: usize = 3_000;
const IN_MEMORY: &str = "50";
const AT_ONCE: usize = 32;

fn name(n: usize) -> String {
    format!("resting-{n}")
}

/// A command service that keeps few products in memory and saves often.
async fn start(system: &mut impl System) -> anyhow::Result<Started> {
    system.command_service_with(&[("CACHE__HOT_PRODUCTS", IN_MEMORY), ("CACHE__SAVE_MS", "100")]).await
}

/// What `ask` gets for every product, in order.
async fn each<F: Future<Output = reqwest::Result<Reply>>>(
    numbers: std::ops::Range<usize>,
    ask: impl Fn(usize) -> F,
) -> anyhow::Result<Vec<Reply>> {
    Ok(futures::stream::iter(numbers).map(ask).buffered(AT_ONCE).try_collect().await?)
}

async fn create_all(client: &Client) -> anyhow::Result<Vec<Reply>> {
    each(0..PRODUCTS, |n| async move { client.create(&name(n)).await }).await
}

/// Changes every price to a price that depends on `round`, under a key that does too.
async fn change_all(client: &Client, round: usize) -> anyhow::Result<Vec<Reply>> {
    each(0..PRODUCTS, |n| async move {
        let key = format!("change-{round}-{n}");
        client.change_price(&name(n), price(round), &[("idempotency-key", &key)]).await
    })
    .await
}

fn price(round: usize) -> u64 {
    1_000 + round as u64
}

fn all_have_version(replies: &[Reply], version: u64) {
    for (n, reply) in replies.iter().enumerate() {
        assert!(reply.status.is_success(), "product {n}: {}", reply.body);
        assert_eq!(reply.body["version"], version, "product {n}: {}", reply.body);
    }
}

async fn metric(started: &Started, name: &str) -> f64 {
    let text = match reqwest::get(format!("{}/metrics", started.ops())).await {
        Ok(answer) => answer.text().await.unwrap_or_default(),
        Err(_) => return f64::NAN,
    };
    let lines = text.lines().filter(|line| line.starts_with(name) && !line.starts_with('#'));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn thousands_of_products_are_decided_with_fifty_in_memory_through_kill_9_at_any_time<S: System>()
-> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let one = start(&mut system).await?;
    let client = Client::new(&one.url());
    all_have_version(&create_all(&client).await?, 1);
    let hot = async || metric(&one, "folio_hot_products").await;
    eventually("products leave memory", hot, |hot| *hot < 1_500.0).await;
    let first = change_all(&client, 1).await?;
    all_have_version(&first, 2);
    assert!(metric(&one, "folio_cache_cold_loads_total").await > 1_000.0);

    // Killed at several moments of the saving: in the midst of changes, and right after them.
    let mut one = one;
    for round in 2..6 {
        let client = Client::new(&one.url());
        let killed = &one.service;
        let strike = async {
            if round % 2 == 0 {
                let next = async || metric(&one, "ledger_effective_records_total").await;
                let from = next().await;
                let half = (PRODUCTS / 2) as f64;
                eventually("half of the changes", next, |now| now.is_nan() || *now >= from + half).await;
                killed.kill();
            }
        };
        let (changed, ()) = tokio::join!(change_all(&client, round), strike);
        assert_eq!(changed.is_err(), round % 2 == 0, "a killed service answers no more");
        system.kill(&one).await?;
        one = system.again(&one).await?;
        assert!(!one.log().contains("discarded"), "what kill -9 leaves is used:\n{}", one.log());
        // What was answered, and what was not, once each: the same keys on the cache that was left.
        all_have_version(&change_all(&Client::new(&one.url()), round).await?, round as u64 + 1);
    }
    // The answers of before are remembered on disk too.
    for (first, again) in first.iter().zip(change_all(&Client::new(&one.url()), 1).await?) {
        assert_eq!(again.body["replayed"], true, "{}", again.body);
        assert_eq!(
            (&again.body["version"], &again.body["event_id"]),
            (&first.body["version"], &first.body["event_id"])
        );
    }
    assert_eq!(system.oracle().await?.products.len(), PRODUCTS);
    Ok(())
}

async fn a_cache_of_another_topic_or_a_damaged_one_is_discarded_and_a_used_one_refused<S: System>()
-> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let mut other = S::prepare().await?;
    let one = start(&mut system).await?;
    all_have_version(&create_all(&Client::new(&one.url())).await?, 1);
    all_have_version(&change_all(&Client::new(&one.url()), 1).await?, 2);

    // Two processes on one directory: the second says so and ends.
    let second = system.start_beside(&one)?;
    assert!(second.service.wait_ended(PATIENCE).await);
    let by =
        if S::IS_IN_PARTS { "another process".to_owned() } else { format!("process {}", one.service.pid) };
    assert!(second.log().contains(&format!("in use by {by}")), "{}", second.log());

    system.kill(&one).await?;
    // The other log's instance finds this log's cache.
    let two = start(&mut other).await?;
    other.kill(&two).await?;
    put(&system.cache_of(&one)?, &other.cache_of(&two)?)?;
    let two = other.again(&two).await?;
    assert!(two.log().contains("the cache was discarded"), "{}", two.log());
    assert_eq!(Client::new(&two.url()).change_price(&name(1), 5, &[]).await?.status, StatusCode::NOT_FOUND);

    // And its own, with every table damaged.
    damage(&system.cache_of(&one)?.join("data"))?;
    let one = system.again(&one).await?;
    all_have_version(&change_all(&Client::new(&one.url()), 2).await?, 3);
    let gone = one.log().contains("discarded");
    assert!(gone, "the damage was met:\n{}", one.log());
    let replayed = change_all(&Client::new(&one.url()), 1).await?;
    assert!(replayed.iter().all(|reply| reply.body["replayed"] == Value::Bool(true)));
    Ok(())
}

async fn a_cache_that_is_gone_or_from_an_older_time_changes_no_answer<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let one = start(&mut system).await?;
    all_have_version(&create_all(&Client::new(&one.url())).await?, 1);
    let first = change_all(&Client::new(&one.url()), 1).await?;
    all_have_version(&first, 2);
    system.kill(&one).await?;
    let cache = system.cache_of(&one)?;
    let older = cache.with_extension("older");
    put(&cache, &older)?;

    let one = system.again(&one).await?;
    all_have_version(&change_all(&Client::new(&one.url()), 2).await?, 3);
    system.kill(&one).await?;
    // All of the second change is missing in it: it is read from the log again.
    put(&older, &cache)?;
    let one = system.again(&one).await?;
    all_have_version(&change_all(&Client::new(&one.url()), 2).await?, 3);
    all_have_version(&change_all(&Client::new(&one.url()), 3).await?, 4);

    system.kill(&one).await?;
    std::fs::remove_dir_all(&cache)?;
    let one = system.again(&one).await?;
    let client = Client::new(&one.url());
    for (first, again) in first.iter().zip(change_all(&client, 1).await?) {
        assert_eq!(again.body["replayed"], true, "{}", again.body);
        assert_eq!(again.body["event_id"], first.body["event_id"]);
    }
    all_have_version(&change_all(&client, 4).await?, 5);
    assert_eq!(system.oracle().await?.effective(), 5 * PRODUCTS as u64, "and nothing twice");
    Ok(())
}

/// Puts a copy of a folder in the place of another.
fn put(from: &Path, to: &Path) -> std::io::Result<()> {
    if to.exists() {
        std::fs::remove_dir_all(to)?;
    }
    copy(from, to)
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            std::fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// Turns bytes over in every file below `dir` that holds data.
fn damage(dir: &Path) -> std::io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            damage(&path)?;
            continue;
        }
        let mut bytes = std::fs::read(&path)?;
        for byte in bytes.iter_mut().skip(40).step_by(500) {
            *byte ^= 0x55;
        }
        std::fs::write(&path, bytes)?;
    }
    Ok(())
}
