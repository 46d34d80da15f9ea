//! How a client signs in and what it believes: `kafka.security_protocol`, `kafka.sasl` and `kafka.tls`, as librdkafka takes them.

use std::path::PathBuf;

use rdkafka::config::ClientConfig;
use serde::{Deserialize, Serialize};
use toolkit::config::{Secret, Unusable, optional, optional_path};

use crate::config::KafkaConfig;

/// Kafka's names of what a listener speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityProtocol {
    #[default]
    #[serde(alias = "PLAINTEXT")]
    Plaintext,
    #[serde(alias = "SSL")]
    Ssl,
    #[serde(alias = "SASL_PLAINTEXT")]
    SaslPlaintext,
    #[serde(alias = "SASL_SSL")]
    SaslSsl,
}

impl SecurityProtocol {
    fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    fn has_tls(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    fn has_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

/// Kafka's names of the ways to sign in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mechanism {
    #[serde(rename = "PLAIN")]
    Plain,
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    #[serde(rename = "OAUTHBEARER")]
    OauthBearer,
}

impl Mechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }
}

/// Who a client is. Used with the protocols `sasl_plaintext` and `sasl_ssl`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SaslConfig {
    pub mechanism: Option<Mechanism>,
    /// Of PLAIN and SCRAM.
    #[serde(deserialize_with = "optional")]
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// Of OAUTHBEARER: a file that holds a token (JWT), such as Kubernetes mounts and renews; it is read whenever a token is
    /// needed.
    #[serde(deserialize_with = "optional_path")]
    pub token_file: Option<PathBuf>,
    /// Of OAUTHBEARER, if there is no file: where a token is given for `client_id` and `client_secret` (OAuth's client
    /// credentials).
    #[serde(deserialize_with = "optional")]
    pub token_url: Option<String>,
    #[serde(deserialize_with = "optional")]
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    #[serde(deserialize_with = "optional")]
    pub scope: Option<String>,
}

impl SaslConfig {
    fn is_given(&self) -> bool {
        let secrets = self.password.is_some() || self.client_secret.is_some();
        let names = [&self.username, &self.token_url, &self.client_id, &self.scope];
        self.mechanism.is_some()
            || secrets
            || self.token_file.is_some()
            || names.iter().any(|it| it.is_some())
    }

    fn check(&self) -> Result<(), Unusable> {
        let missing = |key: &str, what: &str| {
            Err(Unusable::new(format!("kafka.sasl.{key}"), "it is missing", format!("give {what}")))
        };
        match self.mechanism {
            None => missing("mechanism", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"),
            Some(Mechanism::OauthBearer) if self.token_file.is_some() => Ok(()),
            Some(Mechanism::OauthBearer) => match (&self.token_url, &self.client_id, &self.client_secret) {
                (None, _, _) => missing("token_file", "a file with a token, or kafka.sasl.token_url"),
                (_, None, _) => missing("client_id", "the id under which tokens are given"),
                (_, _, None) => missing("client_secret", "the secret for which tokens are given"),
                _ => Ok(()),
            },
            Some(_) if self.username.is_none() => missing("username", "the user's name"),
            Some(_) if self.password.is_none() => missing("password", "the user's password"),
            Some(_) => Ok(()),
        }
    }
}

/// Finds what parses and yet cannot serve, or contradicts itself.
pub(crate) fn check(config: &KafkaConfig) -> Result<(), Unusable> {
    let protocol = config.security_protocol;
    // Whoever sets it there knows librdkafka's own names.
    let by_property = config.properties.contains_key("security.protocol");
    let contradiction = |key: &str, with: &str| {
        let problem = format!("it is given, and kafka.security_protocol is {}", protocol.name());
        Err(Unusable::new(key, problem, format!("set kafka.security_protocol to {with}, or leave it out")))
    };
    if by_property && protocol != SecurityProtocol::Plaintext {
        return Err(Unusable::new(
            "kafka.properties.security.protocol",
            "kafka.security_protocol says it too",
            "give one of them",
        ));
    }
    if config.tls.is_given() && !protocol.has_tls() {
        return contradiction("kafka.tls", "ssl or sasl_ssl");
    }
    if config.sasl.is_given() && !protocol.has_sasl() {
        return contradiction("kafka.sasl", "sasl_ssl (or sasl_plaintext)");
    }
    if protocol.has_sasl() {
        config.sasl.check()?;
    }
    config.tls.check("kafka.tls")
}

/// Puts it into a client's settings.
pub(crate) fn apply(config: &KafkaConfig, client: &mut ClientConfig) {
    let protocol = config.security_protocol;
    if protocol == SecurityProtocol::Plaintext {
        return;
    }
    client.set("security.protocol", protocol.name());
    if protocol.has_tls() {
        // librdkafka reads these files itself.
        let files = [
            ("ssl.ca.location", &config.tls.ca_file),
            ("ssl.certificate.location", &config.tls.certificate_file),
            ("ssl.key.location", &config.tls.key_file),
        ];
        for (name, file) in files {
            if let Some(file) = file {
                client.set(name, file.to_string_lossy());
            }
        }
        if config.tls.ca_file.is_none() {
            // Where systems keep their authorities: a librdkafka with an OpenSSL of its own does not know.
            client.set("ssl.ca.location", "probe");
        }
        client.set("ssl.endpoint.identification.algorithm", "https");
    }
    let sasl = &config.sasl;
    if let Some(mechanism) = sasl.mechanism.filter(|_| protocol.has_sasl()) {
        client.set("sasl.mechanism", mechanism.name());
        if mechanism != Mechanism::OauthBearer {
            client.set("sasl.username", sasl.username.as_deref().unwrap_or_default());
            client.set("sasl.password", sasl.password.as_ref().map_or("", Secret::expose));
        }
    }
}
