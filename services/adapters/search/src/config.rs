//! The section of a service's configuration that says how to reach Elasticsearch or `OpenSearch`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toolkit::config::{Credential, Secret, Unusable, address, optional, optional_path};
use toolkit::tls::TlsConfig;

/// How to reach Elasticsearch or `OpenSearch`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    #[serde(deserialize_with = "address")]
    pub url: String,
    /// What the name of every index begins with.
    pub index_prefix: String,
    #[serde(deserialize_with = "optional")]
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// A file that holds the password instead, and may be replaced at any time.
    #[serde(deserialize_with = "optional_path")]
    pub password_file: Option<PathBuf>,
    pub api_key: Option<Secret>,
    /// A file that holds the API key instead, and may be replaced at any time.
    #[serde(deserialize_with = "optional_path")]
    pub api_key_file: Option<PathBuf>,
    /// How it is known at an `https://` URL, and what it is shown. The authorities count beside those that browsers know.
    pub tls: TlsConfig,
    /// How long one request may take, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for SearchConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:9200".to_owned(),
            index_prefix: "folio".to_owned(),
            username: None,
            password: None,
            password_file: None,
            api_key: None,
            api_key_file: None,
            tls: TlsConfig::default(),
            timeout_ms: 10_000,
        }
    }
}

impl SearchConfig {
    /// Finds what parses and yet cannot serve, or contradicts itself.
    pub fn check(&self) -> Result<(), Unusable> {
        self.password()?;
        self.api_key()?;
        self.tls.check_url("search", &self.url)
    }

    /// The password, as it is whenever it is asked for.
    pub(crate) fn password(&self) -> Result<Option<Credential>, Unusable> {
        Credential::of("search.password", self.password.as_ref(), self.password_file.as_deref())
    }

    /// The API key, as it is whenever it is asked for.
    pub(crate) fn api_key(&self) -> Result<Option<Credential>, Unusable> {
        Credential::of("search.api_key", self.api_key.as_ref(), self.api_key_file.as_deref())
    }
}
