//! P43 While the registry is away only the products wait whose records cannot be read without it, in read models and for commands, and all others flow; when it is back they go on by themselves, and nothing is lost or applied twice.

use std::time::{Duration, Instant};

use adapter_registry::HttpRegistry;
use anyhow::{Context as _, ensure};
use contract::avro::{SchemaIds, known_schemas, subject};
use event_reader::SchemaSource as _;
use ledger::NewRecord;
use read_models::ReadModel;
use serde_json::{Value, json};
use testkit::scenario::{caught_up, rows_follow_the_log};
use testkit::{Client, OnServers, Oracle, PATIENCE, System, eventually};

use super::a_poisoned_record_stops_nothing_else::{counter, metrics};
use super::servers_may_be_away::says_missing;
use super::what_cannot_be_applied_is_parked::{Admin, is_read, neighbour, record, with_admin};

/// The registry is waited for some seconds once, and a batch comes at most a second later.
const HELD: Duration = Duration::from_secs(8);
/// It is looked for every other second, and a call takes a moment.
const RESUMES: Duration = Duration::from_secs(10);

/// Registers a schema as a later release might have it, with one field more; its id and its text.
async fn later_schema(system: &OnServers) -> anyhow::Result<(u32, String)> {
    let known =
        known_schemas().iter().filter(|it| it.event_type == "PriceChanged").max_by_key(|it| it.version);
    let known = known.context("a schema of changes of prices")?;
    let mut schema: Value = serde_json::from_str(known.text)?;
    let field = json!({ "name": "new_and_optional", "type": ["null", "string"], "default": null });
    schema["fields"].as_array_mut().context("a record has fields")?.push(field);
    let (registry, text) = (HttpRegistry::new(&system.config.registry)?, schema.to_string());
    Ok((registry.register(&subject(system.topic(), known.fqn), &text).await?, text))
}

/// A change of a price, written with that schema.
fn later(product: &str, version: u64, (ids, price): (&SchemaIds, i64), id: u32) -> anyhow::Result<NewRecord> {
    let mut record = record(product, version, Some((ids, price)))?;
    let mut value = record.value.to_vec();
    value[1..5].copy_from_slice(&id.to_be_bytes());
    // The new field is null: the first branch of its union.
    value.push(0);
    record.value = value.into();
    Ok(record)
}

/// Another writer changes prices: that of `later` with a schema of a later release and then with one that all know, and that of its
/// neighbour. The later schema's id and text.
async fn later_release_writes(
    system: &mut OnServers,
    ids: &SchemaIds,
    neighbour: &str,
) -> anyhow::Result<(u32, String)> {
    let (schema, text) = later_schema(system).await?;
    system
        .append(vec![
            later("later", 2, (ids, 2_000), schema)?,
            record("later", 3, Some((ids, 3_000)))?,
            record(neighbour, 2, Some((ids, 2_000)))?,
        ])
        .await?;
    Ok((schema, text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_is_away_delays_only_the_products_that_need_it() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let queries = Client::new(&system.query_gateway().await?.url());
    // For projectors alone.
    let registry = system.gate_registry().await?;
    let projectors = system.projectors_with(with_admin::<OnServers>()).await?;
    let admin = Admin::of(&projectors);
    let ids = SchemaIds::new(system.registry()?.ids().await?)?;
    let neighbour = neighbour("later");
    for id in ["later", &neighbour] {
        ensure!(commands.create(id).await?.status == 201);
    }
    system.caught_up().await?;
    for projector in &projectors {
        projector.service.wait_ready(PATIENCE).await?;
    }

    registry.close();
    let (schema, text) = later_release_writes(&mut system, &ids, &neighbour).await?;
    let begun = Instant::now();
    is_read(&queries, &neighbour, 2).await;
    let held = begun.elapsed();
    eprintln!("the partition goes on after {:.1} s", held.as_secs_f64());
    ensure!(held <= HELD, "the partition was held for {held:?}");
    admin.have(1, 2).await;
    for read_model in ReadModel::ALL {
        let parked = admin.parked(*read_model).await;
        let first = &parked["parked"][0];
        ensure!(first["product"] == "later" && first["kind"] == "schema-unavailable", "{parked}");
    }
    for projector in &projectors {
        says_missing(projector, "registry").await?;
    }
    // Nobody waits for it again, and readers are told.
    system
        .append(vec![later("later", 4, (&ids, 4_000), schema)?, record(&neighbour, 3, Some((&ids, 3_000)))?])
        .await?;
    is_read(&queries, &neighbour, 3).await;
    admin.have(1, 3).await;
    let read = queries.get("/v1/products/later").await?;
    ensure!(read.body["version"] == 1 && read.body["stale"]["kind"] == "schema-unavailable", "{}", read.body);

    registry.open();
    let begun = Instant::now();
    is_read(&queries, "later", 4).await;
    let after = begun.elapsed();
    eprintln!("what waited is read {:.1} s later", after.as_secs_f64());
    ensure!(after <= RESUMES, "what waited is read after {after:?}");
    admin.have(0, 0).await;
    for projector in &projectors {
        projector.service.wait_ready(PATIENCE).await?;
    }
    caught_up(&system, &system.planner.names.group_prefix).await?;
    let mut all = ids;
    all.learn(schema, &text)?;
    let oracle = system.with_log(async |log| Oracle::of(&log, &all).await).await?;
    rows_follow_the_log(&system, &oracle).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_without_the_registry_decide_on_every_product_but_the_one_that_needs_it() -> anyhow::Result<()>
{
    let mut system = OnServers::prepare().await?;
    let registry = system.gate_registry().await?;
    let writer = system.command_service().await?;
    let commands = Client::new(&writer.url());
    system.projectors().await?;
    let ids = SchemaIds::new(system.registry()?.ids().await?)?;
    let neighbour = neighbour("later");
    for id in ["later", &neighbour] {
        ensure!(commands.create(id).await?.status == 201);
    }

    registry.close();
    let (schema, text) = later_release_writes(&mut system, &ids, &neighbour).await?;
    let reply = async |id: &str| commands.change_price(id, 9_000, &[]).await;
    let waits = eventually(
        "the product waits",
        async || reply("later").await.ok().filter(|it| it.status == 503),
        Option::is_some,
    )
    .await;
    let problem = waits.context("an answer")?.body;
    let detail = problem["detail"].as_str().unwrap_or_default();
    ensure!(problem["code"] == "not-ready" && detail.contains("schema id"), "{problem}");
    // The other one is decided on its newest version, and again and again.
    for version in 3..=12 {
        let price = 9_000 + version;
        let answer = commands.change_price(&neighbour, price, &[]).await?;
        ensure!(answer.status == 200 && answer.body["version"] == version, "{}", answer.body);
    }
    ensure!(reply("later").await?.status == 503, "nobody knows yet what it is");
    writer.service.wait_ready(PATIENCE).await?;
    let told = metrics(&writer.ops()).await;
    ensure!(counter(&told, "folio_products_withheld") > 0.5, "{told}");

    registry.open();
    let begun = Instant::now();
    let decided = async || reply("later").await.ok().filter(|it| it.status == 200);
    let answer = eventually("the product takes commands", decided, Option::is_some).await;
    let after = begun.elapsed();
    eprintln!("what waited takes commands {:.1} s later", after.as_secs_f64());
    ensure!(after <= RESUMES, "what waited takes commands after {after:?}");
    let body = answer.context("an answer")?.body;
    ensure!(body["version"] == 4, "decided on all its records: {body}");
    caught_up(&system, &system.planner.names.group_prefix).await?;
    let mut all = ids;
    all.learn(schema, &text)?;
    let oracle = system.with_log(async |log| Oracle::of(&log, &all).await).await?;
    rows_follow_the_log(&system, &oracle).await
}
