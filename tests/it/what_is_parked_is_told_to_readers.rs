//! P31 A read of a product that is parked says so and since when; one that waits for what is parked is told at once that this does not help; lists and searches say how many there are.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use contract::ConsistencyToken;
use contract::avro::SchemaIds;
use contract::proto::catalog::v1;
use contract::proto::catalog::v1::query_service_client::QueryServiceClient;
use event_reader::SchemaSource as _;
use read_models::{ReadModel, Version};
use serde_json::json;
use testkit::{Client, PATIENCE, Started, System, eventually, promised};

use super::what_cannot_be_applied_is_parked::{Admin, is_read, neighbour, record, with_admin};

promised!(a_product_that_is_parked_says_so_wherever_it_is_read);

/// The token of a write whose record stands there.
fn token(product: &str, id: &str, version: u64) -> anyhow::Result<String> {
    let (partition, offset) = id.split_once('/').context("the place of a record")?;
    let (partition, offset) = (partition.parse()?, offset.parse()?);
    Ok(ConsistencyToken {
        partition,
        offset,
        product: product.try_into()?,
        version: Version(version),
        log: None,
    }
    .encode())
}

/// Each read that waits for a record that is parked hears it long before its time is over. `id`: the place of the first.
async fn who_waits_is_told(
    queries: &Client,
    gateway: &Started,
    id: &str,
    reads: impl Iterator<Item = &String>,
) -> anyhow::Result<()> {
    let token = token("parked", id, 2)?;
    for read in reads {
        let (joint, begun) = (if read.contains('?') { '&' } else { '?' }, Instant::now());
        let told = queries
            .get_with(&format!("{read}{joint}consistency_token={token}"), &[("Prefer", "wait=25")])
            .await?;
        ensure!(
            told.code() == "read-model-parked" && told.body["retryable"] == false,
            "{read}: {}",
            told.body
        );
        ensure!(told.body["product_id"] == "parked" && told.body["kind"] == "undecodable", "{}", told.body);
        ensure!(begun.elapsed() < Duration::from_secs(20), "{read}: {:?}", begun.elapsed());
    }
    let mut grpc = QueryServiceClient::connect(gateway.grpc()).await?;
    let asked = v1::GetProductRequest { product_id: "parked".to_owned(), ..Default::default() };
    ensure!(
        grpc.get_product(asked.clone()).await?.into_inner().stale.is_some_and(|it| it.kind == "undecodable")
    );
    let freshness = Some(v1::Freshness { consistency_token: token, wait: None });
    let refused = grpc.get_product(v1::GetProductRequest { freshness, ..asked }).await;
    ensure!(refused.is_err_and(|it| it.code() == tonic::Code::FailedPrecondition));
    Ok(())
}

async fn a_product_that_is_parked_says_so_wherever_it_is_read<S: System>() -> anyhow::Result<()> {
    let mut system = S::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let projectors = system.projectors_with(with_admin::<S>()).await?;
    let admin = Admin::of(&projectors);
    let gateway = system.query_gateway().await?;
    let queries = Client::new(&gateway.url());
    let ids = SchemaIds::new(system.registry()?.ids().await?)?;
    let neighbour = neighbour("parked");
    for id in ["parked", &neighbour] {
        ensure!(commands.create(id).await?.status == 201);
    }
    system.caught_up().await?;
    let whole = queries.get("/v1/products/parked").await?;
    ensure!(whole.body.get("stale").is_none(), "{}", whole.body);

    system
        .append(vec![
            record("parked", 2, None)?,
            record("parked", 3, Some((&ids, 3_000)))?,
            record("never-was", 1, None)?,
        ])
        .await?;
    admin.have(2, 3).await;
    // Who has seen a later position sees it, and all that is told of it.
    ensure!(commands.change_price(&neighbour, 2_000, &[]).await?.status == 200);
    is_read(&queries, &neighbour, 2).await;
    for path in ["/v1/products/parked", "/v1/products/parked/history"] {
        let read = eventually(
            &format!("{path} says that it is parked"),
            async || queries.get(path).await.ok(),
            |it| it.as_ref().is_some_and(|it| it.body["stale"].is_object()),
        )
        .await
        .context("an answer")?;
        ensure!(read.body["stale"]["kind"] == "undecodable", "{}", read.body);
        ensure!(read.body["stale"]["since"].as_str().is_some_and(|it| it.ends_with('Z')), "{}", read.body);
    }
    // What was before is what it was.
    let past = queries.get("/v1/products/parked?version=1").await?;
    ensure!(past.status == 200 && past.body.get("stale").is_none(), "{}", past.body);
    let beyond = queries.get("/v1/products/parked?version=2").await?;
    ensure!(beyond.code() == "read-model-parked", "{}", beyond.body);
    let now = format!("/v1/products/parked?as_of={}", jiff::Timestamp::now());
    ensure!(queries.get(&now).await?.body["stale"].is_object());
    let tag = whole.header("etag").to_owned();
    let again = queries.get_with("/v1/products/parked", &[("If-None-Match", &tag)]).await?;
    ensure!(again.status == 200, "a tag of before hides nothing");
    let none = queries.get("/v1/products/never-was").await?;
    ensure!(none.code() == "read-model-parked" && none.header("retry-after").is_empty(), "{}", none.body);
    let batch = queries.get(&format!("/v1/products:batchGet?ids=parked,never-was,{neighbour}")).await?.body;
    ensure!(batch["items"][0]["stale"].is_object() && batch["unknown"] == json!(["never-was"]), "{batch}");
    ensure!(batch["items"][1].get("stale").is_none(), "{batch}");

    let category =
        whole.body["category"].as_str().context("a category")?.replace(' ', "%20").replace('&', "%26");
    let lists = [format!("/v1/products?category={category}"), "/v1/search".to_owned()];
    for list in &lists {
        eventually(
            &format!("{list} says how many are parked"),
            async || queries.get(list).await.map(|it| it.body["parked"].as_u64()).unwrap_or_default(),
            |it| *it == Some(2),
        )
        .await;
    }

    let parked = admin.parked(ReadModel::Products).await;
    let first =
        parked["parked"].as_array().context("what is parked")?.iter().find(|it| it["product"] == "parked");
    let id = first.and_then(|it| it["id"].as_str()).context("the place of the first")?;
    let reads = ["/v1/products/parked".to_owned(), "/v1/products/parked/history".to_owned()];
    who_waits_is_told(&queries, &gateway, id, reads.iter().chain(&lists)).await?;

    // Whoever has the partitions next says the same, and who gives it up is heard of.
    for projector in &projectors {
        system.kill(projector).await?;
    }
    for projector in &projectors {
        system.start_again(projector)?.service.wait_ready(PATIENCE).await?;
    }
    admin.have(2, 3).await;
    for read_model in [ReadModel::Products, ReadModel::History] {
        admin.ask(read_model, "discard", json!({ "product": "parked", "reason": "a test" })).await?;
    }
    for read in &reads {
        eventually(
            &format!("{read} says that it was given up"),
            async || {
                let read = queries.get(read).await;
                read.map(|it| it.body["stale"]["is_discarded"].as_bool()).unwrap_or_default()
            },
            |it| *it == Some(true),
        )
        .await;
    }
    Ok(())
}
