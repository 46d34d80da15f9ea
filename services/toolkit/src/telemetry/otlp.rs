//! The exporter of traces: OTLP over gRPC, with TLS and headers where the collector wants them.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};
use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::config::{Credential, TelemetryConfig};

/// An exporter to `endpoint`. It connects when there is something to export.
pub(super) fn exporter(endpoint: &str, config: &TelemetryConfig) -> Result<SpanExporter, String> {
    let mut builder = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.to_owned())
        .with_interceptor(Headers::of(config)?);
    let tls = &config.otlp_tls;
    if endpoint.starts_with("https://") {
        let of_tls = |error: crate::tls::TlsError| format!("telemetry.otlp_tls: {error}");
        let authorities = tls.authorities_pem().map_err(of_tls)?;
        let mut client = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authorities));
        if let Some(identity) = tls.identity().map_err(of_tls)? {
            let (certificate, key) = identity.pems();
            client = client.identity(Identity::from_pem(certificate, key));
        }
        builder = builder.with_tls_config(client);
    } else if tls.is_given() {
        return Err(
            "telemetry.otlp_tls is given: begin the endpoint with https://, or leave it out".to_owned()
        );
    }
    builder.build().map_err(|error| error.to_string())
}

/// What is sent beside each export, with secrets as they are then.
#[derive(Clone)]
struct Headers(Arc<[(HeaderName, Credential)]>);

impl Headers {
    fn of(config: &TelemetryConfig) -> Result<Self, String> {
        let given = config.otlp_headers.iter().map(|(name, value)| {
            (name, Credential::of(&format!("telemetry.otlp_headers.{name}"), Some(value), None))
        });
        let files = config.otlp_header_files.iter().map(|(name, path)| {
            (name, Credential::of(&format!("telemetry.otlp_headers.{name}"), None, Some(path)))
        });
        let mut headers = Vec::new();
        for (name, value) in given.chain(files) {
            let wrong = |what: &str| format!("telemetry.otlp_headers: {name:?} {what}");
            // A variable's name cannot hold a hyphen.
            let header =
                HeaderName::try_from(name.replace('_', "-")).map_err(|_| wrong("is no header's name"))?;
            let value = value.map_err(|it| wrong(&it.problem))?;
            if let Some(value) = value {
                of_secret(&value).ok_or_else(|| wrong("has a value that no header can have"))?;
                headers.push((header, value));
            }
        }
        Ok(Self(headers.into()))
    }
}

fn of_secret(value: &Credential) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(value.current().expose()).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let mut headers = std::mem::take(request.metadata_mut()).into_headers();
        for (name, value) in self.0.iter() {
            let value =
                of_secret(value).ok_or_else(|| Status::internal(format!("no header can hold {name}")))?;
            headers.insert(name, value);
        }
        *request.metadata_mut() = MetadataMap::from_headers(headers);
        Ok(request)
    }
}
