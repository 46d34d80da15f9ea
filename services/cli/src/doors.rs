//! Clients of Folio's doors, as the command line describes them.
//!
//! Promise: what a file holds that is secret is shown to the doors and to nobody else, no log included.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, ClientBuilder};
use toolkit::tls::TlsConfig;

/// How doors with TLS are known, and what they are shown.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct DoorTls {
    /// A PEM file of the authorities that signed the doors' certificates, for addresses with https. None: the system's.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// A PEM file of the certificate to show the doors.
    #[arg(long, value_name = "FILE", requires = "key_file")]
    pub certificate_file: Option<PathBuf>,
    /// A PEM file of its key.
    #[arg(long, value_name = "FILE", requires = "certificate_file")]
    pub key_file: Option<PathBuf>,
    /// A file with the token or API key to show the doors.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}

impl DoorTls {
    /// The client that `builder` makes for doors at `urls`, which knows them so.
    ///
    /// # Errors
    /// If a file cannot serve, or none of the doors speaks TLS: which one, and why.
    pub fn client<'u>(
        &self,
        builder: ClientBuilder,
        urls: impl IntoIterator<Item = &'u str>,
    ) -> anyhow::Result<Client> {
        let builder = match &self.token_file {
            None => builder,
            Some(path) => builder.default_headers(shown(path)?),
        };
        let tls = TlsConfig {
            ca_file: self.ca_file.clone(),
            certificate_file: self.certificate_file.clone(),
            key_file: self.key_file.clone(),
        };
        if !tls.is_given() {
            return builder.build().context("making a client of HTTP");
        }
        ensure!(
            urls.into_iter().any(|url| url.starts_with("https://")),
            "certificates are given, and no address begins with https://: write it so, or leave them out"
        );
        builder.tls_backend_preconfigured(tls.client(None)?).build().context("making a client of HTTP")
    }
}

/// What a door is shown of a token or an API key.
fn shown(path: &Path) -> anyhow::Result<HeaderMap> {
    let token = std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    let mut value = HeaderValue::from_str(&format!("Bearer {}", token.trim()))
        .with_context(|| format!("{} holds no token and no API key", path.display()))?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(AUTHORIZATION, value)]))
}
