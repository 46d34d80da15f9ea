//! The whole gateway in process while no store is there: it starts, says what is missing, answers in bounded time, ends.

mod generations;
pub(crate) mod made;
mod parked;
mod parts;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use contract::proto::catalog::v1;
use contract::proto::catalog::v1::query_service_client::QueryServiceClient;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;

use super::*;

/// An address of loopback where nobody listens.
async fn nobody() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn without_stores() -> Application {
    let free = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = Config::default();
    (config.listen.http, config.listen.grpc, config.listen.ops) = (free, free, free);
    config.cql.contact_points = vec![nobody().await.to_string()];
    config.search.url = format!("http://{}", nobody().await);
    config.telemetry.level = "off".to_owned();
    config.auth.allow_anonymous = true;
    Application::build(config).await.unwrap()
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let answer = reqwest::get(format!("http://{address}{path}")).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_stores_the_gateway_lives_names_them_answers_in_time_and_ends() {
    let gateway = without_stores().await;
    let Addresses { http, grpc, ops } = gateway.addresses;
    let stop = CancellationToken::new();
    let running = tokio::spawn(gateway.process.run_until_stopped(stop.clone()));

    assert_eq!(get(ops, "/livez").await.0, 200);
    let (status, ready) = get(ops, "/readyz").await;
    assert_eq!(status, 503);
    assert!(ready.contains("\"cql\"") && ready.contains("\"search\""), "{ready}");

    let started = Instant::now();
    for (path, store) in [("/v1/products/p-1", "cql"), ("/v1/search?q=a", "search")] {
        let (status, body) = get(http, path).await;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!((status, body["store"].as_str()), (503, Some(store)), "{body}");
    }
    assert!(started.elapsed() < Duration::from_secs(5));

    let channel = Endpoint::from_shared(format!("http://{grpc}")).unwrap().connect().await.unwrap();
    let mut health = HealthClient::new(channel.clone());
    let asked = HealthCheckRequest { service: "catalog.v1.QueryService".to_owned() };
    let answer = health.check(asked).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::NotServing);
    let mut queries = QueryServiceClient::new(channel);
    let asked = v1::GetProductRequest { product_id: "p-1".to_owned(), ..Default::default() };
    let status = queries.get_product(asked).await.unwrap_err();
    let info = status.get_details_error_info().unwrap();
    assert_eq!((status.code(), info.reason.as_str()), (tonic::Code::Unavailable, "STORE_UNAVAILABLE"));
    assert!(!info.metadata["request_id"].is_empty());

    let (_, metrics) = get(ops, "/metrics").await;
    for counted in [
        r#"folio_http_requests_total{method="GET",route="/v1/products/{product_id}",status="503"} 1"#,
        r#"folio_queries_total{outcome="store-unavailable",query="product"} 2"#,
        r#"folio_grpc_requests_total{code="Unavailable",method="GetProduct"} 1"#,
    ] {
        assert!(metrics.contains(counted), "{counted} is not in\n{metrics}");
    }

    stop.cancel();
    tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().unwrap().unwrap();
}
