//! TLS, to servers and on ports of ours: whom one believes and what one shows, out of PEM files.
//!
//! Promises: a file that cannot serve is an error that names it, before anything connects; an error of a handshake is told with
//! what to do about it.
//!
//! Start at [`TlsConfig::client`], at [`TlsConfig::identity`] for drivers that take PEM, or at [`ServerTls::open`] for a port.

mod advice;
mod error;
mod pem;
mod server;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};

use crate::config::{Unusable, optional_path};

pub use advice::explained;
pub use error::TlsError;
pub use pem::{Identity, authorities};
pub use server::{EVERY, ServerTls, ServerTlsConfig};

/// The section of a server's configuration that says how a client knows it, and how it knows the client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsConfig {
    /// A PEM file of the authorities whose signature on the server's certificate is believed; none: the system's.
    #[serde(deserialize_with = "optional_path")]
    pub ca_file: Option<PathBuf>,
    /// A PEM file of the certificate that the server is shown, followed by those that signed it; none: it is shown none.
    #[serde(deserialize_with = "optional_path")]
    pub certificate_file: Option<PathBuf>,
    /// A PEM file of that certificate's key.
    #[serde(deserialize_with = "optional_path")]
    pub key_file: Option<PathBuf>,
}

/// The cryptography of every TLS connection of ours. Named, because more than one is linked in.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

impl TlsConfig {
    /// Whether anything is said here.
    pub fn is_given(&self) -> bool {
        *self != Self::default()
    }

    /// What the server is shown; `None`: nothing.
    pub fn identity(&self) -> Result<Option<Identity>, TlsError> {
        let certificate = self.certificate_file.as_deref();
        let key = self.key_file.as_deref();
        match (certificate, key) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Identity::read(certificate, key).map(Some),
            (Some(_), None) => Err(TlsError::Half { given: "certificate_file", missing: "key_file" }),
            (None, Some(_)) => Err(TlsError::Half { given: "key_file", missing: "certificate_file" }),
        }
    }

    /// The authorities that count, in PEM: those of the file, or the system's.
    pub fn authorities_pem(&self) -> Result<Vec<u8>, TlsError> {
        match self.ca_file.as_deref() {
            Some(path) => {
                pem::authorities(path)?;
                pem::read(path, pem::AUTHORITIES)
            }
            None => Ok(pem::of(&pem::system()?)),
        }
    }

    /// Reads everything here once, so that what is wrong with it is told before anything connects. `section` is where it
    /// stands, such as `kafka.tls`.
    pub fn check(&self, section: &str) -> Result<(), Unusable> {
        let authorities = self.ca_file.as_deref().map_or(Ok(()), |path| pem::authorities(path).map(drop));
        authorities.and_then(|()| self.identity()).map(drop).map_err(|error| error.of_section(section))
    }

    /// The same for the server at `url`, whose section is `section`.
    pub fn check_url(&self, section: &str, url: &str) -> Result<(), Unusable> {
        let key = format!("{section}.tls");
        if self.is_given() && !url.starts_with("https://") {
            let problem = format!("it is given, and {section}.url is {url}");
            return Err(Unusable::new(key, problem, "begin the URL with https://, or leave it out"));
        }
        self.check(&key)
    }

    /// For drivers that take rustls. With `server_name` a server's certificate has to be for that name, and not for the
    /// address that was connected to.
    pub fn client(&self, server_name: Option<&str>) -> Result<ClientConfig, TlsError> {
        let provider = provider();
        let roots = Arc::new(self.roots()?);
        let verifier = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .build()
            .map_err(|error| TlsError::unusable(self.ca_file.as_deref(), &error))?;
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::unusable(None, &error))?;
        let config = match server_name {
            None => config.dangerous().with_custom_certificate_verifier(verifier),
            Some(name) => {
                let name = ServerName::try_from(name.to_owned())
                    .map_err(|_| TlsError::ServerName { name: name.to_owned() })?;
                let verifier = Arc::new(verify::Named::new(name, verifier));
                config.dangerous().with_custom_certificate_verifier(verifier)
            }
        };
        match self.identity()? {
            None => Ok(config.with_no_client_auth()),
            Some(identity) => Ok(identity.of_client(config)),
        }
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        if let Some(path) = self.ca_file.as_deref() {
            for authority in pem::authorities(path)? {
                roots.add(authority).map_err(|error| TlsError::unusable(Some(path), &error))?;
            }
            return Ok(roots);
        }
        let (added, _refused) = roots.add_parsable_certificates(pem::system()?);
        if added == 0 {
            return Err(TlsError::NoAuthorities { problem: "none of them can be used".to_owned() });
        }
        Ok(roots)
    }
}
