//! Who calls, once that is known, and what it may do.
//!
//! Promises: what is not granted is refused, with the name of what is missing; a principal whose token is over may do nothing
//! more, however long its request goes on; whoever is bounded to a tenant sees and changes nothing of others, and learns nothing
//! of them.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use contract::code::Code;

use super::refusal::{Reason, unauthenticated};
use super::scope::{Access, Rights, Scope};
use crate::problem::Problem;

/// Between a tenant's name and the rest of its products' ids. No tenant's name holds it.
pub const TENANT_SEPARATOR: char = '.';
/// The name of every caller where callers are not checked.
const ANONYMOUS: &str = "anonymous";
/// The most bytes of a name: what an event's header may have for its actor.
pub(super) const MAX_NAME: usize = 200;
/// The most bytes of a tenant's name: with the separator and an id that is made of a key, a product's id is full.
const MAX_TENANT: usize = 27;

/// A caller. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal(Arc<Known>);

#[derive(Debug, PartialEq, Eq)]
struct Known {
    name: String,
    rights: Rights,
    products: Products,
    /// When what it showed is over, in seconds since 1970.
    until: Option<u64>,
    is_checked: bool,
}

/// Which products somebody may see and change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Products {
    All,
    /// Those whose ids begin so.
    Beginning(String),
    /// None: it should have said its tenant, and did not.
    None,
}

impl Products {
    /// Those of the tenant of this name.
    ///
    /// # Errors
    /// If the name cannot be the beginning of a product's id, or could be that of another tenant's.
    pub fn of_tenant(name: &str) -> Result<Self, String> {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
        let begins = name.bytes().next().is_some_and(|first| first.is_ascii_alphanumeric());
        if begins && name.len() <= MAX_TENANT && name.bytes().all(is_good) {
            return Ok(Self::Beginning(format!("{name}{TENANT_SEPARATOR}")));
        }
        Err(format!(
            "a tenant's name has 1 to {MAX_TENANT} letters, digits, `_` and `-`, and begins with a letter or a digit"
        ))
    }
}

/// Nobody in particular, with every right: who calls where callers are not checked, and the process itself.
impl Default for Principal {
    fn default() -> Self {
        let (name, rights) = (ANONYMOUS.to_owned(), Rights::all());
        Self(Arc::new(Known { name, rights, products: Products::All, until: None, is_checked: false }))
    }
}

impl Principal {
    /// Who calls what is for anyone, where callers are checked: it may do nothing.
    pub(super) fn nobody() -> Self {
        Self::known(ANONYMOUS.to_owned(), Rights::default(), Products::None, None)
    }

    /// One that has shown who it is. `until`: when that is over, in seconds since 1970.
    pub(super) fn known(name: String, rights: Rights, products: Products, until: Option<u64>) -> Self {
        Self(Arc::new(Known { name, rights, products, until, is_checked: true }))
    }

    /// What it is called in events, in the audit, and as the owner of its idempotency keys.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Whether it has shown who it is. Where callers are not checked, what they say of themselves is all there is.
    pub fn is_checked(&self) -> bool {
        self.0.is_checked
    }

    /// Whether its name may be a person's: that of a key or a certificate is a machine's.
    pub fn is_person(&self) -> bool {
        self.is_checked() && !is_machine(self.name())
    }

    pub fn rights(&self) -> Rights {
        self.0.rights
    }

    /// What the ids of its products begin with, if it is bounded to a tenant.
    pub fn product_prefix(&self) -> Option<&str> {
        match &self.0.products {
            Products::Beginning(prefix) => Some(prefix),
            Products::All | Products::None => None,
        }
    }

    /// Whether it may do what needs this scope, now.
    ///
    /// # Errors
    /// What it lacks.
    pub fn allow(&self, scope: Scope) -> Result<(), Problem> {
        self.is_current(now())?;
        if self.0.rights.has(scope) { Ok(()) } else { Err(self.lacks(&[scope])) }
    }

    /// Whether it may come in.
    ///
    /// # Errors
    /// What it lacks.
    pub fn enter(&self, access: Access) -> Result<(), Problem> {
        match access {
            Access::Anyone => Ok(()),
            Access::Needs(scope) => self.allow(scope),
            Access::NeedsOneOf(scopes) => {
                self.is_current(now())?;
                let has_one = scopes.iter().any(|scope| self.0.rights.has(*scope));
                if has_one { Ok(()) } else { Err(self.lacks(scopes)) }
            }
        }
    }

    /// Whether it may see and change this product. Of one that it may not, nothing is told, not even whether it exists.
    ///
    /// # Errors
    /// What it lacks.
    pub fn allow_product(&self, id: &str) -> Result<(), Problem> {
        match &self.0.products {
            Products::All => Ok(()),
            Products::Beginning(prefix) if id.len() > prefix.len() && id.starts_with(prefix) => Ok(()),
            Products::Beginning(prefix) => {
                let detail = format!("the ids of your products begin with `{prefix}`: this one does not");
                Err(Problem::new(Code::Forbidden, detail))
            }
            Products::None => Err(no_tenant()),
        }
    }

    /// Whether it may ask what is answered out of all products.
    ///
    /// # Errors
    /// What it lacks.
    pub fn allow_every_product(&self) -> Result<(), Problem> {
        match &self.0.products {
            Products::All => Ok(()),
            Products::Beginning(_) => {
                let detail = format!(
                    "this is answered out of the products of every tenant: it needs the scope {}; ask for products by their ids",
                    Scope::AllTenants
                );
                Err(Problem::new(Code::Forbidden, detail).with("missing_scope", Scope::AllTenants.name()))
            }
            Products::None => Err(no_tenant()),
        }
    }

    /// Who a command of it is for: itself, or whom it names, if it may.
    ///
    /// # Errors
    /// If it may not.
    pub fn act_for(&self, named: &str) -> Result<(), Problem> {
        if !self.is_checked() || named == self.name() {
            return Ok(());
        }
        self.allow(Scope::OnBehalf).map_err(|problem| Problem {
            detail: format!("you are {}, and act for somebody else: {}", self.name(), problem.detail),
            ..problem
        })
    }

    fn is_current(&self, now: u64) -> Result<(), Problem> {
        if self.0.until.is_some_and(|until| until <= now) {
            return Err(unauthenticated(Reason::Expired, "what you signed in with is over: get a new one"));
        }
        Ok(())
    }

    fn lacks(&self, scopes: &[Scope]) -> Problem {
        let names: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
        let detail = format!("{} has not the scope {}", self.name(), names.join(" or "));
        Problem::new(Code::Forbidden, detail).with("missing_scope", names.join(" "))
    }
}

/// Whether this is the name of a machine: of a key or a certificate.
pub(crate) fn is_machine(name: &str) -> bool {
    [super::api_keys::KIND, super::certificates::KIND].iter().any(|kind| name.starts_with(kind))
}

fn no_tenant() -> Problem {
    let detail = format!(
        "callers are bounded to their tenant here, and your token names none; the scope {} lifts that",
        Scope::AllTenants
    );
    Problem::new(Code::Forbidden, detail).with("missing_scope", Scope::AllTenants.name())
}

/// The time, in seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(scopes: &[Scope], products: Products, until: Option<u64>) -> Principal {
        Principal::known("ada".to_owned(), scopes.iter().copied().collect(), products, until)
    }

    #[test]
    fn what_is_not_granted_is_refused_and_named() {
        let reader = with(&[Scope::Read], Products::All, None);
        reader.allow(Scope::Read).unwrap();
        for scope in Scope::ALL.iter().filter(|scope| **scope != Scope::Read) {
            let problem = reader.allow(*scope).unwrap_err();
            assert_eq!((problem.status, &problem.extensions["missing_scope"]), (403, &scope.name().into()));
        }
        reader.enter(Access::Anyone).unwrap();
        reader.enter(Access::NeedsOneOf(&[Scope::Write, Scope::Read])).unwrap();
        let problem = reader.enter(Access::NeedsOneOf(&[Scope::Write, Scope::Delete])).unwrap_err();
        assert_eq!(problem.extensions["missing_scope"], "products:write products:delete");
    }

    #[test]
    fn what_is_over_may_do_nothing_more() {
        let over = with(Scope::ALL, Products::All, Some(now() - 1));
        assert_eq!(over.allow(Scope::Read).unwrap_err().status, 401);
        assert_eq!(over.enter(Access::NeedsOneOf(&[Scope::Read])).unwrap_err().status, 401);
        with(Scope::ALL, Products::All, Some(now() + 60)).allow(Scope::Read).unwrap();
    }

    #[test]
    fn a_tenant_is_a_prefix_that_no_other_tenant_has() {
        let acme = with(&[], Products::of_tenant("acme").unwrap(), None);
        acme.allow_product("acme.1").unwrap();
        for foreign in ["acme", "acme.", "acme2.1", "acme-eu.1", "ACME.1", "1", "x.acme.1"] {
            assert_eq!(acme.allow_product(foreign).unwrap_err().status, 403, "{foreign}");
        }
        assert_eq!(acme.allow_every_product().unwrap_err().status, 403);
        for wrong in ["", ".", "a.b", "-a", "\u{e4}", "a b", &"x".repeat(28)] {
            assert!(Products::of_tenant(wrong).is_err(), "{wrong}");
        }
        let none = with(Scope::ALL, Products::None, None);
        assert!(none.allow_product("acme.1").is_err() && none.allow_every_product().is_err());
    }

    #[test]
    fn nobody_is_somebody_else_without_leave() {
        let ada = with(&[Scope::Write], Products::All, None);
        ada.act_for("ada").unwrap();
        let problem = ada.act_for("grace").unwrap_err();
        assert_eq!((problem.status, &problem.extensions["missing_scope"]), (403, &"act-on-behalf".into()));
        with(&[Scope::OnBehalf], Products::All, None).act_for("grace").unwrap();
        Principal::default().act_for("grace").unwrap();
    }
}
