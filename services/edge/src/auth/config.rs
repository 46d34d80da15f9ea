//! The section `auth` of a service's configuration: who may call, and what callers may do.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde::{Deserialize, Serialize};
use toolkit::config::{ConfigError, Unusable, list, optional_address, optional_path};
use toolkit::tls::TlsConfig;

use super::api_keys::Keys;
use super::certificates::{CertificateConfig, Certificates};
use super::claims::{ClaimsConfig, Roles};

/// Who may call. Without any of `oidc`, `keys_file` and `certificates` nobody can, unless callers are not checked at all.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Check nobody: whoever reaches a port may do everything, in anyone's name. Told at the start, by `/readyz` and in metrics.
    pub allow_anonymous: bool,
    /// An issuer of tokens.
    pub oidc: OidcConfig,
    /// A YAML file of hashed API keys, which may be replaced at any time.
    #[serde(deserialize_with = "optional_path")]
    pub keys_file: Option<PathBuf>,
    /// Who somebody is that showed a certificate (`http.tls.client_ca_file`).
    pub certificates: Vec<CertificateConfig>,
    /// What roles may do, by their names: `{editor: ["products:write"]}`.
    pub roles: Roles,
    /// Origins whose pages may send writes beside the door's own, such as `https://shop.example`: for a proxy that lets a browser ask (CORS).
    #[serde(deserialize_with = "list")]
    pub origins: Vec<String>,
    /// Show `/metrics` to whoever reaches the operators' port, and not only to who has the scope `ops`.
    pub open_metrics: bool,
}

/// An issuer of tokens (OpenID Connect). Without `issuer` no token counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OidcConfig {
    /// What tokens have as `iss`, such as `https://login.acme.example/realms/shop`.
    #[serde(deserialize_with = "optional_address")]
    pub issuer: Option<String>,
    /// Whom tokens are for: one of these has to be among a token's `aud`.
    #[serde(deserialize_with = "list")]
    pub audiences: Vec<String>,
    /// Where the issuer's keys are; none: where `<issuer>/.well-known/openid-configuration` says.
    #[serde(deserialize_with = "optional_address")]
    pub jwks_url: Option<String>,
    pub claims: ClaimsConfig,
    /// How far the issuer's clock may be from ours, in milliseconds.
    pub leeway_ms: u64,
    /// How often its keys are fetched, in milliseconds: within this time a key that it withdrew counts no longer.
    pub refresh_ms: u64,
    /// How old keys may become while the issuer is away, in milliseconds. Older ones count no longer.
    pub max_age_ms: u64,
    /// How the issuer is known where its addresses begin with `https://`.
    pub tls: TlsConfig,
}

impl Default for OidcConfig {
    fn default() -> Self {
        Self {
            issuer: None,
            audiences: Vec::new(),
            jwks_url: None,
            claims: ClaimsConfig::default(),
            leeway_ms: 30_000,
            refresh_ms: 300_000,
            max_age_ms: 86_400_000,
            tls: TlsConfig::default(),
        }
    }
}

impl OidcConfig {
    pub(super) fn refresh(&self) -> Duration {
        Duration::from_millis(self.refresh_ms)
    }

    pub(super) fn max_age(&self) -> Duration {
        Duration::from_millis(self.max_age_ms)
    }

    fn check(&self) -> Result<(), Unusable> {
        let Some(issuer) = &self.issuer else {
            if self.audiences.is_empty() && self.jwks_url.is_none() {
                return Ok(());
            }
            return Err(Unusable::new("auth.oidc.issuer", "it is missing", "give what tokens have as `iss`"));
        };
        if self.audiences.is_empty() {
            let problem = "none is given: every token of the issuer would count, whomever it is for";
            return Err(Unusable::new(
                "auth.oidc.audiences",
                problem,
                "give what tokens for Folio have as `aud`",
            ));
        }
        match &self.jwks_url {
            Some(url) => address(url).map_err(|why| refused("auth.oidc.jwks_url", url, &why))?,
            None => address(issuer).map_err(|why| refused("auth.oidc.issuer", issuer, &why))?,
        };
        for (key, value, least) in [
            ("auth.oidc.refresh_ms", self.refresh_ms, 1_000),
            ("auth.oidc.max_age_ms", self.max_age_ms, self.refresh_ms.saturating_mul(2)),
        ] {
            if value < least {
                return Err(Unusable::new(key, format!("it is {value}"), format!("give at least {least}")));
            }
        }
        if self.leeway_ms > 300_000 {
            let problem = format!("it is {}", self.leeway_ms);
            return Err(Unusable::new("auth.oidc.leeway_ms", problem, "give at most 300000"));
        }
        self.tls.check("auth.oidc.tls")
    }
}

fn refused(key: &str, url: &str, why: &str) -> Unusable {
    Unusable::new(key, format!("{url:?} {why}"), "give an address that begins with https://")
}

/// An address that keys may come from: whoever can change them on the way can be anyone.
pub(super) fn address(url: &str) -> Result<Url, String> {
    let url = Url::parse(url).map_err(|error| format!("is no address: {error}"))?;
    let host = url.host_str().unwrap_or_default();
    let is_here = host == "localhost"
        || host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => Ok(url),
        "http" if is_here => Ok(url),
        "http" => Err("speaks no TLS, and is not on this machine".to_owned()),
        other => Err(format!("begins with {other}:")),
    }
}

impl AuthConfig {
    /// Callers are not checked: for one machine, and for tests.
    pub fn anonymous() -> Self {
        Self { allow_anonymous: true, ..Self::default() }
    }

    /// Whether callers have any way to show who they are.
    pub(super) fn has_any(&self) -> bool {
        self.oidc.issuer.is_some() || self.keys_file.is_some() || !self.certificates.is_empty()
    }

    /// Whether it says who may call, or that nobody is checked: never by leaving everything out.
    pub(crate) fn decided(&self, service: &str) -> Result<(), ConfigError> {
        if self.allow_anonymous || self.has_any() {
            return Ok(());
        }
        let problem = "it says neither who may call nor that nobody is checked";
        let remedy = "give auth.oidc, auth.keys_file or auth.certificates (docs/security.md); or auth.allow_anonymous: true, and then \
                      whoever reaches a port may do everything";
        Err(ConfigError::invalid(service, "auth", problem, remedy))
    }

    /// Finds what parses and yet cannot serve. `tls` is that of the doors, where they have one.
    pub fn check(&self, asks_for_certificates: bool) -> Result<(), Unusable> {
        if self.allow_anonymous && self.has_any() {
            let problem =
                "it is true, and there are oidc, keys_file or certificates, which nobody would look at";
            return Err(Unusable::new("auth.allow_anonymous", problem, "leave one of them out"));
        }
        crate::cross_site::check(&self.origins)?;
        self.oidc.check()?;
        if let Some(path) = &self.keys_file {
            Keys::open(path, &self.roles).map_err(|why| {
                let remedy = "see docs/security.md for what such a file has to hold";
                Unusable::new("auth.keys_file", why, remedy)
            })?;
        }
        if !self.certificates.is_empty() && !asks_for_certificates {
            let problem = "some are given, and no client is asked for one";
            return Err(Unusable::new("auth.certificates", problem, "give http.tls.client_ca_file too"));
        }
        let remedy = "see docs/security.md for what can be said of a certificate";
        Certificates::new(&self.certificates, &self.roles)
            .map(drop)
            .map_err(|why| Unusable::new("auth.certificates", why, remedy))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn oidc(change: impl FnOnce(&mut OidcConfig)) -> Result<(), Unusable> {
        let mut oidc = OidcConfig {
            issuer: Some("https://login.acme.example".to_owned()),
            audiences: vec!["folio".to_owned()],
            ..OidcConfig::default()
        };
        change(&mut oidc);
        AuthConfig { oidc, ..AuthConfig::default() }.check(false)
    }

    #[test]
    fn nobody_is_let_in_unchecked_by_leaving_something_out() {
        let undecided = AuthConfig::default().decided("tester").unwrap_err().to_string();
        assert!(undecided.contains("auth.allow_anonymous: true"), "{undecided}");
        AuthConfig::anonymous().decided("tester").unwrap();
        AuthConfig { keys_file: Some("keys.yaml".into()), ..AuthConfig::default() }
            .decided("tester")
            .unwrap();
    }

    #[test]
    fn what_cannot_serve_is_named() {
        oidc(|_| ()).unwrap();
        oidc(|it| it.jwks_url = Some("http://127.0.0.1:8099/keys".to_owned())).unwrap();
        oidc(|it| it.jwks_url = Some("http://[::1]:8099/keys".to_owned())).unwrap();
        let key = |refused: Result<(), Unusable>| refused.unwrap_err().key;
        assert_eq!(key(oidc(|it| it.audiences.clear())), "auth.oidc.audiences");
        assert_eq!(key(oidc(|it| it.issuer = None)), "auth.oidc.issuer");
        assert_eq!(
            key(oidc(|it| it.issuer = Some("http://login.acme.example".to_owned()))),
            "auth.oidc.issuer"
        );
        for url in ["http://10.0.0.1/keys", "file:///etc/passwd", "keys", "http://127.0.0.1.evil.example/"] {
            assert_eq!(key(oidc(|it| it.jwks_url = Some(url.to_owned()))), "auth.oidc.jwks_url", "{url}");
        }
        assert_eq!(key(oidc(|it| it.refresh_ms = 10)), "auth.oidc.refresh_ms");
        assert_eq!(key(oidc(|it| it.max_age_ms = 1_000)), "auth.oidc.max_age_ms");
        assert_eq!(key(oidc(|it| it.leeway_ms = 3_600_000)), "auth.oidc.leeway_ms");
        let missing = AuthConfig { keys_file: Some("/nowhere/keys.yaml".into()), ..AuthConfig::default() };
        assert_eq!(key(missing.check(false)), "auth.keys_file");
        let shop = CertificateConfig { san: "shop.example".to_owned(), ..CertificateConfig::default() };
        let certificates = AuthConfig { certificates: vec![shop], ..AuthConfig::default() };
        certificates.check(true).unwrap();
        assert_eq!(key(certificates.check(false)), "auth.certificates");
        let both = AuthConfig { allow_anonymous: true, ..certificates };
        assert_eq!(key(both.check(true)), "auth.allow_anonymous");
    }
}
