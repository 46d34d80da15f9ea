//! The section of a service's configuration that says how to reach the schema registry.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toolkit::config::{Credential, Secret, Unusable, address, optional, optional_path};
use toolkit::tls::TlsConfig;

/// How to reach the schema registry.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistryConfig {
    /// Where the Confluent API begins: `http://host:8081`, for Apicurio `http://host:8080/apis/ccompat/v7`.
    #[serde(deserialize_with = "address")]
    pub url: String,
    #[serde(deserialize_with = "optional")]
    pub username: Option<String>,
    pub password: Option<Secret>,
    /// A file that holds the password instead, and may be replaced at any time.
    #[serde(deserialize_with = "optional_path")]
    pub password_file: Option<PathBuf>,
    /// How it is known at an `https://` URL, and what it is shown.
    pub tls: TlsConfig,
    /// How long one call may take, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for RegistryConfig {
    fn default() -> Self {
        Self {
            url: "http://localhost:8081".to_owned(),
            username: None,
            password: None,
            password_file: None,
            tls: TlsConfig::default(),
            timeout_ms: 5_000,
        }
    }
}

impl RegistryConfig {
    /// Finds what parses and yet cannot serve, or contradicts itself.
    pub fn check(&self) -> Result<(), Unusable> {
        self.credential()?;
        self.tls.check_url("registry", &self.url)
    }

    /// The password, as it is whenever it is asked for.
    pub(crate) fn credential(&self) -> Result<Option<Credential>, Unusable> {
        Credential::of("registry.password", self.password.as_ref(), self.password_file.as_deref())
    }
}
