//! P24 Every door speaks TLS if it is told to, lets in only whom it should, and takes a new certificate without a restart.
//!
//! The doors with TLS: HTTP, gRPC and the operators' port, with and without certificates of clients, and while
//! their own certificate is replaced.
//!
//! Needs no server: the doors are those of every service.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use cli::system::binaries;
use contract::proto::catalog::v1::GetProductRequest;
use contract::proto::catalog::v1::query_service_client::QueryServiceClient;
use folio_dev::{Dev, Options, Settings};
use testkit::authority::{Authority, Signed};
use testkit::{Client, PATIENCE, eventually};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::transport::{Certificate as GrpcAuthority, Channel, ClientTlsConfig, Identity};
use toolkit::tls::{ServerTlsConfig, TlsConfig, explained};

pub(super) const HERE: [&str; 2] = ["localhost", "127.0.0.1"];

/// All of Folio with these certificates.
async fn started(doors: ServerTlsConfig, ops: ServerTlsConfig) -> anyhow::Result<Dev> {
    let mut settings = Settings::default();
    settings.http.tls = doors;
    settings.ops_tls = ops;
    Box::pin(Dev::start(Options { settings, ..Options::default() })).await
}

pub(super) fn port(server: &Signed, clients: Option<&Authority>) -> ServerTlsConfig {
    ServerTlsConfig {
        certificate_file: Some(server.certificate.clone()),
        key_file: Some(server.key.clone()),
        client_ca_file: clients.map(|it| it.file.clone()),
    }
}

/// A client of HTTP that believes `ca` and shows `signed`.
pub(super) fn http(address: SocketAddr, ca: &Authority, signed: Option<&Signed>) -> anyhow::Result<Client> {
    let tls = TlsConfig {
        ca_file: Some(ca.file.clone()),
        certificate_file: signed.map(|it| it.certificate.clone()),
        key_file: signed.map(|it| it.key.clone()),
    };
    // Without a pool: each request has to come to terms anew.
    let client = reqwest::Client::builder()
        .timeout(PATIENCE)
        .pool_max_idle_per_host(0)
        .tls_backend_preconfigured(tls.client(None)?);
    Ok(Client::with(client.build()?, &format!("https://{address}")))
}

pub(super) async fn grpc(
    address: SocketAddr,
    ca: &Authority,
    signed: Option<&Signed>,
) -> anyhow::Result<Channel> {
    let mut tls = ClientTlsConfig::new()
        .domain_name("localhost")
        .ca_certificate(GrpcAuthority::from_pem(std::fs::read(&ca.file)?));
    if let Some(signed) = signed {
        tls = tls
            .identity(Identity::from_pem(std::fs::read(&signed.certificate)?, std::fs::read(&signed.key)?));
    }
    Ok(Channel::from_shared(format!("https://{address}"))?.tls_config(tls)?.connect().await?)
}

/// Why there was no answer, as people are told.
fn told(error: &dyn std::error::Error) -> String {
    explained(toolkit::causes(error))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_door_serves_those_who_believe_its_authority_and_no_plain_text() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = Authority::new(dir.path(), "ca")?;
    let server = ca.signs("server", &HERE)?;
    let dev = started(port(&server, None), port(&server, None)).await?;
    let addresses = dev.addresses();
    let client = http(addresses.http, &ca, None)?;
    let created = client.create("p1").await?;
    assert_eq!(created.status, 201, "{}", created.body);
    assert_eq!(http(addresses.ops, &ca, None)?.get("/readyz").await?.status, 200);

    let mut queries = QueryServiceClient::new(grpc(addresses.grpc, &ca, None).await?);
    let asked = GetProductRequest { product_id: "nobody".to_owned(), ..GetProductRequest::default() };
    assert_eq!(queries.get_product(asked).await.unwrap_err().code(), tonic::Code::NotFound);

    // Another client's library, which would rather speak HTTP/2: its streams have no bounds here.
    let address = format!("https://localhost:{}/v1/products/p1", addresses.http.port());
    let ca_file = ca.file.display().to_string();
    let curl =
        ["-sS", "--cacert", &ca_file, "-o", "/dev/null", "-w", "%{http_code} %{http_version}", &address];
    let out = tokio::task::spawn_blocking({
        let curl = curl.map(str::to_owned);
        move || Command::new("curl").args(curl).output()
    });
    let out = out.await??;
    let said = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(
        said.starts_with("200 ") || said.starts_with("404 "),
        "{said}{}",
        String::from_utf8_lossy(&out.stderr)
    );

    // `folio probe`, as `helm test` runs it.
    let url = format!("https://127.0.0.1:{}", addresses.http.port());
    let probe = |ca_file: Option<String>| {
        let mut command = Command::new(binaries()?.join("folio"));
        command.args(["probe", "--commands", &url, "--queries", &url]);
        command.args(ca_file.map(|file| ["--ca-file".to_owned(), file]).into_iter().flatten());
        anyhow::Ok(tokio::task::spawn_blocking(move || command.output()))
    };
    let out = probe(Some(ca_file))?.await??;
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let mut plain = Command::new(binaries()?.join("folio"));
    plain
        .args(["probe", "--commands", "http://127.0.0.1:1", "--queries", "http://127.0.0.1:1", "--ca-file"])
        .arg(&ca.file);
    let out = tokio::task::spawn_blocking(move || plain.output()).await??;
    let why = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && why.contains("begins with https://"), "{why}");
    let out = probe(None)?.await??;
    assert!(!out.status.success(), "a stranger's authority is not believed");

    let stranger = Authority::new(dir.path(), "stranger")?;
    let error = http(addresses.http, &stranger, None)?.get("/v1/products/p1").await.unwrap_err();
    assert!(told(&error).contains("no authority in ca_file signed"), "{}", told(&error));
    for address in [addresses.http, addresses.grpc, addresses.ops] {
        let mut plain = TcpStream::connect(address).await?;
        plain.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await?;
        let mut answer = Vec::new();
        // Closed or reset, and nothing was served.
        let _outcome = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer)).await?;
        assert!(!String::from_utf8_lossy(&answer).contains("HTTP/1.1 200"), "{address} speaks plain text");
    }
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_authorities_of_clients_only_those_are_let_in_whom_they_signed() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (ca, clients) = (Authority::new(dir.path(), "ca")?, Authority::new(dir.path(), "clients")?);
    let server = ca.signs("server", &HERE)?;
    let dev = started(port(&server, Some(&clients)), port(&server, None)).await?;
    let addresses = dev.addresses();
    let shop = clients.signs("shop", &["shop"])?;
    assert_eq!(http(addresses.http, &ca, Some(&shop))?.create("p1").await?.status, 201);
    let asked = GetProductRequest { product_id: "nobody".to_owned(), ..GetProductRequest::default() };
    let mut queries = QueryServiceClient::new(grpc(addresses.grpc, &ca, Some(&shop)).await?);
    assert_eq!(queries.get_product(asked.clone()).await.unwrap_err().code(), tonic::Code::NotFound);

    let expired = clients.signs_expired("late", &["late"])?;
    for (shown, advice) in [
        (None, "give certificate_file and key_file"),
        (Some(ca.signs("foreign", &["foreign"])?), "does not accept our certificate"),
        (Some(expired), "because it has expired"),
    ] {
        // Whoever is refused may hear of it while it still sends: then the connection is all that is told.
        let client = http(addresses.http, &ca, shown.as_ref())?;
        let refused = async || {
            client.get("/v1/products/p1").await.map_or_else(|error| told(&error), |it| it.status.to_string())
        };
        eventually("why it is not let in", refused, |it| it.contains(advice)).await;
        let channel = grpc(addresses.grpc, &ca, shown.as_ref()).await;
        let refused = match channel {
            Err(_) => true,
            // TLS 1.3 tells a client after its first bytes.
            Ok(channel) => QueryServiceClient::new(channel)
                .get_product(asked.clone())
                .await
                .is_err_and(|status| status.code() != tonic::Code::NotFound),
        };
        assert!(refused, "gRPC lets in {shown:?}");
    }
    // An authority that is replaced: whom it signed is not let in again, though it was a moment ago.
    let (again, over_grpc) = (http(addresses.http, &ca, Some(&shop))?, addresses.grpc);
    assert_eq!(again.get("/v1/products/nobody").await?.status, 404);
    let others = Authority::new(dir.path(), "others")?;
    std::fs::write(&clients.file, std::fs::read(&others.file)?)?;
    let refused = async || again.get("/v1/products/nobody").await.is_err();
    eventually("the old authority's clients are turned away", refused, |refused| *refused).await;
    let channel = grpc(over_grpc, &ca, Some(&shop)).await;
    let turned_away = match channel {
        Err(_) => true,
        Ok(channel) => {
            let answer = QueryServiceClient::new(channel).get_product(asked.clone()).await;
            answer.is_err_and(|status| status.code() != tonic::Code::NotFound)
        }
    };
    assert!(turned_away, "gRPC lets in whom the old authority signed");
    let new = others.signs("new", &["new"])?;
    assert_eq!(http(addresses.http, &ca, Some(&new))?.get("/v1/products/nobody").await?.status, 404);
    // Probes of Kubernetes have no certificate.
    assert_eq!(http(addresses.ops, &ca, None)?.get("/livez").await?.status, 200);
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_is_replaced_is_served_without_a_restart_and_fails_nobody() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let (ca, next) = (Authority::new(dir.path(), "ca")?, Authority::new(dir.path(), "next")?);
    let server = ca.signs("server", &HERE)?;
    let dev = started(port(&server, None), ServerTlsConfig::default()).await?;
    let addresses = dev.addresses();
    let old = http(addresses.http, &ca, None)?;
    let new = http(addresses.http, &next, None)?;
    assert_eq!(old.create("p1").await?.status, 201);
    let kept = grpc(addresses.grpc, &ca, None).await?;

    // While only one of the two files is new, the old pair is served.
    let before = std::fs::read(&server.certificate)?;
    next.signs("server", &HERE)?;
    let replaced = std::fs::read(&server.certificate)?;
    std::fs::write(&server.certificate, before)?;
    tokio::time::sleep(Duration::from_secs(6)).await;
    assert_eq!(old.get("/v1/products/p1").await?.status, 200, "the old pair stays in use");
    std::fs::write(&server.certificate, replaced)?;
    let renewed = eventually(
        "the new certificate is served",
        async || new.get("/v1/products/p1").await.ok().map(|it| it.status.as_u16()),
        |status| *status == Some(200),
    );
    renewed.await;
    assert!(old.get("/v1/products/p1").await.is_err(), "the old one is not served any more");
    let asked = GetProductRequest { product_id: "nobody".to_owned(), ..GetProductRequest::default() };
    let status = QueryServiceClient::new(kept).get_product(asked).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound, "a connection that is open stays so");
    dev.stop().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_never_come_to_terms_hold_nobody_up_and_are_closed() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = Authority::new(dir.path(), "ca")?;
    let server = ca.signs("server", &HERE)?;
    let dev = started(port(&server, None), ServerTlsConfig::default()).await?;
    let addresses = dev.addresses();
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(addresses.http).await?);
        silent.push(TcpStream::connect(addresses.grpc).await?);
    }
    let began = Instant::now();
    let _channel = grpc(addresses.grpc, &ca, None).await.context("beside 300 silent clients")?;
    assert_eq!(http(addresses.http, &ca, None)?.create("p1").await?.status, 201);
    assert!(began.elapsed() < Duration::from_secs(30), "held up for {:?}", began.elapsed());
    for mut stream in silent {
        let mut byte = [0];
        let ended = tokio::time::timeout(PATIENCE, stream.read(&mut byte)).await?;
        assert!(matches!(ended, Ok(0) | Err(_)), "closed");
    }
    dev.stop().await
}

#[tokio::test]
async fn files_that_cannot_serve_are_told_before_a_door_opens() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let ca = Authority::new(dir.path(), "ca")?;
    let server = ca.signs("server", &HERE)?;
    let half = ServerTlsConfig { key_file: None, ..port(&server, None) };
    let error = started(half, ServerTlsConfig::default()).await.unwrap_err().to_string();
    assert!(error.contains("http.tls") && error.contains("key_file"), "{error}");
    let away = ServerTlsConfig { certificate_file: Some(dir.path().join("away")), ..port(&server, None) };
    let error = started(ServerTlsConfig::default(), away).await.unwrap_err().to_string();
    assert!(error.contains("ops_tls") && error.contains("away"), "{error}");
    Ok(())
}
