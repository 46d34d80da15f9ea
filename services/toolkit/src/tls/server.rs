//! TLS of a port of ours: its certificate, and whom it lets in.
//!
//! Promises: files that change are read again without a restart, within [`EVERY`]; files that cannot serve change nothing, and are
//! told; who connects meanwhile gets the old certificate or the new one, whole; whoever connects again is looked at again.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::{Identity, TlsError, pem, provider};
use crate::config::{Unusable, optional_path};

/// How often ports of ours look whether their files have changed.
pub const EVERY: Duration = Duration::from_secs(5);

/// The section of a port's configuration. Without a certificate it speaks plain text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerTlsConfig {
    /// A PEM file of the certificate, followed by those that signed it.
    #[serde(deserialize_with = "optional_path")]
    pub certificate_file: Option<PathBuf>,
    /// A PEM file of its key.
    #[serde(deserialize_with = "optional_path")]
    pub key_file: Option<PathBuf>,
    /// A PEM file of authorities: only clients with a certificate that one of them signed are let in. None: everybody.
    #[serde(deserialize_with = "optional_path")]
    pub client_ca_file: Option<PathBuf>,
}

impl ServerTlsConfig {
    /// Reads everything here once, so that what is wrong with it is told before the port opens. `section` is where it stands,
    /// such as `http.tls`.
    pub fn check(&self, section: &str) -> Result<(), Unusable> {
        self.read().map(drop).map_err(|error| error.of_section(section))
    }

    /// Whether the port speaks TLS.
    pub fn is_given(&self) -> bool {
        *self != Self::default()
    }

    /// `None`: nothing is given.
    fn read(&self) -> Result<Option<Current>, TlsError> {
        let (certificate, key) = match (&self.certificate_file, &self.key_file) {
            (Some(certificate), Some(key)) => (certificate, key),
            (Some(_), None) => {
                return Err(TlsError::Half { given: "certificate_file", missing: "key_file" });
            }
            (None, Some(_)) => return Err(TlsError::Half { given: "key_file", missing: "certificate_file" }),
            (None, None) if self.client_ca_file.is_some() => {
                return Err(TlsError::Half {
                    given: "client_ca_file",
                    missing: "certificate_file and key_file",
                });
            }
            (None, None) => return Ok(None),
        };
        let identity = Identity::read(certificate, key)?;
        let (certificate, key) = identity.pems();
        let mut content = [certificate, key].concat();
        let mut clients = None;
        if let Some(path) = self.client_ca_file.as_deref() {
            content.extend(pem::read(path, pem::AUTHORITIES)?);
            let mut roots = RootCertStore::empty();
            for authority in pem::authorities(path)? {
                roots.add(authority).map_err(|error| TlsError::unusable(Some(path), &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
                .build()
                .map_err(|error| TlsError::unusable(Some(path), &error))?;
            clients = Some(verifier);
        }
        Ok(Some(Current { certified: Arc::new(identity.certified()), clients, content }))
    }
}

/// What files said when they were read.
struct Current {
    certified: Arc<CertifiedKey>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
    content: Vec<u8>,
}

/// Without the content: a key is in it.
impl fmt::Debug for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Current").finish_non_exhaustive()
    }
}

/// The TLS of one port. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ServerTls(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    files: ServerTlsConfig,
    current: ArcSwap<Current>,
    /// What clients' signatures may be like; it follows from the cryptography, not from the files.
    schemes: Vec<SignatureScheme>,
}

impl ServerTls {
    /// `None`: the port speaks plain text.
    pub fn open(files: &ServerTlsConfig) -> Result<Option<Self>, TlsError> {
        let Some(current) = files.read()? else { return Ok(None) };
        let schemes = provider().signature_verification_algorithms.supported_schemes();
        let shared = Shared { files: files.clone(), current: ArcSwap::from_pointee(current), schemes };
        Ok(Some(Self(Arc::new(shared))))
    }

    /// As a server takes it: one for the whole life of the port. `protocols` are those it speaks, for ALPN.
    pub fn config(&self, protocols: &[&[u8]]) -> Result<ServerConfig, TlsError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::unusable(None, &error))?;
        let builder = match self.0.files.client_ca_file {
            None => builder.with_no_client_auth(),
            Some(_) => builder.with_client_cert_verifier(Arc::clone(&self.0) as Arc<dyn ClientCertVerifier>),
        };
        let mut config = builder.with_cert_resolver(Arc::clone(&self.0) as Arc<dyn ResolvesServerCert>);
        // Nobody comes in on what was agreed before: certificates are looked at for each connection.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = protocols.iter().map(|it| it.to_vec()).collect();
        Ok(config)
    }

    /// Looks `every` so often whether files have changed, and reads them again, until `stop`. `section` is where they are
    /// configured.
    pub async fn follow(self, section: &'static str, every: Duration, stop: CancellationToken) {
        let mut told = None;
        while stop.run_until_cancelled(tokio::time::sleep(every)).await.is_some() {
            let files = self.0.files.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || files.read()).await else { return };
            match read {
                Ok(Some(read)) => {
                    told = None;
                    if read.content != self.0.current.load().content {
                        self.0.current.store(Arc::new(read));
                        tracing::info!(section, "certificates are read again: new connections get them");
                    }
                }
                Ok(None) => return,
                // While files are replaced one after the other they need not fit; what stays wrong is told once.
                Err(error) => {
                    let problem = error.to_string();
                    if told.as_ref() != Some(&problem) {
                        tracing::error!(
                            section,
                            problem,
                            "certificates cannot be read again: the old ones stay in use"
                        );
                        told = Some(problem);
                    }
                }
            }
        }
    }
}

impl ResolvesServerCert for Shared {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.load().certified))
    }
}

impl Shared {
    fn clients(&self) -> Result<Arc<dyn ClientCertVerifier>, Error> {
        let clients = self.current.load().clients.clone();
        clients.ok_or_else(|| Error::General("no authorities of clients".to_owned()))
    }
}

impl ClientCertVerifier for Shared {
    /// None: the list of authorities may change, and a client shows what it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.clients()?.verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients()?.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.clients()?.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.schemes.clone()
    }
}
