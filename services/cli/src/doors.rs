//! Clients of Folio's doors, as the command line describes them.

use std::path::PathBuf;

use anyhow::Context as _;
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
}

impl DoorTls {
    /// The client that `builder` makes, which knows doors so.
    ///
    /// # Errors
    /// If a file cannot serve: which one, and why.
    pub fn client(&self, builder: ClientBuilder) -> anyhow::Result<Client> {
        let tls = TlsConfig {
            ca_file: self.ca_file.clone(),
            certificate_file: self.certificate_file.clone(),
            key_file: self.key_file.clone(),
        };
        let builder =
            if tls.is_given() { builder.tls_backend_preconfigured(tls.client(None)?) } else { builder };
        builder.build().context("making a client of HTTP")
    }
}
