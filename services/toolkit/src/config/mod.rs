//! Configuration: defaults, then the YAML file, then `FOLIO__SECTION__KEY` variables, then command line settings.
//!
//! Promises: an unknown key is an error, every error names the key, where its value came from and what to do about
//! it, all errors of one load are told at once, and a secret is never printed, nor taken from the command line, which everybody
//! on the machine can read.

mod credential;
mod error;
mod file;
mod secret;
mod sections;
mod source;
#[cfg(test)]
mod tests;

use std::path::Path;

use figment::Figment;
use figment::providers::{Format, Yaml};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use credential::{Credential, EVERY};
pub use error::{ConfigError, EXIT_CODE, Unusable, exit_code};
pub use file::text_of_file;
pub use secret::{REDACTED, Secret, is_secret};
pub use sections::{ListenConfig, LogFormat, ShutdownConfig, TelemetryConfig};
pub use source::{ENV_PREFIX, address, list, optional, optional_address, optional_path, properties};

use source::Settings;

/// Loads the configuration of `service`: `T`'s serde defaults, `file` (YAML), the environment, `overrides`.
///
/// `overrides` are `(dotted key, value)` pairs of the command line, such as `("kafka.bootstrap_servers", "k:9092")`.
/// Give `T` `#[serde(default, deny_unknown_fields)]`, or misspelt keys pass unseen.
pub fn load<T: DeserializeOwned>(
    service: &str,
    file: Option<&Path>,
    overrides: &[(String, String)],
) -> Result<T, ConfigError> {
    load_from(service, file, std::env::vars_os(), overrides)
}

fn load_from<T: DeserializeOwned>(
    service: &str,
    file: Option<&Path>,
    env: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    overrides: &[(String, String)],
) -> Result<T, ConfigError> {
    if let Some(file) = file {
        // figment passes over a file that is not there; a file that somebody named must be read.
        std::fs::metadata(file).map_err(|error| ConfigError::file(service, file, &error))?;
    }
    if let Some((key, _)) = overrides.iter().find(|(key, _)| is_secret(key)) {
        let problem = "the command line is shown in the list of processes: no secret may stand there";
        let remedy = format!("name a file with {key}_file, or give it in the file or as a variable");
        return Err(ConfigError::invalid(service, key, problem, remedy));
    }
    let figment = sources(file, env, overrides);
    figment.extract_lossy().map_err(|error| ConfigError::of_figment(service, &figment, error))
}

/// Whether `key` was given by `file`, the environment or the command line, rather than left to its default.
pub fn is_given(file: Option<&Path>, overrides: &[(String, String)], key: &str) -> bool {
    sources(file, std::env::vars_os(), overrides).contains(key)
}

fn sources(
    file: Option<&Path>,
    env: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    overrides: &[(String, String)],
) -> Figment {
    let figment = file.map_or_else(Figment::new, |file| Figment::new().merge(Yaml::file_exact(file)));
    figment.merge(Settings::environment(env)).merge(Settings::command_line(overrides))
}

/// Reads `KEY=VALUE`, as the command lines take settings.
///
/// # Errors
/// If there is no `=`.
pub fn setting(text: &str) -> Result<(String, String), String> {
    let (key, value) =
        text.split_once('=').ok_or("write KEY=VALUE, as in kafka.bootstrap_servers=localhost:9092")?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Finds the first of these keys whose value is less than it must be at least: `(key, value, least)`.
pub fn at_least<'k>(
    service: &str,
    keys: impl IntoIterator<Item = (&'k str, u64, u64)>,
) -> Result<(), ConfigError> {
    match keys.into_iter().find(|(_, value, least)| value < least) {
        None => Ok(()),
        Some((key, value, least)) => {
            let (problem, remedy) = (format!("it is {value}"), format!("give at least {least}"));
            Err(ConfigError::invalid(service, key, problem, remedy))
        }
    }
}

/// Finds the first section that cannot serve: what each says of itself.
pub fn usable(
    service: &str,
    sections: impl IntoIterator<Item = Result<(), Unusable>>,
) -> Result<(), ConfigError> {
    sections.into_iter().collect::<Result<(), _>>().map_err(|unusable| unusable.of(service))
}

/// What `--print-config` prints: the loaded configuration as YAML, secrets redacted.
pub fn print<T: Serialize>(config: &T) -> Result<String, serde_yaml_ng::Error> {
    serde_yaml_ng::to_string(config)
}
