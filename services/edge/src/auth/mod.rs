//! Who calls, and what callers may do: one place for every door, over HTTP and over gRPC, and for the operators' port.
//!
//! ```text
//! fields, certificate ──> Credential ──> token, key or certificate ──> Principal ──> what the route needs
//! ```
//!
//! Promises: no route and no call is registered without what it needs of its caller ([`Access`]); whoever does not show that is answered
//! before a handler or a body is looked at; while nobody can be checked, nobody is let in; where callers are not checked that is said
//! loudly, and never by leaving something out; each is counted ([`crate::limits`]) once it is known who it is.

mod api_keys;
mod certificates;
mod claims;
mod config;
mod issuer;
mod judged;
mod key_set;
mod principal;
mod refusal;
mod scope;
mod shown;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use anyhow::Context;
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use toolkit::lifecycle::Lifecycle;
use toolkit::telemetry::{Telemetry, names};

use crate::cross_site::Origins;
use crate::fields::Fields;
use crate::limits::{Account, Limits, Place};
use crate::problem::Problem;
use api_keys::Keys;
use certificates::Certificates;
use issuer::Issuer;
use judged::Judged;
use refusal::{unauthenticated, unavailable};
use shown::Credential;
use token::{Expected, Invalid};

pub use api_keys::hashed as hashed_key;
pub use certificates::{CertificateConfig, Peer};
pub use claims::{ClaimsConfig, Roles};
pub use config::{AuthConfig, OidcConfig};
pub(crate) use principal::is_machine;
pub use principal::{Principal, Products, TENANT_SEPARATOR};
pub use refusal::Reason;
pub(crate) use refusal::challenge;
pub use scope::{Access, Rights, Scope};

/// What readiness calls it that nobody is checked.
const DEPENDENCY: &str = "auth";

/// What callers are checked by, and how much each may have. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Auth {
    /// None: nobody is checked.
    checks: Option<Arc<Checks>>,
    origins: Origins,
    limits: Limits,
}

/// Somebody who was let in.
#[derive(Debug)]
pub(crate) struct Entered {
    pub(crate) principal: Principal,
    /// What is counted of it.
    pub(crate) account: Account,
    /// Its request among those of it that are in flight; none: it is not counted.
    pub(crate) place: Option<Place>,
}

#[derive(Debug)]
struct Checks {
    tokens: Option<Tokens>,
    keys: Option<Keys>,
    certificates: Certificates,
    roles: Roles,
    has_open_metrics: bool,
    refused: Counter<u64>,
}

#[derive(Debug)]
struct Tokens {
    expected: Expected,
    claims: ClaimsConfig,
    issuer: Issuer,
    judged: Judged,
}

impl Auth {
    /// Checks nobody, and bounds nobody: for tests, and for what is no server.
    pub fn off() -> Self {
        Self { checks: None, origins: Origins::default(), limits: Limits::default() }
    }

    /// With these limits for each caller.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// What `config` says, followed as long as `lifecycle` works.
    ///
    /// # Errors
    /// If something of it cannot be read.
    pub fn open(config: &AuthConfig, lifecycle: &Lifecycle, telemetry: &Telemetry) -> anyhow::Result<Self> {
        let is_off = config.allow_anonymous;
        let meter = telemetry.meter();
        let off = meter.u64_observable_gauge(names::AUTH_OFF);
        // The provider keeps the callback; the handle has no further use.
        let _gauge = off.with_callback(move |observer| observer.observe(u64::from(is_off), &[])).build();
        for reason in REASONS {
            telemetry.shows(names::AUTH_REFUSED_TOTAL, &[("reason", reason)]);
        }
        if is_off {
            let dependency = lifecycle.readiness().part(DEPENDENCY);
            tracing::warn!(
                "auth.allow_anonymous: callers are not checked, whoever reaches a port may do everything in anyone's name"
            );
            dependency.up_though("callers are not checked: auth.allow_anonymous");
            return Ok(Self { origins: Origins::new(&config.origins), ..Self::off() });
        }
        let tokens = config.oidc.issuer.as_ref().map(|issuer| {
            let expected = Expected {
                issuer: issuer.clone(),
                audiences: config.oidc.audiences.clone(),
                leeway: config.oidc.leeway_ms / 1_000,
            };
            let (claims, issuer) = (config.oidc.claims.clone(), Issuer::new(&config.oidc)?);
            anyhow::Ok(Tokens { expected, claims, issuer, judged: Judged::default() })
        });
        let tokens = tokens.transpose()?;
        if let Some(tokens) = &tokens {
            tokens.follow(lifecycle, telemetry);
        }
        let keys = config.keys_file.as_deref().map(|path| Keys::open(path, &config.roles));
        let keys = keys.transpose().map_err(anyhow::Error::msg).context("auth.keys_file")?;
        if let Some(keys) = keys.clone() {
            let following = keys.follow(api_keys::EVERY, lifecycle.drained());
            lifecycle.spawn_support("API keys", async move {
                following.await;
                Ok(())
            });
        }
        let certificates =
            Certificates::new(&config.certificates, &config.roles).map_err(anyhow::Error::msg)?;
        let refused = meter.u64_counter(names::AUTH_REFUSED_TOTAL).build();
        let (roles, has_open_metrics) = (config.roles.clone(), config.open_metrics);
        let checks = Checks { tokens, keys, certificates, roles, has_open_metrics, refused };
        let (checks, origins) = (Some(Arc::new(checks)), Origins::new(&config.origins));
        Ok(Self { checks, origins, limits: Limits::default() })
    }

    /// What bounds each caller.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Refuses what a page of another site has a browser send. `authority`: whom the request says it is for, where no field does.
    ///
    /// # Errors
    /// 403.
    pub(crate) fn refuse_other_sites(
        &self,
        method: &str,
        fields: &impl Fields,
        authority: Option<&str>,
    ) -> Result<(), Problem> {
        self.origins.admit(method, fields, authority)
    }

    /// What `/metrics` needs.
    pub(crate) fn of_metrics(&self) -> Access {
        let is_open = self.checks.as_ref().is_some_and(|checks| checks.has_open_metrics);
        if is_open { Access::Anyone } else { Access::Needs(Scope::Ops) }
    }

    /// Lets somebody in to what needs `access`, by what stands beside a request and by the certificate of its connection, or says why not.
    /// What is for anyone (probes) is not counted.
    ///
    /// Not an `async fn`: what it reads of the request it reads at once, so that the request need not be kept.
    ///
    /// # Errors
    /// 401, 403, 429, or 503 while nobody can be checked.
    pub(crate) fn admit<F: Fields>(
        &self,
        access: Access,
        fields: &F,
        peer: &Peer,
    ) -> impl Future<Output = Result<Entered, Problem>> + Send + use<F> {
        let checks = match (&self.checks, access) {
            (None, _) => Err(Principal::default()),
            (Some(_), Access::Anyone) => Err(Principal::nobody()),
            (Some(checks), _) => Ok((Arc::clone(checks), Credential::of(fields), peer.clone())),
        };
        let (limits, address) = (self.limits.clone(), peer.address());
        let counted = move |principal: Principal| {
            if access == Access::Anyone {
                return Ok(Entered { principal, account: Account::default(), place: None });
            }
            let (account, place) = limits.enter(&principal, address)?;
            Ok(Entered { principal, account, place: Some(place) })
        };
        async move {
            let (checks, credential, peer) = match checks {
                Ok(checks) => checks,
                Err(unchecked) => return counted(unchecked),
            };
            let admitted = async {
                let entered = counted(checks.principal(credential?, &peer).await?)?;
                entered.principal.enter(access)?;
                Ok::<_, Problem>(entered)
            };
            admitted.await.inspect_err(|problem| checks.count(problem))
        }
    }
}

/// Why somebody is not let in, as the metric names it.
const REASONS: [&str; 5] = ["no-credentials", "invalid", "expired", "forbidden", "auth-unavailable"];

impl Checks {
    async fn principal(&self, credential: Credential, peer: &Peer) -> Result<Principal, Problem> {
        match credential {
            Credential::None => self.certificates.find(peer).ok_or_else(|| self.nothing_shown(peer)),
            Credential::Token(token) => match &self.tokens {
                Some(tokens) => tokens.principal(&token, &self.roles).await,
                None => Err(unauthenticated(
                    Reason::Invalid,
                    "tokens do not count here: auth.oidc is not configured",
                )),
            },
            Credential::Key(key) => {
                let found = self.keys.as_ref().and_then(|keys| keys.find(&key));
                found.ok_or_else(|| unauthenticated(Reason::Invalid, "this API key does not count here"))
            }
        }
    }

    fn nothing_shown(&self, peer: &Peer) -> Problem {
        let detail = if self.certificates.is_empty() || !peer.has_name() {
            "say who you are: `Authorization: Bearer` and a token or an API key"
        } else {
            "your certificate has no name that counts here, and there is no `Authorization: Bearer` with a token or an API key"
        };
        unauthenticated(Reason::NoCredentials, detail)
    }

    fn count(&self, problem: &Problem) {
        let said =
            problem.extensions.get("reason").and_then(|reason| reason.as_str()).unwrap_or(problem.code);
        // Never a text that a caller made up.
        if let Some(reason) = REASONS.into_iter().find(|reason| *reason == said) {
            self.refused.add(1, &[KeyValue::new("reason", reason)]);
        }
    }
}

impl Tokens {
    fn follow(&self, lifecycle: &Lifecycle, telemetry: &Telemetry) {
        let (issuer, meter) = (self.issuer.clone(), telemetry.meter());
        let age = meter.f64_observable_gauge(names::AUTH_KEYS_AGE_SECONDS);
        let _gauge = age
            .with_callback(move |observer| {
                if let Some(age) = issuer.age() {
                    observer.observe(age.as_secs_f64(), &[]);
                }
            })
            .build();
        let dependency = lifecycle.readiness().dependency("issuer");
        let following = self.issuer.clone().follow(dependency, lifecycle.drained());
        lifecycle.spawn_support("issuer's keys", async move {
            following.await;
            Ok(())
        });
    }

    /// Who this token is of. One of a key that is not known has the keys fetched, if that was not done just now.
    async fn principal(&self, token: &str, roles: &Roles) -> Result<Principal, Problem> {
        let unavailable = || {
            unavailable(
                "the keys of the issuer cannot be had, so that no token can be checked: try again later",
            )
        };
        let mut keys = self.issuer.keys().ok_or_else(unavailable)?;
        if let Some(known) = self.judged.find(token, &keys) {
            return Ok(known);
        }
        let mut judged = self.expected.judge(token, &keys, principal::now());
        if judged == Err(Invalid::UnknownKey) {
            // They may have been fetched just now, since it was looked.
            let newest = self.issuer.keys().ok_or_else(unavailable)?;
            if !Arc::ptr_eq(&keys, &newest) || self.issuer.renewed().await {
                keys = self.issuer.keys().ok_or_else(unavailable)?;
                judged = self.expected.judge(token, &keys, principal::now());
            }
        }
        let (claims, until) = judged.map_err(|why| match why {
            Invalid::Expired => unauthenticated(Reason::Expired, format!("{why}: get a new one")),
            why => unauthenticated(Reason::Invalid, why.to_string()),
        })?;
        let known = self.claims.principal(&claims, roles, until);
        let known = known.map_err(|why| unauthenticated(Reason::Invalid, why))?;
        self.judged.keep(token, &keys, &known);
        Ok(known)
    }
}
