//! What can be wrong with files and names of TLS, and what to do.

use std::path::{Path, PathBuf};

use crate::config::Unusable;

/// TLS cannot be had as it is configured: trying again does not help.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("cannot read the {what} {}: {problem}", path.display())]
    File { path: PathBuf, what: &'static str, problem: std::io::Error },
    #[error("{} is no {what} in PEM: {problem}", path.display())]
    Content { path: PathBuf, what: &'static str, problem: String },
    #[error("{given} is given without {missing}: give both, or neither")]
    Half { given: &'static str, missing: &'static str },
    #[error("the key in {} does not belong to the certificate in {}: {problem}", key.display(), certificate.display())]
    Mismatch { certificate: PathBuf, key: PathBuf, problem: String },
    #[error(
        "this system's certificate authorities cannot be read ({problem}): name a file with those to believe as ca_file"
    )]
    NoAuthorities { problem: String },
    #[error("`{name}` is no name that a certificate can have: give a host name or an address")]
    ServerName { name: String },
    #[error("TLS cannot be used{}: {problem}", path.as_deref().map(|it| format!(" with {}", it.display())).unwrap_or_default())]
    Unusable { path: Option<PathBuf>, problem: String },
}

impl TlsError {
    /// As an error of the configuration.
    pub fn of_section(&self, section: &str) -> Unusable {
        let remedy = match self {
            Self::File { .. } => "give the path of a file that this process may read, or leave it out",
            Self::Content { .. } => "give a file that begins with `-----BEGIN`",
            Self::Half { .. } => "a certificate is of no use without its key",
            Self::Mismatch { .. } => "give the two that were made together",
            Self::NoAuthorities { .. } => "in a container, mount a file of authorities",
            Self::ServerName { .. } | Self::Unusable { .. } => "see docs/operating.md",
        };
        Unusable::new(section, self, remedy)
    }

    pub(super) fn unusable(path: Option<&Path>, problem: &impl ToString) -> Self {
        Self::Unusable { path: path.map(Path::to_owned), problem: problem.to_string() }
    }
}
