//! All of Folio in one process, as a library: one port for commands and queries, and the data is there after a restart.
//!
//! Needs no server.

use std::path::Path;
use std::time::Instant;

use contract::proto::catalog::v1::command_request::Command;
use contract::proto::catalog::v1::command_service_client::CommandServiceClient;
use contract::proto::catalog::v1::query_service_client::QueryServiceClient;
use contract::proto::catalog::v1::{ChangePrice, CommandRequest, Freshness, GetProductRequest, Money};
use folio_dev::{Dev, Options};
use reqwest::Method;
use serde_json::Value;
use testkit::Client;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

fn http(dev: &Dev) -> Client {
    Client::new(&format!("http://{}", dev.addresses().http))
}

fn ops(dev: &Dev) -> Client {
    Client::new(&format!("http://{}", dev.addresses().ops))
}

/// What a read that waits for the write of `token` says.
async fn fresh(client: &Client, token: &str, path: &str) -> anyhow::Result<Value> {
    let reply = client.get_with(path, &[("consistency-token", token), ("prefer", "wait=20")]).await?;
    assert_eq!(reply.status, 200, "{path}: {}", reply.body);
    Ok(reply.body)
}

/// Asks every read model for the product, whose price was changed with the command that gave the token.
async fn is_everywhere(client: &Client, id: &str, token: &str, price: u64) -> anyhow::Result<()> {
    let product = fresh(client, token, &format!("/v1/products/{id}")).await?;
    assert_eq!((&product["version"], &product["price"]["minor_units"]), (&2.into(), &price.into()));
    let history = fresh(client, token, &format!("/v1/products/{id}/history?order=asc")).await?;
    let versions: Vec<_> =
        history["items"].as_array().into_iter().flatten().map(|it| &it["version"]).collect();
    assert_eq!(versions, [1, 2]);
    let found = fresh(client, token, &format!("/v1/search?q=SKU-{}", id.to_uppercase())).await?;
    assert_eq!(found["items"][0]["price"]["minor_units"], price, "{found}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_is_read_in_every_read_model_on_the_same_port() -> anyhow::Result<()> {
    let began = Instant::now();
    let dev = Dev::start(Options::default()).await?;
    println!("ready after {} ms", began.elapsed().as_millis());
    let client = http(&dev);
    assert_eq!(client.create("p1").await?.status, 201);
    let changed = client.change_price("p1", 4_200, &[]).await?;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let token = changed.body["consistency_token"].as_str().unwrap_or_default().to_owned();
    is_everywhere(&client, "p1", &token, 4_200).await?;
    let listed = fresh(&client, &token, "/v1/products?category=tests/products").await?;
    assert_eq!(listed["items"][0]["product_id"], "p1");
    let several = fresh(&client, &token, "/v1/products:batchGet?ids=p1,p2").await?;
    assert_eq!(several["items"][0]["product_id"], "p1", "{several}");
    let dir = dev.data_dir().to_owned();
    assert!(dev.is_temporary() && dir.is_dir());
    dev.stop().await?;
    assert!(!dir.exists(), "what is temporary is gone");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_path_goes_to_who_takes_it_and_what_nobody_takes_is_told_with_all_that_is_taken()
-> anyhow::Result<()> {
    let dev = Dev::start(Options::default()).await?;
    let client = http(&dev);
    for (method, path, allow) in [
        ("DELETE", "/v1/products/p1", "PUT, GET, HEAD"),
        ("PATCH", "/v1/products", "POST, GET, HEAD"),
        ("GET", "/v1/commands:bulk", "POST"),
        ("POST", "/v1/search", "GET, HEAD"),
        ("PUT", "/v1/products/p1/history", "GET, HEAD"),
        ("OPTIONS", "/v1/suggest", "GET, HEAD"),
    ] {
        let reply = client.send(Method::from_bytes(method.as_bytes())?, path, &[], "").await?;
        assert_eq!((reply.status.as_u16(), reply.code()), (405, "method-not-allowed"), "{method} {path}");
        assert_eq!(reply.header("allow"), allow, "{method} {path}");
        assert!(reply.body["detail"].as_str().unwrap_or_default().contains(allow), "{}", reply.body);
        assert_eq!(reply.body["request_id"], reply.header("x-request-id"));
    }
    for method in [Method::GET, Method::POST] {
        let reply = client.send(method, "/v1/orders", &[], "").await?;
        assert_eq!((reply.status.as_u16(), reply.code()), (404, "not-found"));
        let told = reply.body["detail"].as_str().unwrap_or_default();
        assert!(told.contains("/v1/commands:bulk") && told.contains("/v1/search"), "{told}");
    }
    // Each service's own words stay.
    let refused = client.post("/v1/products/p1:paint", &[], &serde_json::json!({})).await?;
    assert_eq!(refused.status, 404, "{}", refused.body);
    let refused = client.get("/v1/search?page_size=-1").await?;
    assert_eq!((refused.status.as_u16(), refused.pointers()), (400, vec!["/page_size"]));
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_to_reads_are_compressed_and_those_of_uploads_stream_as_they_are() -> anyhow::Result<()> {
    let dev = Dev::start(Options::default()).await?;
    let client = http(&dev);
    let created = client.create("p1").await?;
    let token = created.body["consistency_token"].as_str().unwrap_or_default().to_owned();
    let gzip = ("accept-encoding", "gzip");
    let read = client.get_with("/v1/products/p1", &[gzip, ("consistency-token", &token)]).await?;
    assert_eq!((read.status.as_u16(), read.header("content-encoding")), (200, "gzip"));
    let line = r#"{"command":"list_product","product_id":"p1","payload":{}}"#;
    let headers = [gzip, ("content-type", "application/x-ndjson")];
    let bulk = client.send(Method::POST, "/v1/commands:bulk", &headers, line).await?;
    assert_eq!((bulk.status.as_u16(), bulk.header("content-encoding")), (200, ""));
    assert_eq!(bulk.body["line"], 1, "{}", bulk.body);
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_services_are_behind_one_grpc_port_with_one_health_and_one_reflection() -> anyhow::Result<()> {
    let dev = Dev::start(Options::default()).await?;
    http(&dev).create("p1").await?;
    let channel = Channel::from_shared(format!("http://{}", dev.addresses().grpc))?.connect().await?;
    let change = ChangePrice { price: Some(Money { minor_units: 7, currency: "USD".to_owned() }) };
    let request = CommandRequest {
        product_id: "p1".to_owned(),
        command: Some(Command::ChangePrice(change)),
        ..CommandRequest::default()
    };
    let changed = CommandServiceClient::new(channel.clone()).execute(request).await?.into_inner();
    assert_eq!(changed.version, 2);
    let freshness = Freshness { consistency_token: changed.consistency_token, ..Freshness::default() };
    let asked =
        GetProductRequest { product_id: "p1".to_owned(), freshness: Some(freshness), ..Default::default() };
    let read = QueryServiceClient::new(channel.clone()).get_product(asked).await?.into_inner();
    assert_eq!(read.product.and_then(|it| it.product).map(|it| it.version), Some(2));

    let mut health = HealthClient::new(channel.clone());
    for service in ["", "catalog.v1.CommandService", "catalog.v1.QueryService"] {
        // It follows readiness a quarter of a second later at most.
        testkit::eventually(
            "healthy",
            async || {
                let asked = HealthCheckRequest { service: service.to_owned() };
                health.check(asked).await.map(|answer| answer.into_inner().status()).ok()
            },
            |status| *status == Some(ServingStatus::Serving),
        )
        .await;
    }
    let question = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(tokio_stream::iter([question]))
        .await?
        .into_inner();
    let answer = answers.message().await?.and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(listed)) = answer else { anyhow::bail!("{answer:?}") };
    let names: Vec<_> = listed.service.into_iter().map(|it| it.name).collect();
    for service in ["catalog.v1.CommandService", "catalog.v1.QueryService"] {
        assert!(names.iter().any(|name| name == service), "{names:?}");
    }
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_port_tells_operators_of_every_part_by_its_name() -> anyhow::Result<()> {
    let dev = Dev::start(Options::default()).await?;
    assert_eq!(http(&dev).create("p1").await?.status, 201);
    let ops = ops(&dev);
    let ready = ops.get("/readyz").await?;
    assert_eq!(ready.status, 200, "{}", ready.body);
    for part in ["command-service", "projectors products", "projectors history", "projectors search"] {
        let dependencies = ready.body["dependencies"].as_object().into_iter().flatten();
        let of_it: Vec<_> = dependencies.filter(|(name, _)| name.starts_with(part)).collect();
        assert!(of_it.len() >= 3, "{part}: {}", ready.body);
    }
    let counted = |metrics: &str, series: &str| metrics.lines().any(|line| line.starts_with(series));
    testkit::eventually(
        "all projectors have counted the event, each under its own name",
        async || ops.get("/metrics").await.map(|it| it.body.as_str().unwrap_or_default().to_owned()).ok(),
        |metrics| {
            let metrics = metrics.as_deref().unwrap_or_default();
            ["products", "history", "search"].iter().all(|model| {
                counted(metrics, &format!(r#"folio_projector_applied_total{{model="{model}"}} 1"#))
            }) && counted(
                metrics,
                r#"folio_http_requests_total{method="POST",route="/v1/products",status="201"} 1"#,
            )
        },
    )
    .await;
    for document in ["command-service", "query-gateway"] {
        let shown = ops.get(&format!("/openapi/{document}.json")).await?;
        assert!(shown.body["paths"].is_object(), "{document}");
    }
    assert_eq!(ops.get("/docs/").await?.status, 200);
    dev.stop().await
}

async fn start_in(dir: &Path) -> anyhow::Result<Dev> {
    Dev::start(Options { data_dir: Some(dir.to_owned()), ..Options::default() }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_is_there_after_a_restart_and_goes_on() -> anyhow::Result<()> {
    let parent = tempfile::tempdir()?;
    let dir = parent.path().join("data");
    let dev = start_in(&dir).await?;
    let client = http(&dev);
    client.create("p1").await?;
    let key = [("idempotency-key", "once")];
    let changed = client.change_price("p1", 4_200, &key).await?;
    assert_eq!(changed.status, 200, "{}", changed.body);
    let refused = start_in(&dir).await.unwrap_err();
    assert!(format!("{refused:#}").contains(&format!("process {}", std::process::id())), "{refused:#}");
    dev.stop().await?;

    let dev = start_in(&dir).await?;
    let client = http(&dev);
    let again = client.change_price("p1", 4_200, &key).await?;
    assert_eq!((&again.body["replayed"], &again.body["event_id"]), (&true.into(), &changed.body["event_id"]));
    let token = changed.body["consistency_token"].as_str().unwrap_or_default();
    is_everywhere(&client, "p1", token, 4_200).await?;
    let next = client.change_price("p1", 5_000, &[]).await?;
    assert_eq!(next.body["version"], 3, "{}", next.body);
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_run_in_one_process_and_know_nothing_of_each_other() -> anyhow::Result<()> {
    let (one, two) = tokio::try_join!(Dev::start(Options::default()), Dev::start(Options::default()))?;
    assert_eq!(http(&one).create("p1").await?.status, 201);
    assert_eq!(http(&two).get("/v1/products/p1").await?.status, 404);
    assert_eq!(http(&two).create("p1").await?.status, 201);
    one.stop().await?;
    assert_eq!(http(&two).create("p2").await?.status, 201);
    two.stop().await
}
