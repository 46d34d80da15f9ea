//! Callers by the certificate that they showed, where a door asks for one (`http.tls.client_ca_file`).
//!
//! Promise: only names that the door's authority put into the certificate count, as a whole, and only those that are configured.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::pki_types::CertificateDer;
use toolkit::config::optional;

use super::claims::{Roles, of_roles};
use super::principal::{Principal, Products};
use super::scope::{Rights, Scope};

/// Before the names of callers with certificates.
pub(super) const KIND: &str = "cert:";

/// Who is at the other end of a connection: its address, and the names of a certificate that it showed, and the door's authority signed.
/// Cheap to clone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peer {
    names: Arc<[String]>,
    address: Option<IpAddr>,
}

impl Peer {
    /// One that showed no certificate.
    pub(crate) fn at(address: Option<IpAddr>) -> Self {
        Self { names: Arc::default(), address }
    }

    /// By the certificates that it showed, its own first.
    pub(crate) fn of(certificates: Option<&[CertificateDer<'_>]>, address: Option<IpAddr>) -> Self {
        let unnamed = Self::at(address);
        let Some(own) = certificates.and_then(<[_]>::first) else { return unnamed };
        let Ok(own) = webpki::EndEntityCert::try_from(own) else { return unnamed };
        let names = own.valid_uri_names().chain(own.valid_dns_names());
        Self { names: names.map(str::to_owned).collect(), ..unnamed }
    }

    /// Whether it showed a certificate with a name.
    pub(super) fn has_name(&self) -> bool {
        !self.names.is_empty()
    }

    /// Where it is, as far as this process sees it.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// One with these names.
    #[cfg(test)]
    pub(super) fn named(names: &[&str]) -> Self {
        Self { names: names.iter().map(|&name| name.to_owned()).collect(), address: None }
    }
}

/// Who somebody with a certificate is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CertificateConfig {
    /// A name among the certificate's subject alternative names: a URI such as `spiffe://acme.example/shop`, or a DNS name.
    pub san: String,
    pub scopes: Vec<Scope>,
    pub roles: Vec<String>,
    #[serde(deserialize_with = "optional")]
    pub tenant: Option<String>,
}

/// Those that are configured.
#[derive(Debug, Default)]
pub(super) struct Certificates(Vec<(String, Principal)>);

impl Certificates {
    /// # Errors
    /// Which of them makes no sense.
    pub(super) fn new(configured: &[CertificateConfig], roles: &Roles) -> Result<Self, String> {
        let one = |it: &CertificateConfig| {
            if it.san.is_empty() || it.san.len() > 190 || !it.san.bytes().all(|byte| byte.is_ascii_graphic())
            {
                return Err(format!("`{}` is no name of a certificate", it.san));
            }
            if let Some(unknown) = it.roles.iter().find(|role| !roles.contains_key(*role)) {
                return Err(format!("`{}`: the role `{unknown}` is not among auth.roles", it.san));
            }
            let rights = it.scopes.iter().copied().collect::<Rights>().and(of_roles(roles, &it.roles));
            let products = it.tenant.as_deref().map_or(Ok(Products::All), Products::of_tenant)?;
            let principal = Principal::known(format!("{KIND}{}", it.san), rights, products, None);
            Ok((it.san.clone(), principal))
        };
        configured.iter().map(one).collect::<Result<_, String>>().map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who this is: the first that is configured of its names.
    pub(super) fn find(&self, peer: &Peer) -> Option<Principal> {
        let (_, principal) = self.0.iter().find(|(san, _)| peer.names.contains(san))?;
        Some(principal.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_certificate_is_who_it_was_signed_for_and_nobody_else() {
        let shop = CertificateConfig {
            san: "spiffe://acme.example/shop".to_owned(),
            scopes: vec![Scope::Write],
            ..CertificateConfig::default()
        };
        let known = Certificates::new(&[shop], &Roles::new()).unwrap();
        let found = known.find(&Peer::named(&["other.example", "spiffe://acme.example/shop"])).unwrap();
        assert_eq!(found.name(), "cert:spiffe://acme.example/shop");
        for names in [&[][..], &["spiffe://acme.example/shop2"], &["spiffe://acme.example"], &["shop"]] {
            assert_eq!(known.find(&Peer::named(names)), None, "{names:?}");
        }
        assert_eq!(Peer::of(None, None), Peer::default());
        assert_eq!(Peer::of(Some(&[CertificateDer::from(vec![1, 2, 3])]), None), Peer::default());
        let nobody = CertificateConfig::default();
        assert!(Certificates::new(&[nobody], &Roles::new()).is_err());
    }
}
