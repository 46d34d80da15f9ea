//! P8 A server that is away is named by readiness, and work goes on when it is back.

use read_models::ReadModel;
use serde_json::Value;
use testkit::scenario::caught_up;
use testkit::servers::{PrivateKafka, servers};
use testkit::{Client, Gate, OnServers, PATIENCE, Reply, Started, System, eventually};

async fn readiness(started: &Started) -> (u16, String) {
    let reply = Client::new(&started.ops()).get("/readyz").await;
    reply.map(|it| (it.status.as_u16(), it.body.to_string())).unwrap_or_default()
}

/// Waits until `/readyz` says 503 and names the dependency, while `/livez` stays well.
pub(crate) async fn says_missing(started: &Started, dependency: &str) -> anyhow::Result<()> {
    eventually(
        &format!("{} names {dependency}", started.service.plan.name),
        async || readiness(started).await,
        |(status, body)| *status == 503 && body.contains(dependency),
    )
    .await;
    let live = Client::new(&started.ops()).get("/livez").await?;
    assert_eq!(live.status, 200, "a missing dependency is no reason to restart: {}", live.body);
    Ok(())
}

fn is_unavailable(reply: &Reply, code: &str) {
    assert_eq!((reply.status.as_u16(), reply.code()), (503, code), "{}", reply.body);
    assert_eq!(reply.body["retryable"], Value::Bool(true), "{}", reply.body);
    assert!(!reply.header("retry-after").is_empty(), "{:?}", reply.headers);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_service_starts_without_registry_and_broker_and_waits_for_them() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let registry = system.gate_registry().await?;
    registry.close();
    let broker = Gate::to(&system.config.kafka.bootstrap_servers, false).await?;
    system.planner.addresses.kafka_bootstrap = broker.address();
    let plan = system.planner.command_service(1)?;
    let service = system.start(plan)?;
    let client = Client::new(&service.url());
    says_missing(&service, "kafka").await?;
    is_unavailable(&client.create("early").await?, "not-ready");
    broker.open();
    says_missing(&service, "registry").await?;
    is_unavailable(&client.create("early").await?, "not-ready");
    registry.open();
    service.service.wait_ready(PATIENCE).await?;
    assert_eq!(client.create("early").await?.status, 201);

    // In flight, what was learnt of the registry is enough.
    registry.close();
    assert_eq!(client.change_price("early", 2_000, &[]).await?.status, 200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_answered_in_bounded_time_while_the_broker_is_away() -> anyhow::Result<()> {
    let (stack, kafka) = tokio::task::spawn_blocking(|| (servers(), PrivateKafka::start())).await?;
    let mut kafka = kafka?;
    let mut addresses = stack.addresses.clone();
    addresses.kafka_bootstrap = kafka.bootstrap();
    let mut system = OnServers::prepare_on(addresses).await?;
    let service = system.command_service_with(&[("ENGINE__DEADLINE_MS", "3000")]).await?;
    let client = Client::new(&service.url());
    assert_eq!(client.create("kept").await?.status, 201);

    tokio::task::block_in_place(|| kafka.kill())?;
    let key = [("idempotency-key", "while-away")];
    let reply = client.change_price("kept", 2_000, &key).await?;
    assert!(["outcome-unknown", "deadline-exceeded", "not-ready"].contains(&reply.code()), "{}", reply.body);
    assert_eq!(reply.body["retryable"], Value::Bool(true), "{}", reply.body);
    says_missing(&service, "kafka").await?;

    tokio::task::block_in_place(|| kafka.start_again())?;
    // The same command, asked until it is answered: accepted once, whatever became of the first.
    let accepted = eventually(
        "the command is accepted",
        async || {
            client
                .change_price("kept", 2_000, &key)
                .await
                .ok()
                .map(|it| (it.status.as_u16(), it.body["version"].clone()))
        },
        |it| it.as_ref().is_some_and(|(status, _)| *status == 200),
    )
    .await;
    assert_eq!(accepted.map(|it| it.1), Some(Value::from(2)), "one change, not two");
    service.service.wait_ready(PATIENCE).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stores_may_be_away_at_start_and_in_flight() -> anyhow::Result<()> {
    let mut system = OnServers::prepare().await?;
    let commands = Client::new(&system.command_service().await?.url());
    let cql = Gate::to(&system.planner.addresses.cql_contact_point, false).await?;
    let search =
        Gate::to(system.planner.addresses.elasticsearch_url.trim_start_matches("http://"), false).await?;
    system.planner.addresses.cql_contact_point = cql.address();
    system.planner.addresses.elasticsearch_url = format!("http://{}", search.address());
    let mut started = Vec::new();
    for read_model in ReadModel::ALL {
        let plan = system.planner.projector(*read_model, 1)?;
        started.push(system.start(plan)?);
    }
    let plan = system.planner.query_gateway(1)?;
    let gateway = system.start(plan)?;
    let queries = Client::new(&gateway.url());
    says_missing(&started[0], "cql").await?;
    says_missing(&started[2], "search").await?;
    says_missing(&gateway, "cql").await?;
    is_unavailable(&queries.get("/v1/products/kept").await?, "store-unavailable");
    is_unavailable(&queries.get("/v1/search?q=kept").await?, "store-unavailable");

    // Writing does not need them.
    let created = commands.create("kept").await?;
    assert_eq!(created.status, 201, "{}", created.body);
    let token = [("consistency-token", created.header("consistency-token")), ("prefer", "wait=25")];
    cql.open();
    search.open();
    for one in started.iter().chain([&gateway]) {
        one.service.wait_ready(PATIENCE).await?;
    }
    let prefix = system.planner.names.group_prefix.clone();
    caught_up(&system, &prefix).await?;
    assert_eq!(queries.get_with("/v1/products/kept", &token).await?.status, 200);
    assert_eq!(queries.get_with("/v1/search?q=kept", &token).await?.status, 200);

    // Search goes away: products are still read; and the other way round.
    search.close();
    says_missing(&gateway, "search").await?;
    is_unavailable(&queries.get("/v1/search?q=kept").await?, "store-unavailable");
    assert_eq!(queries.get("/v1/products/kept").await?.status, 200);
    search.open();
    cql.close();
    says_missing(&gateway, "cql").await?;
    is_unavailable(&queries.get("/v1/products/kept").await?, "store-unavailable");
    eventually(
        "search is back",
        async || queries.get("/v1/search?q=kept").await.map(|it| it.status.as_u16()).ok(),
        |it| *it == Some(200),
    )
    .await;
    assert_eq!(commands.change_price("kept", 2_000, &[]).await?.status, 200);
    cql.open();
    caught_up(&system, &prefix).await?;
    for one in started.iter().chain([&gateway]) {
        one.service.wait_ready(PATIENCE).await?;
    }
    let product = eventually(
        "the write is read",
        async || queries.get("/v1/products/kept").await.map(|it| it.body["version"].as_u64()).ok().flatten(),
        |it| *it == Some(2),
    )
    .await;
    assert_eq!(product, Some(2));
    Ok(())
}
