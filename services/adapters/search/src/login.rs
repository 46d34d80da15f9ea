//! How the server knows us, and we it: what both clients of the adapter are told alike.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use elasticsearch::auth::{ClientCertificate, Credentials};
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::HeaderValue;
use elasticsearch::http::transport::TransportBuilder;
use reqwest_elasticsearch as reqwest;
use toolkit::config::Secret;

use crate::SearchConfig;

/// The header that says who asks, if anybody is to be named. A header and no credentials of the client's, because that takes
/// either those or a certificate.
pub(super) fn header(config: &SearchConfig) -> Result<Option<HeaderValue>, String> {
    let value = match (&config.api_key, &config.username) {
        (Some(key), _) => format!("ApiKey {}", key.expose()),
        (None, Some(user)) => {
            let password = config.password.as_ref().map_or("", Secret::expose);
            format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
        }
        (None, None) => return Ok(None),
    };
    let mut value = HeaderValue::try_from(value)
        .map_err(|_| "search.api_key, username or password holds what no header can".to_owned())?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// The client of Elasticsearch, told of `search.tls`.
pub(super) fn of_transport(
    config: &SearchConfig,
    builder: TransportBuilder,
) -> Result<TransportBuilder, String> {
    let mut builder = builder;
    if !has_tls(config) {
        return Ok(builder);
    }
    let authorities = config.tls.authorities_pem().map_err(|error| format!("search.tls: {error}"))?;
    let authorities = Certificate::from_pem(&authorities).map_err(|error| error.to_string())?;
    builder = builder.cert_validation(CertificateValidation::Full(authorities));
    if let Some(identity) = config.tls.identity().map_err(|error| format!("search.tls: {error}"))? {
        builder = builder.auth(Credentials::Certificate(ClientCertificate::Pem(identity.pem())));
    }
    Ok(builder)
}

/// The client of bounded answers, told the same.
pub(super) fn of_client(
    config: &SearchConfig,
    builder: reqwest::ClientBuilder,
) -> Result<reqwest::ClientBuilder, String> {
    let mut builder = builder;
    if !has_tls(config) {
        return Ok(builder);
    }
    let authorities = config.tls.authorities_pem().map_err(|error| format!("search.tls: {error}"))?;
    for authority in reqwest::Certificate::from_pem_bundle(&authorities).map_err(|error| error.to_string())? {
        builder = builder.add_root_certificate(authority);
    }
    if let Some(identity) = config.tls.identity().map_err(|error| format!("search.tls: {error}"))? {
        let identity = reqwest::Identity::from_pem(&identity.pem()).map_err(|error| error.to_string())?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}

fn has_tls(config: &SearchConfig) -> bool {
    config.url.starts_with("https://")
}
