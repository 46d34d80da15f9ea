//! Certificates and keys out of PEM files.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ConfigBuilder};

use super::{TlsError, provider};

pub(super) const AUTHORITIES: &str = "file of certificate authorities";
const CERTIFICATE: &str = "certificate";
const KEY: &str = "private key";

/// A certificate with what signed it, and its key.
pub struct Identity {
    certificates: Vec<u8>,
    key: Vec<u8>,
    certified: CertifiedKey,
}

/// Without what it holds: a key is in it.
impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

pub(super) fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|problem| TlsError::File { path: path.to_owned(), what, problem })
}

/// The authorities of a PEM file: at least one.
pub fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    certificates(path, AUTHORITIES, &read(path, AUTHORITIES)?)
}

/// The authorities of this system: at least one.
pub(super) fn system() -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let problem = found.errors.first().map_or_else(|| "none was found".to_owned(), ToString::to_string);
        return Err(TlsError::NoAuthorities { problem });
    }
    Ok(found.certs)
}

/// Certificates in PEM, for drivers that take nothing else.
pub(super) fn of(certificates: &[CertificateDer<'_>]) -> Vec<u8> {
    let mut text = String::new();
    for certificate in certificates {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(certificate);
        for line in encoded.as_bytes().chunks(64) {
            text.push_str(&String::from_utf8_lossy(line));
            text.push('\n');
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text.into_bytes()
}

fn certificates(
    path: &Path,
    what: &'static str,
    pem: &[u8],
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |problem: String| TlsError::Content { path: path.to_owned(), what, problem };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Err(error) => Err(wrong(error.to_string())),
        Ok(found) if found.is_empty() => Err(wrong("there is no `BEGIN CERTIFICATE` in it".to_owned())),
        Ok(found) => Ok(found),
    }
}

impl Identity {
    /// Reads both files and holds them to each other.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, TlsError> {
        let certificates_pem = read(certificate, CERTIFICATE)?;
        let key_pem = read(key, KEY)?;
        let chain = certificates(certificate, CERTIFICATE, &certificates_pem)?;
        let wrong = |problem: String| TlsError::Content { path: key.to_owned(), what: KEY, problem };
        let of_key = PrivateKeyDer::from_pem_slice(&key_pem).map_err(|error| wrong(error.to_string()))?;
        let signing =
            provider().key_provider.load_private_key(of_key).map_err(|error| wrong(error.to_string()))?;
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match().map_err(|error| TlsError::Mismatch {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            problem: error.to_string(),
        })?;
        Ok(Self { certificates: certificates_pem, key: key_pem, certified })
    }

    /// Certificate and key one after the other, in PEM.
    pub fn pem(&self) -> Vec<u8> {
        [self.certificates.as_slice(), b"\n", &self.key].concat()
    }

    /// The certificate and the key, each in PEM.
    pub fn pems(&self) -> (&[u8], &[u8]) {
        (&self.certificates, &self.key)
    }

    /// As rustls takes it.
    pub fn certified(self) -> CertifiedKey {
        self.certified
    }

    pub(super) fn of_client(self, config: ConfigBuilder<ClientConfig, WantsClientCert>) -> ClientConfig {
        config.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(self.certified)))
    }
}
