//! How the server knows us, and we it: read once, and told to both clients of the adapter alike; what may change of it is looked up with each request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use elasticsearch::auth::{ClientCertificate, Credentials};
use elasticsearch::cert::{Certificate, CertificateValidation};
use elasticsearch::http::headers::HeaderValue;
use elasticsearch::http::transport::TransportBuilder;
use reqwest_elasticsearch as reqwest;
use toolkit::config::{Credential, Unusable};
use toolkit::tls::TlsError;

use crate::SearchConfig;

/// What both clients are told.
pub(super) struct Login {
    /// Says who asks, if anybody is to be named.
    pub(super) who: Option<Who>,
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
        Ok(Self { who: Who::of(config)?, tls })
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

/// Says who asks. Cheap to clone.
#[derive(Clone)]
pub(super) enum Who {
    Key(Credential),
    User(String, Option<Credential>),
}

impl Who {
    fn of(config: &SearchConfig) -> Result<Option<Self>, String> {
        let wrong = |it: Unusable| format!("{}: {}", it.key, it.problem);
        let key = config.api_key().map_err(wrong)?;
        let password = config.password().map_err(wrong)?;
        let user = config.username.clone().map(|user| Self::User(user, password));
        let who = key.map(Self::Key).or(user);
        // What no header can hold is told before anything connects.
        who.as_ref().map(Self::header).transpose()?;
        Ok(who)
    }

    /// As a header, with the secret as it is now. A header and no credentials of the client's, because that takes either those or a
    /// certificate.
    pub(super) fn header(&self) -> Result<HeaderValue, String> {
        let value = match self {
            Self::Key(key) => format!("ApiKey {}", key.current().expose()),
            Self::User(user, password) => {
                let password = password.as_ref().map(Credential::current).unwrap_or_default();
                format!("Basic {}", STANDARD.encode(format!("{user}:{}", password.expose())))
            }
        };
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| "search.api_key, username or password holds what no header can".to_owned())?;
        value.set_sensitive(true);
        Ok(value)
    }
}
