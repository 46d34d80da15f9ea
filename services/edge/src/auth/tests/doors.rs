use std::net::Ipv4Addr;

use actix_web::{HttpMessage, HttpRequest};
use contract::proto::catalog::v1::command_service_client::CommandServiceClient;
use contract::proto::catalog::v1::command_service_server::{CommandService, CommandServiceServer};
use contract::proto::catalog::v1::{CommandRequest, CommandResponse, CommandResult};
use tokio::net::TcpStream;
use tonic::{Request, Response, Status, Streaming};
use tonic_types::StatusExt;

use super::*;
use crate::config::DoorConfig;
use crate::context::Spans;
use crate::{grpc, http};

const THINGS: http::Taken =
    http::Taken { path: "/things", methods: &["GET", "POST"], needs: Access::Needs(Scope::Read) };
const OTHERS: http::Taken = http::Taken {
    path: "/others",
    methods: &["GET"],
    needs: Access::NeedsOneOf(&[Scope::Write, Scope::Delete]),
};
const OPEN: http::Taken = http::Taken { path: "/open", methods: &["GET"], needs: Access::Anyone };

async fn caller(request: HttpRequest) -> String {
    request.extensions().get::<Principal>().map_or_else(String::new, |it| format!("[{}]", it.name()))
}

/// Doors that let in whom an issuer knows.
struct Doors {
    checked: Checked,
    login: Login,
    signer: Signer,
    http: SocketAddr,
    grpc: SocketAddr,
}

impl Doors {
    async fn open() -> Self {
        let (login, signer) = (Login::start().await, Signer::new("k1"));
        login.shows(&[&signer]);
        let checked = Checked::believing(&login);
        let config = DoorConfig::default();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let (auth, grace) = (&checked.auth, Duration::from_secs(1));
        let door = http::Door { address, config: &config, auth, grace, handles: false };
        let (auth, requests) = (checked.auth.clone(), http::Requests::new(&checked.telemetry, Spans::Logs));
        let http = http::serve(door, &checked.lifecycle, move || {
            http::app(&requests)
                .service(THINGS.resource(&auth).to(caller))
                .service(OTHERS.resource(&auth).to(caller))
                .service(OPEN.resource(&auth).to(caller))
        });
        let (bodies, spans, auth) = (config.bodies(), Spans::Logs, &checked.auth);
        let door = grpc::Door { address, config: &config, auth, bodies, max_streams: 64, spans };
        let services = grpc::Services::default().and(CommandServiceServer::new(Names), CALLS);
        let grpc = grpc::serve(door, services, &checked.lifecycle, &checked.telemetry).await.unwrap();
        let doors = Self { http: http.unwrap(), grpc, checked, login, signer };
        let token = doors.token("products:read");
        eventually("the keys are there", async || doors.checked.reads(&token).await.is_ok()).await;
        doors
    }

    fn token(&self, scopes: &str) -> String {
        self.signer.sign(&self.login.claims(scopes))
    }

    fn expired(&self) -> String {
        let mut claims = self.login.claims("products:read products:write");
        claims["exp"] = (principal::now() - 100).into();
        self.signer.sign(&claims)
    }

    /// Sends bytes as they are; all that comes back until the connection ends.
    async fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.http).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        // Reset is an end too.
        drop(tokio::time::timeout(Duration::from_secs(20), read).await.expect("it ends"));
        String::from_utf8_lossy(&answer).into_owned()
    }

    async fn get(&self, path: &str, header: &str) -> String {
        self.raw(&format!("GET {path} HTTP/1.1\r\nhost: here\r\nconnection: close\r\n{header}\r\n")).await
    }
}

fn bearer(credential: &str) -> String {
    format!("Authorization: Bearer {credential}\r\n")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_http_a_route_lets_in_whom_it_says_and_tells_the_others_why() {
    let doors = Doors::open().await;
    let thief = Signer::new("k1").sign(&doors.login.claims("products:read products:write"));
    let challenge = "www-authenticate: Bearer realm=\"folio\"";
    for (path, shown, status, told) in [
        ("/things", String::new(), 401, "\"reason\":\"no-credentials\""),
        ("/things", bearer(&thief), 401, "\"reason\":\"invalid\""),
        ("/things", bearer("no-token"), 401, "\"reason\":\"invalid\""),
        ("/things", bearer(&doors.expired()), 401, "\"reason\":\"expired\""),
        ("/things", bearer(&doors.token("products:write")), 403, "\"missing_scope\":\"products:read\""),
        ("/things", bearer(&doors.token("products:read")), 200, "[ada]"),
        (
            "/others",
            bearer(&doors.token("products:read")),
            403,
            "\"missing_scope\":\"products:write products:delete\"",
        ),
        ("/others", bearer(&doors.token("products:delete")), 200, "[ada]"),
        ("/open", String::new(), 200, "[anonymous]"),
        ("/open", bearer("no-token"), 200, "[anonymous]"),
    ] {
        let answer = doors.get(path, &shown).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(told),
            "{path} {told}: {answer}"
        );
        assert_eq!(answer.contains(challenge), status == 401 || status == 403, "{answer}");
        if status >= 400 {
            assert!(
                answer.contains("application/problem+json") && answer.contains("\"request_id\""),
                "{answer}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_lends_another_who_it_is() {
    let doors = Doors::open().await;
    let good = bearer(&doors.token("products:read"));
    let (with, without) = (
        format!("GET /things HTTP/1.1\r\nhost: here\r\n{good}\r\n"),
        "GET /things HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n".to_owned(),
    );
    // On one connection, one after the other and at once.
    let answers = doors.raw(&format!("{with}{without}")).await;
    let statuses: Vec<&str> =
        answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["200", "401"], "{answers}");

    // A body that one half of the world takes for a request of its own: lengths that contradict each other, in every order.
    let inner = format!("GET /things HTTP/1.1\r\nhost: here\r\n{good}\r\n");
    for lengths in [
        format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", inner.len() + 5),
        format!("transfer-encoding: chunked\r\ncontent-length: {}\r\n", inner.len() + 5),
        format!("content-length: 0\r\ncontent-length: {}\r\n", inner.len()),
        "transfer-encoding: chunked, identity\r\n".to_owned(),
        "transfer-encoding: xchunked\r\n".to_owned(),
        "transfer-encoding : chunked\r\n".to_owned(),
    ] {
        let request = format!("POST /things HTTP/1.1\r\nhost: here\r\n{lengths}\r\n0\r\n\r\n{inner}");
        let answers =
            doors.raw(&request.replace("host: here\r\n", "host: here\r\nconnection: close\r\n")).await;
        let outer = answers.split("HTTP/1.1 ").nth(1).unwrap_or_default();
        assert!(!outer.starts_with("200"), "the outer request has no token: {lengths} {answers}");
    }

    // The field written so that another reader of it might find another value.
    let token = doors.token("products:read");
    for (header, status) in [
        (format!("{good}{good}"), "401"),
        (format!("Authorization: Bearer wrong\r\n{good}"), "401"),
        (format!("{good}Authorization: \r\n"), "401"),
        (format!("Authorization : Bearer {token}\r\n"), "400"),
        (format!("X-Other: 1\r\n Authorization: Bearer {token}\r\n"), "400"),
        (format!("X-Authorization: Bearer {token}\r\n"), "401"),
        (format!("Proxy-Authorization: Bearer {token}\r\n"), "401"),
        (format!("Authorization_: Bearer {token}\r\n"), "401"),
        (format!("Cookie: authorization=Bearer {token}\r\n"), "401"),
        (
            "X-Folio-Principal: ada\r\nX-Forwarded-User: ada\r\nX-Forwarded-Client-Cert: ada\r\n".to_owned(),
            "401",
        ),
    ] {
        let answer = doors.get("/things", &header).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{header}: {answer}");
    }
    let in_the_path = doors.get(&format!("/things?access_token={token}"), "").await;
    assert!(in_the_path.starts_with("HTTP/1.1 401"), "{in_the_path}");
    // HTTP/2 without TLS is not spoken there at all: nothing to smuggle through a change of protocols.
    let upgrade = format!(
        "{good}Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    );
    let answer = doors.raw(&format!("GET /things HTTP/1.0\r\nhost: here\r\n{upgrade}\r\n")).await;
    assert!(!answer.contains(" 101 "), "{answer}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_not_waited_for_before_its_sender_is_known() {
    let doors = Doors::open().await;
    let head = "POST /things HTTP/1.1\r\nhost: here\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n";
    let answer = tokio::time::timeout(Duration::from_secs(5), async {
        let mut stream = TcpStream::connect(doors.http).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"}") {
            assert!(stream.read_buf(&mut answer).await.unwrap() > 0);
        }
        String::from_utf8(answer).unwrap()
    });
    assert!(answer.await.unwrap().starts_with("HTTP/1.1 401"));
}

const CALLS: &[grpc::Call] = &[
    grpc::Call { method: "Execute", needs: Access::Needs(Scope::Write) },
    grpc::Call { method: "ExecuteBulk", needs: Access::Needs(Scope::Bulk) },
];

/// Answers with the caller's name.
#[derive(Clone, Debug)]
struct Names;

#[tonic::async_trait]
impl CommandService for Names {
    type ExecuteBulkStream = futures::stream::Empty<Result<CommandResult, Status>>;

    async fn execute(&self, request: Request<CommandRequest>) -> Result<Response<CommandResponse>, Status> {
        let event_id = request.extensions().get::<Principal>().unwrap().name().to_owned();
        Ok(Response::new(CommandResponse { event_id, ..CommandResponse::default() }))
    }

    async fn execute_bulk(
        &self,
        _: Request<Streaming<CommandRequest>>,
    ) -> Result<Response<Self::ExecuteBulkStream>, Status> {
        Ok(Response::new(futures::stream::empty()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_grpc_each_call_on_a_connection_shows_who_it_is_of() {
    let doors = Doors::open().await;
    let channel = tonic::transport::Channel::from_shared(format!("http://{}", doors.grpc)).unwrap();
    let client = CommandServiceClient::new(channel.connect().await.unwrap());
    let with = |fields: &[(&'static str, String)]| {
        let mut request = Request::new(CommandRequest::default());
        for (name, value) in fields {
            request.metadata_mut().append(*name, value.parse().unwrap());
        }
        request
    };
    let shown = |credential: &str| ("authorization", format!("Bearer {credential}"));
    let good = shown(&doors.token("products:write"));
    let thief = Signer::new("k1").sign(&doors.login.claims("products:write"));
    for (fields, code, reason) in [
        (vec![good.clone()], tonic::Code::Ok, "ada"),
        (vec![], tonic::Code::Unauthenticated, "no-credentials"),
        (vec![shown(&thief)], tonic::Code::Unauthenticated, "invalid"),
        (vec![shown(&doors.expired())], tonic::Code::Unauthenticated, "expired"),
        (vec![good.clone(), good.clone()], tonic::Code::Unauthenticated, "invalid"),
        (vec![("x-authorization", good.1.clone())], tonic::Code::Unauthenticated, "no-credentials"),
        (vec![shown(&doors.token("products:read"))], tonic::Code::PermissionDenied, "products:write"),
        (vec![good], tonic::Code::Ok, "ada"),
    ] {
        match client.clone().execute(with(&fields)).await {
            Ok(answer) => assert_eq!((code, reason), (tonic::Code::Ok, &answer.get_ref().event_id[..])),
            Err(status) => {
                let info = status.get_details_error_info().unwrap();
                let member =
                    info.metadata.get("reason").or_else(|| info.metadata.get("missing_scope")).unwrap();
                assert_eq!((status.code(), &member[..]), (code, reason), "{status:?}");
                assert!(info.metadata.contains_key("request_id"), "{info:?}");
            }
        }
    }
    let stream = |credential: &str| {
        let mut request = Request::new(futures::stream::pending::<CommandRequest>());
        request.metadata_mut().insert("authorization", format!("Bearer {credential}").parse().unwrap());
        request
    };
    let refused = client.clone().execute_bulk(stream(&doors.token("products:write"))).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::PermissionDenied, "before anything of the stream has come");
    client.clone().execute_bulk(stream(&doors.token("products:bulk"))).await.unwrap();
}
