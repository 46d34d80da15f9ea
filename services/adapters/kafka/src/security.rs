//! How a client signs in and what it believes: `kafka.security_protocol`, `kafka.sasl` and `kafka.tls`, as librdkafka takes them.

use std::path::PathBuf;

use rdkafka::config::ClientConfig;
use reqwest::Url;
use serde::{Deserialize, Serialize};
use toolkit::config::{Credential, Secret, Unusable, optional, optional_path};

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
    /// A file that holds the password instead. Each client reads it when it is made, and keeps what it read as long as it lives.
    #[serde(deserialize_with = "optional_path")]
    pub password_file: Option<PathBuf>,
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
    /// A file that holds the secret instead, and may be replaced at any time: the next token is asked for with it.
    #[serde(deserialize_with = "optional_path")]
    pub client_secret_file: Option<PathBuf>,
    #[serde(deserialize_with = "optional")]
    pub scope: Option<String>,
}

impl SaslConfig {
    fn is_given(&self) -> bool {
        let secrets = self.has_password() || self.has_client_secret();
        let names = [&self.username, &self.token_url, &self.client_id, &self.scope];
        self.mechanism.is_some()
            || secrets
            || self.token_file.is_some()
            || names.iter().any(|it| it.is_some())
    }

    fn has_password(&self) -> bool {
        self.password.is_some() || self.password_file.is_some()
    }

    fn has_client_secret(&self) -> bool {
        self.client_secret.is_some() || self.client_secret_file.is_some()
    }

    /// The password, as it is whenever it is asked for.
    pub(crate) fn password(&self) -> Result<Option<Credential>, Unusable> {
        Credential::of("kafka.sasl.password", self.password.as_ref(), self.password_file.as_deref())
    }

    /// The client's secret, as it is whenever it is asked for.
    pub(crate) fn client_secret(&self) -> Result<Option<Credential>, Unusable> {
        let (value, file) = (self.client_secret.as_ref(), self.client_secret_file.as_deref());
        Credential::of("kafka.sasl.client_secret", value, file)
    }

    fn check(&self) -> Result<(), Unusable> {
        self.password()?;
        self.client_secret()?;
        let missing = |key: &str, what: &str| {
            Err(Unusable::new(format!("kafka.sasl.{key}"), "it is missing", format!("give {what}")))
        };
        let contradiction = |key: &str, problem: &str| {
            Err(Unusable::new(format!("kafka.sasl.{key}"), problem, "give one of them"))
        };
        match self.mechanism {
            None => missing("mechanism", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"),
            Some(Mechanism::OauthBearer) if self.username.is_some() || self.has_password() => {
                contradiction("username", "OAUTHBEARER signs in with a token")
            }
            Some(Mechanism::OauthBearer) if self.token_file.is_some() && self.token_url.is_some() => {
                contradiction("token_url", "kafka.sasl.token_file says where the token is")
            }
            Some(Mechanism::OauthBearer) if self.token_file.is_some() => Ok(()),
            Some(Mechanism::OauthBearer) => {
                match (&self.token_url, &self.client_id, self.has_client_secret()) {
                    (None, _, _) => missing("token_file", "a file with a token, or kafka.sasl.token_url"),
                    (_, None, _) => missing("client_id", "the id under which tokens are given"),
                    (_, _, false) => missing("client_secret", "the secret for which tokens are given"),
                    (Some(url), ..) => check_token_url(url),
                }
            }
            Some(_) if self.token_file.is_some() || self.token_url.is_some() => {
                contradiction("mechanism", "a token is given, which only OAUTHBEARER takes")
            }
            Some(_) if self.username.is_none() => missing("username", "the user's name"),
            Some(_) if !self.has_password() => missing("password", "the user's password"),
            Some(_) => Ok(()),
        }
    }
}

/// A secret is sent there, and the address is shown in logs.
fn check_token_url(url: &str) -> Result<(), Unusable> {
    let unusable = |problem: &str, remedy: &str| Unusable::new("kafka.sasl.token_url", problem, remedy);
    let Ok(url) = Url::parse(url) else {
        return Err(unusable("it is no URL", "write it like https://host/token"));
    };
    let is_here = matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
    if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
        return Err(unusable("a secret would go there in plain text", "begin it with https://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(unusable("it holds a name or a password", "give kafka.sasl.client_id and client_secret"));
    }
    Ok(())
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
    let said_here =
        |name: &&String| name.starts_with("ssl.") || name.starts_with("sasl.") || name.contains(".ssl.");
    if protocol != SecurityProtocol::Plaintext
        && let Some(name) = config.properties.keys().find(said_here)
    {
        let problem = format!(
            "kafka.security_protocol is {}, and kafka.tls and kafka.sasl say the rest",
            protocol.name()
        );
        let remedy = "leave it out, or give everything about it in kafka.properties, security.protocol too";
        return Err(Unusable::new(format!("kafka.properties.{name}"), problem, remedy));
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
    if protocol.has_tls() {
        // librdkafka says nothing if it finds none of the system's.
        config.tls.authorities_pem().map_err(|error| error.of_section("kafka.tls"))?;
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
            // It was looked at when the configuration was checked. Should it be away now, the brokers say that it is wrong.
            let password = sasl.password().ok().flatten().map(|it| it.current()).unwrap_or_default();
            client.set("sasl.password", password.expose());
        }
    }
}

#[cfg(test)]
mod tests {
    use toolkit::tls::TlsConfig;

    use super::*;

    fn key(config: &KafkaConfig) -> String {
        check(config).err().map(|it| it.key).unwrap_or_default()
    }

    #[test]
    fn what_contradicts_itself_or_is_missing_is_named() {
        let user = SaslConfig {
            mechanism: Some(Mechanism::ScramSha512),
            username: Some("folio".to_owned()),
            password: Some("secret".into()),
            ..SaslConfig::default()
        };
        let sasl = |sasl: SaslConfig| KafkaConfig {
            security_protocol: SecurityProtocol::SaslPlaintext,
            sasl,
            ..KafkaConfig::default()
        };
        assert_eq!(key(&KafkaConfig::default()), "");
        assert_eq!(key(&sasl(user.clone())), "");
        assert_eq!(key(&KafkaConfig { sasl: user.clone(), ..KafkaConfig::default() }), "kafka.sasl");
        let tls = TlsConfig { ca_file: Some("ca".into()), ..TlsConfig::default() };
        assert_eq!(key(&KafkaConfig { tls, ..sasl(user.clone()) }), "kafka.tls");
        assert_eq!(key(&sasl(SaslConfig::default())), "kafka.sasl.mechanism");
        assert_eq!(key(&sasl(SaslConfig { password: None, ..user.clone() })), "kafka.sasl.password");
        assert_eq!(key(&sasl(SaslConfig { username: None, ..user.clone() })), "kafka.sasl.username");
        let file = SaslConfig { token_file: Some("token".into()), ..user.clone() };
        assert_eq!(key(&sasl(file.clone())), "kafka.sasl.mechanism");
        let token = |url: &str| SaslConfig {
            mechanism: Some(Mechanism::OauthBearer),
            token_url: Some(url.to_owned()),
            client_id: Some("folio".to_owned()),
            client_secret: Some("secret".into()),
            ..SaslConfig::default()
        };
        assert_eq!(key(&sasl(token("https://id.example/token"))), "");
        assert_eq!(key(&sasl(token("http://127.0.0.1:1/token"))), "");
        for url in ["http://id.example/token", "https://a:b@id.example/token", "token"] {
            assert_eq!(key(&sasl(token(url))), "kafka.sasl.token_url", "{url}");
        }
        let both = SaslConfig { token_file: Some("token".into()), ..token("https://id.example/token") };
        assert_eq!(key(&sasl(both)), "kafka.sasl.token_url");
        assert_eq!(
            key(&sasl(SaslConfig { client_id: None, ..token("https://id.example") })),
            "kafka.sasl.client_id"
        );
        let properties = [("sasl.mechanism".to_owned(), "PLAIN".to_owned())].into();
        assert_eq!(key(&KafkaConfig { properties, ..sasl(user) }), "kafka.properties.sasl.mechanism");
    }
}
