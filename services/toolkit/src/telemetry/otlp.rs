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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_sent_as_they_are_then_and_are_not_shown() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        std::fs::write(&path, "hunter2\n").unwrap();
        let config = TelemetryConfig {
            otlp_headers: [("x_team".to_owned(), "catalog".into())].into(),
            otlp_header_files: [("api-key".to_owned(), path)].into(),
            ..TelemetryConfig::default()
        };
        let request = Headers::of(&config).unwrap().call(Request::new(())).unwrap();
        let header = |name: &str| request.metadata().get(name).unwrap().to_str().unwrap();
        assert_eq!((header("x-team"), header("api-key")), ("catalog", "hunter2"));
        let shown = format!("{:?}", request.metadata());
        assert!(!shown.contains("hunter2") && !shown.contains("catalog"), "{shown}");
        let wrong = TelemetryConfig { otlp_headers: [("x".to_owned(), "hunter2\n".into())].into(), ..config };
        let problem = Headers::of(&wrong).err().unwrap();
        assert!(!problem.contains("hunter2"), "{problem}");
    }
}
