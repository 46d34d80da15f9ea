//! A value that is used and never shown.
//!
//! Promise: neither `Debug` nor what is printed of a configuration says more of it than that it is there.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What is shown in the place of a secret.
pub const REDACTED: &str = "***";

/// What names of secrets hold, also those of librdkafka, whose dots are `_` here.
const NAMES: [&str; 9] = [
    "passw",
    "secret",
    "api_key",
    "master_key",
    "credential",
    "token",
    "pem",
    "otlp_headers",
    "sasl_oauthbearer_config",
];

/// Whether what a key of a configuration holds is to be kept, by the key's name. A file's name and an address are not.
pub fn is_secret(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    let is_place = ["file", "url", "location"].iter().any(|end| last.ends_with(end));
    let key = key.replace('.', "_");
    !is_place && NAMES.iter().any(|name| key.contains(name))
}

/// A password or key: wiped on drop, shown as [`REDACTED`] in `Debug` and when printed.
#[derive(Clone, Default)]
pub struct Secret(SecretString);

impl Secret {
    /// The value itself, for the client that needs it.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<&str> for Secret {
    fn from(value: &str) -> Self {
        Self(SecretString::from(value))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(REDACTED)
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::source::scalar(deserializer).map(|text| Self(SecretString::from(text)))
    }
}
