//! P29 What cannot be applied is parked by product, and everything else flows; each record that counts is applied or parked, and never both or neither, through `kill -9`; what was redriven equals what never failed.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use cli::commands::{stores, verify};
use contract::avro::{SchemaIds, encode};
use event_reader::SchemaSource as _;
use ledger::{Headers, NewRecord, RecordKey, Subject, partition_of};
use read_models::ReadModel;
use serde_json::{Value, json};
use testkit::scenario::caught_up;
use testkit::{Client, OnServers, PARTITIONS, PATIENCE, Started, System, eventually, promised};
use uuid::Uuid;

promised!(what_cannot_be_decoded_is_parked_with_its_product_and_all_others_flow);

/// Settings of projectors whose admin API is asked.
pub(crate) fn with_admin<S: System>() -> &'static [(&'static str, &'static str)] {
    if S::IS_IN_PARTS { &[("ADMIN__ENABLED", "true"), ("DURABILITY_WINDOW_MS", "1000")] } else { &[] }
}

/// Who makes each read model, to be asked over HTTP.
pub(crate) struct Admin(BTreeMap<ReadModel, Client>);

impl Admin {
    pub(crate) fn of(projectors: &[Started]) -> Self {
        let of = |(n, it): (usize, &ReadModel)| (*it, Client::new(&projectors[n % projectors.len()].ops()));
        Self(ReadModel::ALL.iter().enumerate().map(of).collect())
    }

    /// What is parked of a read model.
    pub(crate) async fn parked(&self, read_model: ReadModel) -> Value {
        let path = format!("/admin/v1/read-models/{read_model}/dead-letters");
        // A process that was killed comes back.
        self.0[&read_model].get(&path).await.map(|it| it.body).unwrap_or_default()
    }

    pub(crate) async fn ask(&self, read_model: ReadModel, verb: &str, body: Value) -> anyhow::Result<Value> {
        let path = format!("/admin/v1/read-models/{read_model}/dead-letters:{verb}");
        let reply = self.0[&read_model].post(&path, &[], &body).await?;
        ensure!(reply.status == 200, "{path}: {} {}", reply.status, reply.body);
        Ok(reply.body)
    }

    /// Waits until so many products and records of each read model are parked.
    pub(crate) async fn have(&self, products: usize, records: usize) {
        for read_model in ReadModel::ALL {
            eventually(
                &format!("{products} products of {read_model} are parked, with {records} records"),
                async || self.parked(*read_model).await,
                |it| it["products"] == products && it["records"] == records,
            )
            .await;
        }
    }
}

/// A record of this product that counts; without an event its value is none.
pub(crate) fn record(
    product: &str,
    version: u64,
    event: Option<(&SchemaIds, i64)>,
) -> anyhow::Result<NewRecord> {
    let key = RecordKey { subject: Subject::parse(product)?, version, basis: 0, event_id: Uuid::new_v4() };
    let value = match event {
        Some((ids, price)) => {
            let data = format!(r#"{{"price": {{"minor_units": {price}, "currency": "USD"}}}}"#);
            let event = contract::json::event_from_data("PriceChanged", &data);
            encode(&event.context("an event")?, ids)?
        }
        None => bytes::Bytes::from_static(b"\0\0\0\0\0 is no event"),
    };
    Ok(NewRecord { key, value, headers: Headers::new() })
}

/// Another product of the same partition.
pub(crate) fn neighbour(product: &str) -> String {
    (0..1_000)
        .map(|number| format!("neighbour-{number}"))
        .find(|id| partition_of(id, PARTITIONS) == partition_of(product, PARTITIONS))
        .unwrap_or_default()
}

/// Waits until a product has this version wherever it is read.
pub(crate) async fn is_read(queries: &Client, product: &str, version: u64) {
    eventually(
        &format!("{product} has version {version}"),
        async || {
            let found = queries.get(&format!("/v1/products/{product}")).await;
            found.map(|it| it.body["version"].as_u64()).unwrap_or_default()
        },
        |found| *found == Some(version),
    )
    .await;
}

async fn what_cannot_be_decoded_is_parked_with_its_product_and_all_others_flow<S: System>()
-> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projectors = system.projectors_with(with_admin::<S>()).await?;
    let admin = Admin::of(&projectors);
    let queries = Client::new(&system.query_gateway().await?.url());
    let ids = SchemaIds::new(system.registry()?.ids().await?)?;
    let neighbour = neighbour("poisoned");
    for id in ["poisoned", &neighbour] {
        ensure!(commands.create(id).await?.status == 201);
    }
    system.caught_up().await?;
    admin.have(0, 0).await;

    system.append(vec![record("poisoned", 2, None)?, record("poisoned", 3, Some((&ids, 3_000)))?]).await?;
    admin.have(1, 2).await;
    let changed = eventually(
        "the neighbour takes commands",
        async || commands.change_price(&neighbour, 2_000, &[]).await.map(|it| it.status.as_u16()).ok(),
        |status| *status == Some(200),
    )
    .await;
    ensure!(changed == Some(200));
    is_read(&queries, &neighbour, 2).await;
    is_read(&queries, "poisoned", 1).await;
    for read_model in ReadModel::ALL {
        let parked = admin.parked(*read_model).await;
        let first = &parked["parked"][0];
        ensure!(first["product"] == "poisoned" && first["kind"] == "undecodable", "{parked}");
    }

    // Whoever comes next knows it, and what follows follows.
    for projector in &projectors {
        system.kill(projector).await?;
    }
    for projector in &projectors {
        let again = system.start_again(projector)?;
        again.service.wait_ready(PATIENCE).await?;
    }
    system.append(vec![record("poisoned", 4, Some((&ids, 4_000)))?]).await?;
    admin.have(1, 3).await;
    is_read(&queries, "poisoned", 1).await;
    is_read(&queries, &neighbour, 2).await;

    // It cannot be applied by this release, and says so.
    for read_model in ReadModel::ALL {
        let dry = json!({ "product": "poisoned", "dry_run": true });
        let told = admin.ask(*read_model, "redrive", dry).await?;
        ensure!(told["would"][0]["would_succeed"] == false, "{told}");
        let before = admin.parked(*read_model).await["parked"][0]["attempts"].as_u64();
        admin.ask(*read_model, "redrive", json!({ "all": true, "reason": "a test" })).await?;
        eventually(
            "it was tried again",
            async || admin.parked(*read_model).await["parked"][0]["attempts"].as_u64(),
            |attempts| *attempts > before,
        )
        .await;
    }
    admin.have(1, 3).await;
    // Whoever is not parked goes on all the while.
    ensure!(commands.change_price(&neighbour, 3_000, &[]).await?.status == 200);
    is_read(&queries, &neighbour, 3).await;
    Ok(())
}

/// An amount that is too much for [`small_amounts`].
pub(crate) const TOO_MUCH: u64 = 40_000;

/// Gives the search index a further field of the amount, as somebody might for a dashboard: there it is a small number. A lenient one
/// leaves out what it has no place for; else the whole document is refused.
pub(crate) async fn small_amounts(system: &OnServers, is_lenient: bool) -> anyhow::Result<()> {
    let search = &system.config.search;
    let url = format!("{}/{}-search-g1/_mapping", search.url.trim_end_matches('/'), search.index_prefix);
    let small = json!({ "small": { "type": "short", "ignore_malformed": is_lenient } });
    let mapping = json!({ "properties": { "price_minor": { "type": "long", "fields": small } } });
    let put = reqwest::Client::new().put(url).json(&mapping).send().await?;
    ensure!(put.status().is_success(), "{}", put.text().await?);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_product_that_a_store_refuses_holds_back_no_other_and_is_as_any_once_it_is_redriven()
-> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projectors = system.projectors_with(with_admin::<OnServers>()).await?;
    let admin = Admin::of(&projectors);
    for id in ["refused", "taken"] {
        ensure!(commands.create(id).await?.status == 201);
    }
    system.caught_up().await?;
    small_amounts(&system, false).await?;
    for price in 0..3 {
        ensure!(commands.change_price("refused", TOO_MUCH + price, &[]).await?.status == 200);
        ensure!(commands.change_price("taken", 3_000 + price, &[]).await?.status == 200);
    }
    let parked = eventually(
        "the search index refuses the product",
        async || admin.parked(ReadModel::Search).await,
        |it| it["products"] == 1 && it["records"] == 3,
    )
    .await;
    ensure!(parked["parked"][0]["kind"] == "refused-by-store", "{parked}");
    caught_up(&system, &system.planner.names.group_prefix).await?;
    // Readers of the index are told, and nobody else.
    let queries = Client::new(&system.query_gateway().await?.url());
    let search = async || queries.get("/v1/search").await.map(|it| it.body["parked"].as_u64()).ok();
    eventually("a search says that one is parked", search, |it| *it == Some(Some(1))).await;
    ensure!(queries.get("/v1/products/refused").await?.body.get("stale").is_none());
    let changed = commands.change_price("refused", TOO_MUCH + 3, &[]).await?;
    let token = [("Consistency-Token", changed.header("consistency-token")), ("Prefer", "wait=25")];
    let told = queries.get_with("/v1/search", &token).await?;
    ensure!(told.code() == "read-model-parked" && told.body["kind"] == "refused-by-store", "{}", told.body);
    // Of the others nobody is parked, and what the store refuses it refuses again.
    ensure!(admin.parked(ReadModel::Products).await["products"] == 0);
    admin.ask(ReadModel::Search, "redrive", json!({ "product": "refused", "reason": "too soon" })).await?;
    eventually(
        "it was tried again",
        async || admin.parked(ReadModel::Search).await["parked"][0]["attempts"].as_u64(),
        |attempts| *attempts >= Some(2),
    )
    .await;

    small_amounts(&system, true).await?;
    admin
        .ask(ReadModel::Search, "redrive", json!({ "kind": "refused-by-store", "reason": "put right" }))
        .await?;
    eventually("nothing is parked", async || admin.parked(ReadModel::Search).await, |it| it["products"] == 0)
        .await;
    eventually("a search says nothing of it any more", search, |it| *it == Some(None)).await;
    ensure!(queries.get_with("/v1/search", &token).await?.status == 200);
    // Row for row what a build of its own makes, in which nothing has ever failed.
    let which = stores::Which::of(&[ReadModel::Search]);
    verify::compare_rows(&system.config, &which).await?;
    system.caught_up().await
}
