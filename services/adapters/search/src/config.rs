//! The section of a service's configuration that says how to reach Elasticsearch or `OpenSearch`.

use serde::{Deserialize, Serialize};
use toolkit::config::{Secret, Unusable, optional};
use toolkit::tls::TlsConfig;

/// How to reach Elasticsearch or `OpenSearch`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SearchConfig {
    pub url: String,
    /// What the name of every index begins with.
    pub index_prefix: String,
    #[serde(deserialize_with = "optional")]
    pub username: Option<String>,
    pub password: Option<Secret>,
    pub api_key: Option<Secret>,
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
            api_key: None,
            tls: TlsConfig::default(),
            timeout_ms: 10_000,
        }
    }
}

impl SearchConfig {
    /// Finds what parses and yet cannot serve, or contradicts itself.
    pub fn check(&self) -> Result<(), Unusable> {
        self.tls.check_url("search", &self.url)
    }
}
