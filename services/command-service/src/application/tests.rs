use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use contract::proto::catalog::v1::CommandRequest;
use contract::proto::catalog::v1::command_service_client::CommandServiceClient;
use edge::auth::AuthConfig;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use toolkit::config::{ListenConfig, ShutdownConfig};
use toolkit::lifecycle::Lifecycle;

use super::{Addresses, Application};
use crate::config::Config;
use crate::testing::{SimBackend, create, diamond, eventually_async};

/// A service that runs, over the network, on the simulated log.
struct Running {
    addresses: Addresses,
    stop: CancellationToken,
    ended: JoinHandle<anyhow::Result<()>>,
    client: reqwest::Client,
}

fn config() -> Config {
    let any = "127.0.0.1:0".parse().unwrap();
    Config {
        auth: AuthConfig::anonymous(),
        listen: ListenConfig { http: any, grpc: any, ops: any, ..ListenConfig::default() },
        shutdown: ShutdownConfig { drain_delay_ms: 0, grace_ms: 10_000 },
        ..Config::default()
    }
}

impl Running {
    async fn start(backend: &Arc<SimBackend>) -> Self {
        let lifecycle = Lifecycle::with_timing(config().shutdown).without_signals();
        let application = Application::build_on(config(), Arc::clone(backend), lifecycle).await.unwrap();
        let addresses = application.addresses;
        let stop = CancellationToken::new();
        let ended = tokio::spawn(application.process.run_until_stopped(stop.clone()));
        Self { addresses, stop, ended, client: reqwest::Client::new() }
    }

    async fn ops(&self, path: &str) -> Option<(u16, String)> {
        let answer = self.client.get(format!("http://{}{path}", self.addresses.ops)).send().await.ok()?;
        Some((answer.status().as_u16(), answer.text().await.ok()?))
    }

    /// Waits until `/readyz` says `status` and, with it, `text`.
    async fn until(&self, status: u16, text: &str) {
        for _ in 0..3_000 {
            if self.ops("/readyz").await.is_some_and(|(found, body)| found == status && body.contains(text)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("/readyz never said {status} with {text:?}: {:?}", self.ops("/readyz").await);
    }

    fn put(&self, id: &str) -> reqwest::RequestBuilder {
        let url = format!("http://{}/v1/products/{id}", self.addresses.http);
        self.client.put(url).header("content-type", "application/json").body(diamond().to_string())
    }

    async fn end(self) {
        self.stop.cancel();
        self.ended.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn both_doors_lead_to_the_same_log() {
    let backend = Arc::new(SimBackend::new(2));
    let service = Running::start(&backend).await;
    service.until(200, "\"ready\":true").await;
    let answer = service.put("p1").send().await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.headers()["etag"].to_str().unwrap()), (201, "\"1\""));
    let mut client =
        CommandServiceClient::connect(format!("http://{}", service.addresses.grpc)).await.unwrap();
    let status = client.execute(CommandRequest::from(&create("p1"))).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::AlreadyExists);
    let stream = futures::stream::iter((0..300).map(|n| CommandRequest::from(&create(&format!("g{n}")))));
    let mut results = client.execute_bulk(stream).await.unwrap().into_inner();
    let mut count = 0;
    while let Some(result) = results.message().await.unwrap() {
        assert_eq!(result.index, count);
        count += 1;
    }
    assert_eq!(count, 300);
    let channel =
        tonic::transport::Endpoint::from_shared(format!("http://{}", service.addresses.grpc)).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    eventually_async("health follows readiness", async || {
        let request = HealthCheckRequest { service: "catalog.v1.CommandService".to_owned() };
        let answer = health.check(request).await.unwrap().into_inner();
        answer.status() == ServingStatus::Serving
    })
    .await;
    let (_, metrics) = service.ops("/metrics").await.unwrap();
    assert!(metrics.contains("folio_http_requests_total") && metrics.contains("folio_grpc_requests_total"));
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_answered_while_it_is_sent() {
    let backend = Arc::new(SimBackend::new(2));
    let service = Running::start(&backend).await;
    service.until(200, "\"ready\":true").await;
    let (lines, body) = tokio::sync::mpsc::channel::<Result<String, std::io::Error>>(4);
    let line = |n: usize| contract::json::bulk_line(&create(&format!("p{n}"))) + "\n";
    lines.send(Ok(line(0))).await.unwrap();
    let answer = service
        .client
        .post(format!("http://{}/v1/commands:bulk", service.addresses.http))
        .header("content-type", "application/x-ndjson")
        .body(reqwest::Body::wrap_stream(tokio_stream::wrappers::ReceiverStream::new(body)))
        .send()
        .await
        .unwrap();
    let mut answers = answer.bytes_stream();
    for n in 0..20 {
        let text = futures::StreamExt::next(&mut answers).await.unwrap().unwrap();
        let told: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((&told["line"], &told["status"]), (&(n + 1).into(), &201.into()));
        // The next line is sent only after this one was answered.
        lines.send(Ok(line(n + 1))).await.unwrap();
    }
    // Told to stop with the upload open: what was taken is answered, the rest given back, and the service ends.
    service.stop.cancel();
    let mut rest = String::new();
    while let Some(text) = futures::StreamExt::next(&mut answers).await {
        rest.push_str(std::str::from_utf8(&text.unwrap()).unwrap());
    }
    let told: Vec<Value> = rest.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // The last line may have been on its way.
    let (given_back, taken) = told.split_last().unwrap();
    assert!(taken.iter().all(|answer| answer["status"] == 201), "{rest}");
    assert_eq!(given_back["problem"]["code"], "not-ready", "{rest}");
    service.ended.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_without_its_dependencies_and_says_which_is_missing() {
    let backend = Arc::new(SimBackend::new(2));
    backend.away.store(true, Ordering::Relaxed);
    backend.registry.away.store(true, Ordering::Relaxed);
    let service = Running::start(&backend).await;
    service.until(503, "no broker answers").await;
    service.until(503, "the registry is away").await;
    assert_eq!(service.ops("/livez").await.unwrap().0, 200);
    let answer = service.put("p1").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 503);
    assert!(answer.text().await.unwrap().contains("not-ready"));
    backend.away.store(false, Ordering::Relaxed);
    backend.registry.away.store(false, Ordering::Relaxed);
    service.until(200, "\"ready\":true").await;
    assert_eq!(service.put("p1").send().await.unwrap().status().as_u16(), 201);
    service.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_differs_ends_the_process() {
    let backend = Arc::new(SimBackend { differs: true, ..SimBackend::new(1) });
    let service = Running::start(&backend).await;
    let error = service.ended.await.unwrap().unwrap_err();
    assert!(format!("{error:#}").contains("the topic differs"), "{error:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_it_answers_what_it_has_taken() {
    let backend = Arc::new(SimBackend::new(2));
    let service = Running::start(&backend).await;
    service.until(200, "\"ready\":true").await;
    backend.live.stand_still(true);
    let waiting: Vec<_> = (0..20)
        .map(|n| {
            let request = service.put(&format!("p{n}"));
            tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
        })
        .collect();
    eventually_async("the commands wait in the engine", async || {
        let (_, metrics) = service.ops("/metrics").await.unwrap();
        metrics.lines().any(|line| line.starts_with("folio_commands_waiting") && line.ends_with(" 20"))
    })
    .await;
    service.stop.cancel();
    service.until(503, "\"shutting_down\":true").await;
    backend.live.stand_still(false);
    for answer in waiting {
        assert_eq!(answer.await.unwrap(), 201);
    }
    service.ended.await.unwrap().unwrap();
}
