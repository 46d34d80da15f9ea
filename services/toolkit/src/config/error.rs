//! Errors of the configuration: which key, from where, what is wrong, what to do.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use figment::error::{Actual, Kind};
use figment::{Figment, Metadata, Source};

use super::secret::is_secret;
use super::source::{COMMAND_LINE, ENV_PREFIX, ENVIRONMENT};

/// The exit code of a process whose configuration is wrong (`EX_USAGE` of sysexits): restarting does not help.
pub const EXIT_CODE: u8 = 64;

/// All that is wrong with a configuration.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    service: String,
    faults: Vec<Fault>,
}

#[derive(Debug)]
struct Fault {
    key: String,
    source: Option<String>,
    problem: String,
    remedy: String,
}

/// A value that parses and yet cannot serve, as a section finds it that does not know whose configuration it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The dotted key.
    pub key: String,
    pub problem: String,
    pub remedy: String,
}

impl Unusable {
    pub fn new(key: impl Into<String>, problem: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { key: key.into(), problem: problem.to_string(), remedy: remedy.to_string() }
    }

    /// The error of the service that was configured so.
    pub(super) fn of(self, service: &str) -> ConfigError {
        ConfigError::invalid(service, &self.key, self.problem, self.remedy)
    }
}

impl ConfigError {
    /// A value that parses and yet cannot serve, found by the service itself.
    pub fn invalid(service: &str, key: &str, problem: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { service: service.to_owned(), faults: vec![Fault::new(key, None, problem, remedy)] }
    }

    pub(super) fn file(service: &str, file: &Path, error: &std::io::Error) -> Self {
        let remedy = "give the path of a readable YAML file, or leave it out";
        Self {
            service: service.to_owned(),
            faults: vec![Fault::new("--config", Some(file.display().to_string()), error, remedy)],
        }
    }

    pub(super) fn of_figment(service: &str, figment: &Figment, error: figment::Error) -> Self {
        let faults = error.into_iter().map(|error| Fault::of_figment(figment, &error)).collect();
        Self { service: service.to_owned(), faults }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot configure {}", self.service)?;
        for fault in &self.faults {
            write!(f, "\n  {}", fault.key)?;
            if let Some(source) = &fault.source {
                write!(f, " (from {source})")?;
            }
            write!(f, ": {}; {}", fault.problem, fault.remedy)?;
        }
        Ok(())
    }
}

impl Fault {
    fn new(key: &str, source: Option<String>, problem: impl fmt::Display, remedy: impl fmt::Display) -> Self {
        Self { key: key.to_owned(), source, problem: problem.to_string(), remedy: remedy.to_string() }
    }

    fn of_figment(figment: &Figment, error: &figment::Error) -> Self {
        let mut path = error.path.clone();
        if let Kind::UnknownField(name, _) = &error.kind
            && path.last() != Some(name)
        {
            path.push(name.clone());
        }
        let key = if path.is_empty() { "(whole file)".to_owned() } else { path.join(".") };
        let metadata = error.metadata.clone().or_else(|| figment.find_metadata(&path.join(".")).cloned());
        let source = metadata.map(|metadata| describe(&metadata, &path));
        let (problem, remedy) = match &error.kind {
            Kind::UnknownField(_, known) => {
                ("there is no such key".to_owned(), format!("use one of {}, or remove it", known.join(", ")))
            }
            Kind::UnknownVariant(actual, known) => {
                (format!("`{actual}` is not a choice"), format!("use one of {}", known.join(", ")))
            }
            Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
                (format!("found {}", shown(actual, &key, expected)), format!("give {expected}"))
            }
            Kind::MissingField(name) => (
                format!("`{name}` is missing"),
                format!("set it in the file or as {}", variable(&[path, vec![name.to_string()]].concat())),
            ),
            _ => (error.kind.to_string(), "correct its value".to_owned()),
        };
        Self { key, source, problem, remedy }
    }
}

/// What was found, unless it may be a secret: that of a key which says so, or what stands where a whole section belongs, which may have
/// one.
fn shown(actual: &Actual, key: &str, expected: &str) -> String {
    let is_section = ["struct", "map", "sequence"].iter().any(|word| expected.contains(word));
    if is_section || is_secret(key) { "something else".to_owned() } else { actual.to_string() }
}

fn describe(metadata: &Metadata, path: &[String]) -> String {
    match (&*metadata.name, &metadata.source) {
        (ENVIRONMENT, _) => format!("the variable {}", variable(path)),
        (COMMAND_LINE, _) => "the command line".to_owned(),
        (_, Some(Source::File(file))) => format!("the file {}", file.display()),
        (name, _) => name.to_owned(),
    }
}

fn variable(path: &[String]) -> String {
    format!("{ENV_PREFIX}{}", path.join("__").to_uppercase())
}

/// The exit code of a process that ends with `error`: [`EXIT_CODE`] if its configuration is at fault, else 1.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let configuration = error.chain().any(<dyn std::error::Error>::is::<ConfigError>);
    ExitCode::from(if configuration { EXIT_CODE } else { 1 })
}
