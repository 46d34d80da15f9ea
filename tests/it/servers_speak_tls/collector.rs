//! Traces go to a collector that speaks TLS, and wants a certificate and a header.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use cli::system::binaries;
use local_servers::free_port;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use testkit::authority::Authority;
use testkit::{Client, eventually};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use super::HERE;

/// Takes spans from those who know the word, and keeps their names.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<String>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        if request.metadata().get("x-team").is_none_or(|word| word != "catalog") {
            return Err(Status::unauthenticated("who are you?"));
        }
        let spans = request.into_inner().resource_spans.into_iter().flat_map(|it| it.scope_spans);
        let names = spans.flat_map(|it| it.spans).map(|span| span.name);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(names);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traces_go_over_tls_with_a_certificate_and_headers() -> anyhow::Result<()> {
    // tonic's server does not choose one, and more than one is linked in. It fails only if there is one.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let dir = tempfile::tempdir()?;
    let ca = Authority::new(dir.path(), "ca")?;
    let (server, folio) = (ca.signs("collector", &HERE)?, ca.signs("folio", &["folio"])?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let identity = Identity::from_pem(std::fs::read(&server.certificate)?, std::fs::read(&server.key)?);
    let tls = ServerTlsConfig::new()
        .identity(identity)
        .client_ca_root(Certificate::from_pem(std::fs::read(&ca.file)?));
    let collector = Collector::default();
    let serving = Server::builder().tls_config(tls)?.add_service(TraceServiceServer::new(collector.clone()));
    tokio::spawn(serving.serve_with_incoming(TcpListenerStream::new(listener)));

    let http = free_port()?;
    let mut folio = Command::new(binaries()?.join("folio"))
        .args(["dev", "--no-seed", "--grpc-port", "0", "--ops-port", "0", "--port", &http.to_string()])
        .env("FOLIO__TELEMETRY__OTLP_ENDPOINT", format!("https://localhost:{port}"))
        .env("FOLIO__TELEMETRY__OTLP_TLS__CA_FILE", &ca.file)
        .env("FOLIO__TELEMETRY__OTLP_TLS__CERTIFICATE_FILE", &folio.certificate)
        .env("FOLIO__TELEMETRY__OTLP_TLS__KEY_FILE", &folio.key)
        .env("FOLIO__TELEMETRY__OTLP_HEADERS__X_TEAM", "catalog")
        .env("OTEL_BSP_SCHEDULE_DELAY", "200")
        .stdout(Stdio::null())
        .spawn()?;
    let client = Client::new(&format!("http://127.0.0.1:{http}"));
    let heard = async || {
        let _answer = client.get("/v1/products/nobody").await;
        collector.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    };
    eventually("the collector has spans", heard, |spans| *spans > 0).await;
    folio.kill()?;
    folio.wait()?;
    Ok(())
}
