//! The exporter of traces: OTLP over gRPC, with TLS and headers where the collector wants them.

use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithTonicConfig};

use crate::config::TelemetryConfig;

/// An exporter to `endpoint`. It connects when there is something to export.
pub(super) fn exporter(endpoint: &str, config: &TelemetryConfig) -> Result<SpanExporter, String> {
    let mut builder = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.to_owned())
        .with_metadata(headers(config)?);
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

fn headers(config: &TelemetryConfig) -> Result<MetadataMap, String> {
    let mut headers = http::HeaderMap::new();
    for (name, value) in &config.otlp_headers {
        let wrong = |what: &str| format!("telemetry.otlp_headers: {name:?} {what}");
        // A variable's name cannot hold a hyphen.
        let header =
            http::HeaderName::try_from(name.replace('_', "-")).map_err(|_| wrong("is no header's name"))?;
        let mut value = http::HeaderValue::try_from(value.expose())
            .map_err(|_| wrong("has a value that no header can have"))?;
        value.set_sensitive(true);
        headers.insert(header, value);
    }
    Ok(MetadataMap::from_headers(headers))
}
