//! How the server knows us, and we it: read once, and told to both clients of the adapter alike.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use elasticsearch::auth::{ClientCertificate, Credentials};
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::HeaderValue;
use elasticsearch::http::transport::TransportBuilder;
use reqwest_elasticsearch as reqwest;
use toolkit::config::Secret;
use toolkit::tls::TlsError;

use crate::SearchConfig;

/// What both clients are told.
pub(super) struct Login {
    /// Says who asks, if anybody is to be named. A header and no credentials of the client's, because that takes either those or
    /// a certificate.
    pub(super) header: Option<HeaderValue>,
    /// With `https` only.
    tls: Option<Tls>,
}

/// Both in PEM.
struct Tls {
    authorities: Vec<u8>,
    identity: Option<Vec<u8>>,
}

impl Login {
    pub(super) fn of(config: &SearchConfig) -> Result<Self, String> {
        let read = || {
            let identity = config.tls.identity()?.map(|identity| identity.pem());
            Ok(Tls { authorities: config.tls.authorities_pem()?, identity })
        };
        let tls = config.url.starts_with("https://").then(read).transpose();
        let tls = tls.map_err(|error: TlsError| format!("search.tls: {error}"))?;
        Ok(Self { header: header(config)?, tls })
    }

    /// The client of Elasticsearch.
    pub(super) fn transport(&self, builder: TransportBuilder) -> Result<TransportBuilder, String> {
        let Some(tls) = &self.tls else { return Ok(builder) };
        let authorities = Certificate::from_pem(&tls.authorities).map_err(|error| error.to_string())?;
        let builder = builder.cert_validation(CertificateValidation::Full(authorities));
        Ok(match &tls.identity {
            None => builder,
            Some(identity) => {
                builder.auth(Credentials::Certificate(ClientCertificate::Pem(identity.clone())))
            }
        })
    }

    /// The client of bounded answers.
    pub(super) fn client(&self, builder: reqwest::ClientBuilder) -> Result<reqwest::ClientBuilder, String> {
        let Some(tls) = &self.tls else { return Ok(builder) };
        let authorities = reqwest::Certificate::from_pem_bundle(&tls.authorities);
        let authorities = authorities.map_err(|error| error.to_string())?;
        let builder = authorities.into_iter().fold(builder, reqwest::ClientBuilder::add_root_certificate);
        Ok(match &tls.identity {
            None => builder,
            Some(identity) => {
                builder.identity(reqwest::Identity::from_pem(identity).map_err(|error| error.to_string())?)
            }
        })
    }
}

fn header(config: &SearchConfig) -> Result<Option<HeaderValue>, String> {
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
