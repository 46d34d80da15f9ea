//! The section `privacy`: whether and with what names are sealed. Off by default.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use toolkit::config::{Secret, Unusable, optional_path, text_of_file};

use crate::ring::KeyRing;

/// The most bytes of a file of master keys.
const MAX_FILE: u64 = 1024 * 1024;

/// How those are called who did something.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PrivacyConfig {
    /// Whether the names of persons are sealed with a key of each person.
    pub enabled: bool,
    /// The file of master keys. Followed: replace it whole.
    #[serde(deserialize_with = "optional_path")]
    pub keys_file: Option<PathBuf>,
    /// Its text, in the place of a file.
    pub keys: Option<Secret>,
    /// How long a name, or that it was erased, is believed without another look, in milliseconds: so soon an erasure is everywhere.
    pub cache_ms: u64,
    /// How many persons are remembered.
    pub cache_persons: usize,
    /// While the store of keys is away, persons that were seen within this time may go on giving commands, in milliseconds.
    pub outage_ms: u64,
    /// How long the store of keys may take, in milliseconds.
    pub timeout_ms: u64,
}

impl Default for PrivacyConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            keys_file: None,
            keys: None,
            cache_ms: 60_000,
            cache_persons: 10_000,
            outage_ms: 3_600_000,
            timeout_ms: 2_000,
        }
    }
}

impl PrivacyConfig {
    /// Finds what parses and yet cannot serve, or contradicts itself.
    ///
    /// # Errors
    /// That, with its key.
    pub fn check(&self) -> Result<(), Unusable> {
        let least = [
            ("privacy.cache_ms", self.cache_ms, 100),
            ("privacy.cache_persons", self.cache_persons as u64, 2),
            ("privacy.outage_ms", self.outage_ms, self.cache_ms),
            ("privacy.timeout_ms", self.timeout_ms, 1),
        ];
        if let Some((key, value, least)) = least.into_iter().find(|(_, value, least)| value < least) {
            return Err(Unusable::new(key, format!("it is {value}"), format!("give at least {least}")));
        }
        match (&self.keys_file, &self.keys) {
            (Some(_), Some(_)) => {
                Err(Unusable::new("privacy.keys", "privacy.keys_file is given too", "give one of them"))
            }
            (None, None) if self.enabled => {
                let problem = "privacy.enabled is true, and there are no master keys";
                Err(Unusable::new(
                    "privacy.keys_file",
                    problem,
                    "name the file of master keys: docs/erasure.md",
                ))
            }
            _ => Ok(()),
        }
    }

    /// The master keys.
    ///
    /// # Errors
    /// If they cannot be read or used.
    pub fn ring(&self) -> Result<KeyRing, String> {
        let (text, from) = match (&self.keys, &self.keys_file) {
            (Some(keys), _) => (Secret::from(keys.expose()), "privacy.keys".to_owned()),
            (None, Some(path)) => (Secret::from(&*text_of_file(path, MAX_FILE)?), path.display().to_string()),
            (None, None) => return Err("neither privacy.keys_file nor privacy.keys is given".to_owned()),
        };
        KeyRing::parse(text.expose())
            .map_err(|error| format!("the master keys of {from} cannot be used: {error}"))
    }

    pub(crate) fn cache(&self) -> Duration {
        Duration::from_millis(self.cache_ms)
    }

    pub(crate) fn outage(&self) -> Duration {
        Duration::from_millis(self.outage_ms)
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }
}
