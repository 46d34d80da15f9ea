//! Limits on real doors, over HTTP and over gRPC.

use std::net::{Ipv4Addr, SocketAddr};

use actix_web::HttpResponse;
use contract::proto::catalog::v1::command_service_client::CommandServiceClient;
use contract::proto::catalog::v1::command_service_server::{CommandService, CommandServiceServer};
use contract::proto::catalog::v1::{CommandRequest, CommandResponse, CommandResult};
use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_types::StatusExt;
use toolkit::lifecycle::Lifecycle;

use super::*;
use crate::auth::{Access, Auth, AuthConfig, Scope, hashed_key};
use crate::config::DoorConfig;
use crate::context::Spans;
use crate::{grpc, http};

const THINGS: http::Taken =
    http::Taken { path: "/things", methods: &["GET", "POST"], needs: Access::Needs(Scope::Read) };
/// Its answers do not end.
const STREAM: http::Taken =
    http::Taken { path: "/stream", methods: &["GET"], needs: Access::Needs(Scope::Read) };
const OPEN: http::Taken = http::Taken { path: "/open", methods: &["GET"], needs: Access::Anyone };
const CALLS: &[grpc::Call] = &[
    grpc::Call { method: "Execute", needs: Access::Needs(Scope::Read) },
    grpc::Call { method: "ExecuteBulk", needs: Access::Needs(Scope::Read) },
];

fn key(name: &str) -> String {
    format!("folio-test-key-{name:-<32}")
}

#[derive(Clone, Debug)]
struct Endless;

#[tonic::async_trait]
impl CommandService for Endless {
    type ExecuteBulkStream = futures::stream::BoxStream<'static, Result<CommandResult, Status>>;

    async fn execute(&self, _: Request<CommandRequest>) -> Result<Response<CommandResponse>, Status> {
        Ok(Response::new(CommandResponse::default()))
    }

    async fn execute_bulk(
        &self,
        _: Request<Streaming<CommandRequest>>,
    ) -> Result<Response<Self::ExecuteBulkStream>, Status> {
        let first = futures::stream::iter([Ok(CommandResult::default())]);
        Ok(Response::new(first.chain(futures::stream::pending()).boxed()))
    }
}

/// Doors for the callers `ada` and `grace`; `None`: for whoever reaches them.
struct Doors {
    http: SocketAddr,
    grpc: SocketAddr,
    telemetry: Telemetry,
    lifecycle: Lifecycle,
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.lifecycle.drained().cancel();
    }
}

async fn doors(are_checked: bool, change: impl FnOnce(&mut LimitsConfig)) -> Doors {
    let (lifecycle, telemetry) = (Lifecycle::new().without_signals(), Telemetry::detached("test").unwrap());
    let keys = std::env::temp_dir().join(format!("folio-keys-{}.yaml", uuid::Uuid::new_v4()));
    let lines = ["ada", "grace"].map(|name| {
        let (hash, scopes) = (hashed_key(&key(name)), "[\"products:read\"]");
        format!("- {{name: {name}, sha256: \"{hash}\", scopes: {scopes}}}\n")
    });
    std::fs::write(&keys, format!("keys:\n{}", lines.concat())).unwrap();
    let auth = if are_checked {
        AuthConfig { keys_file: Some(keys.clone()), ..AuthConfig::default() }
    } else {
        AuthConfig::anonymous()
    };
    let mut config = LimitsConfig::default();
    change(&mut config);
    let limits = Limits::new(&config, &telemetry);
    let auth = Auth::open(&auth, &lifecycle, &telemetry).unwrap().within(limits);
    std::fs::remove_file(keys).unwrap();
    let (config, address) = (DoorConfig::default(), SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let grace = Duration::from_secs(1);
    let door = http::Door { address, config: &config, auth: &auth, grace, handles: false };
    let (requests, of_routes) = (http::Requests::new(&telemetry, Spans::Logs), auth.clone());
    let http = http::serve(door, &lifecycle, move || {
        // It goes on, so that the server sees that its client has left.
        let endless = || async {
            let pieces = futures::stream::unfold((), async |()| {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Some((Ok::<_, std::io::Error>("piece".into()), ()))
            });
            HttpResponse::Ok().streaming(Box::pin(pieces))
        };
        http::app(&requests)
            .service(THINGS.resource(&of_routes).to(|| async { "thing" }))
            .service(STREAM.resource(&of_routes).to(endless))
            .service(OPEN.resource(&of_routes).to(|| async { "open" }))
    });
    let (bodies, spans) = (config.bodies(), Spans::Logs);
    let door = grpc::Door { address, config: &config, auth: &auth, bodies, max_streams: 64, spans };
    let services = grpc::Services::default().and(CommandServiceServer::new(Endless), CALLS);
    let grpc = grpc::serve(door, services, &lifecycle, &telemetry).await.unwrap();
    Doors { http: http.unwrap(), grpc, telemetry, lifecycle }
}

impl Doors {
    /// Sends a request, and waits until its answer is there or its connection has ended.
    async fn ask(&self, method: &str, path: &str, who: Option<&str>, headers: &str) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        let who = who.map(|name| format!("authorization: Bearer {}\r\n", key(name))).unwrap_or_default();
        let head =
            format!("{method} {path} HTTP/1.1\r\nhost: here\r\n{who}{headers}content-length: 0\r\n\r\n");
        // It may be closed at once.
        drop(stream.write_all(head.as_bytes()).await);
        let mut answer = Vec::new();
        let is_whole = |answer: &[u8]| {
            let text = String::from_utf8_lossy(answer);
            let is_empty = text.contains("content-length: 0\r\n") && text.ends_with("\r\n\r\n");
            is_empty || text.contains("piece") || ["thing", "open", "}"].iter().any(|end| text.ends_with(end))
        };
        while !is_whole(&answer) {
            let read = tokio::time::timeout(Duration::from_secs(20), stream.read_buf(&mut answer)).await;
            if read.expect("an answer, or an end").unwrap_or(0) == 0 {
                break;
            }
        }
        (stream, String::from_utf8(answer).unwrap())
    }

    async fn get(&self, path: &str, who: Option<&str>) -> (TcpStream, String) {
        self.ask("GET", path, who, "").await
    }

    async fn client(&self) -> CommandServiceClient<tonic::transport::Channel> {
        CommandServiceClient::connect(format!("http://{}", self.grpc)).await.unwrap()
    }
}

fn of<T>(name: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {}", key(name)).parse().unwrap());
    request
}

/// Waits until `state` holds.
async fn eventually(what: &str, mut state: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(30);
    while !state().await {
        assert!(Instant::now() < until, "not in 30 seconds: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_is_told_so_over_both_protocols_and_no_other_caller_notices() {
    let doors = doors(true, |it| (it.requests_per_second, it.burst) = (1, 3)).await;
    let mut client = doors.client().await;
    let mut let_in = 0;
    for _ in 0..6 {
        let_in += usize::from(doors.get("/things", Some("ada")).await.1.starts_with("HTTP/1.1 200"));
    }
    assert!((3..6).contains(&let_in), "{let_in}");
    let refused = loop {
        let (_, answer) = doors.get("/things", Some("ada")).await;
        if answer.starts_with("HTTP/1.1 429") {
            break answer;
        }
    };
    for part in [
        "retry-after: 1\r\n",
        "application/problem+json",
        "\"code\":\"too-many-requests\"",
        "\"limit\":\"rate\"",
    ] {
        assert!(refused.contains(part), "{part}: {refused}");
    }
    // What a caller has is one, whatever it comes over.
    let status = loop {
        if let Err(status) = client.execute(of("ada", CommandRequest::default())).await {
            break status;
        }
    };
    let details = status.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((status.code(), &info.reason[..]), (Code::ResourceExhausted, "TOO_MANY_REQUESTS"));
    assert_eq!((&info.metadata["limit"][..], &info.metadata["retryable"][..]), ("rate", "true"));
    assert_eq!(details.retry_info().unwrap().retry_delay, Some(Duration::from_secs(1)));
    // Nobody else hears of it, and what is for anyone is not counted.
    assert!(doors.get("/things", Some("grace")).await.1.starts_with("HTTP/1.1 200"));
    client.execute(of("grace", CommandRequest::default())).await.unwrap();
    for _ in 0..10 {
        assert!(doors.get("/open", Some("ada")).await.1.starts_with("HTTP/1.1 200"));
    }
    let told = doors.telemetry.render_metrics().unwrap();
    let counted =
        |line: &str| line.starts_with("folio_limited_total{limit=\"rate\"} ") && !line.ends_with(" 0");
    assert!(told.lines().any(counted), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_in_flight_until_its_answer_has_been_taken_or_given_up() {
    let doors = doors(true, |it| it.in_flight = 2).await;
    let mut client = doors.client().await;
    let over_http = doors.get("/stream", Some("ada")).await;
    assert!(over_http.1.contains("piece"), "{}", over_http.1);
    let requests = futures::stream::iter([CommandRequest::default()]);
    let mut over_grpc = client.execute_bulk(of("ada", requests)).await.unwrap().into_inner();
    over_grpc.message().await.unwrap().unwrap();
    let (_, refused) = doors.get("/things", Some("ada")).await;
    assert!(refused.contains("HTTP/1.1 429") && refused.contains("\"limit\":\"in-flight\""), "{refused}");
    let status = client.execute(of("ada", CommandRequest::default())).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(doors.get("/things", Some("grace")).await.1.starts_with("HTTP/1.1 200"));
    drop(over_http);
    let is_let_in = async || doors.get("/things", Some("ada")).await.1.starts_with("HTTP/1.1 200");
    eventually("a client that left gives its place back", is_let_in).await;
    let again = doors.get("/stream", Some("ada")).await;
    assert!(again.1.contains("piece"), "{}", again.1);
    assert!(!is_let_in().await);
    drop(over_grpc);
    eventually("over gRPC too", is_let_in).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nobody_is_checked_an_address_is_one_caller() {
    let doors = doors(false, |it| it.in_flight = 1).await;
    let _first = doors.get("/stream", None).await;
    let (_, refused) = doors.get("/things", Some("grace")).await;
    assert!(refused.contains("\"limit\":\"in-flight\""), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_of_one_address_beyond_its_own_are_closed_at_once_and_one_that_ends_makes_room() {
    let doors = doors(false, |it| it.connections_per_peer = 2).await;
    let (first, second) = (doors.get("/things", None).await, doors.get("/things", None).await);
    assert!(first.1.contains("thing") && second.1.contains("thing"));
    assert_eq!(doors.get("/things", None).await.1, "", "closed");
    // Each door has its own.
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = doors.client().await;
        client.execute(CommandRequest::default()).await.unwrap();
        clients.push(client);
    }
    let mut third = TcpStream::connect(doors.grpc).await.unwrap();
    let closed = tokio::time::timeout(Duration::from_secs(5), third.read(&mut [0; 64])).await.unwrap();
    assert_eq!(closed.unwrap_or(0), 0);
    drop(first);
    let is_let_in = async || doors.get("/things", None).await.1.contains("thing");
    eventually("there is room again", is_let_in).await;
    clients.pop();
    let is_let_in = async || {
        let client = CommandServiceClient::connect(format!("http://{}", doors.grpc)).await;
        let Ok(mut client) = client else { return false };
        client.execute(CommandRequest::default()).await.is_ok()
    };
    eventually("there is room again over gRPC", is_let_in).await;
    let told = doors.telemetry.render_metrics().unwrap();
    let counted =
        |line: &str| line.starts_with("folio_limited_total{limit=\"connections\"} ") && !line.ends_with(" 0");
    assert!(told.lines().any(counted), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_page_of_another_site_sends_reaches_no_handler() {
    for are_checked in [true, false] {
        let doors = doors(are_checked, |_| ()).await;
        let who = Some("ada");
        for header in
            ["origin: https://evil.example\r\n", "origin: null\r\n", "sec-fetch-site: cross-site\r\n"]
        {
            let (_, refused) = doors.ask("POST", "/things", who, header).await;
            let is_refused =
                refused.starts_with("HTTP/1.1 403") && refused.contains("\"code\":\"cross-site-request\"");
            assert!(is_refused, "{header} {refused}");
            // Not that there is somebody who has no right: nobody is asked who it is.
            assert!(!refused.contains("www-authenticate"), "{refused}");
            let (_, read) = doors.ask("GET", "/things", who, header).await;
            assert!(read.starts_with("HTTP/1.1 200") && !read.contains("access-control"), "{read}");
        }
        for header in ["", "origin: http://here\r\n", "sec-fetch-site: same-origin\r\n"] {
            let (_, answer) = doors.ask("POST", "/things", who, header).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{header} {answer}");
        }
        // A page may ask beforehand whether it may: it is told nothing that lets it.
        let ask = "origin: https://evil.example\r\naccess-control-request-method: POST\r\n";
        let (_, preflight) = doors.ask("OPTIONS", "/things", who, ask).await;
        assert!(!preflight.starts_with("HTTP/1.1 2") && !preflight.contains("access-control"), "{preflight}");
        let mut request = of("ada", CommandRequest::default());
        request.metadata_mut().insert("origin", "https://evil.example".parse().unwrap());
        let status = doors.client().await.execute(request).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    }
}
