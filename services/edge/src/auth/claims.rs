//! What an issuer's claims make of a caller: pure.
//!
//! Promises: a claim that is missing or of another type grants nothing; what is granted is written in the configuration, or is the name
//! of a scope behind a prefix that the configuration may ask for; no token is taken for an API key, a certificate or nobody.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use toolkit::config::optional;

use super::principal::{MAX_NAME, Principal, Products};
use super::scope::{Rights, Scope};
use super::token::Claims;

/// What a role may do, by its name.
pub type Roles = BTreeMap<String, Vec<Scope>>;

/// Which claims say what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClaimsConfig {
    /// The claim that names the caller. Only one that no caller can choose for itself.
    pub name: String,
    /// The claim that lists scopes, as a text with blanks between or as a list.
    pub scopes: String,
    /// What the names of scopes begin with there, such as `folio/`; empty: nothing.
    pub scope_prefix: String,
    /// The claim that lists roles, in the same ways; a dot goes into an object: `realm_access.roles`.
    pub roles: String,
    /// The claim that names the tenant, to whose products the caller is bounded; none: there are no tenants.
    #[serde(deserialize_with = "optional")]
    pub tenant: Option<String>,
}

impl Default for ClaimsConfig {
    fn default() -> Self {
        let text = str::to_owned;
        Self {
            name: text("sub"),
            scopes: text("scope"),
            scope_prefix: String::new(),
            roles: text("roles"),
            tenant: None,
        }
    }
}

impl ClaimsConfig {
    /// The caller that these claims are about. `until`: when they are over.
    ///
    /// # Errors
    /// Which claim cannot be used.
    pub(super) fn principal(&self, claims: &Claims, roles: &Roles, until: u64) -> Result<Principal, String> {
        let name = find(claims, &self.name).and_then(Value::as_str).ok_or_else(|| {
            format!("the token has no text as its claim `{}`, which names the caller", self.name)
        })?;
        check_name(name).map_err(|why| format!("the token's claim `{}` {why}", self.name))?;
        let scopes = texts(find(claims, &self.scopes));
        let scopes = scopes.iter().filter_map(|it| it.strip_prefix(&self.scope_prefix)?.parse().ok());
        let rights = scopes.collect::<Rights>().and(of_roles(roles, &texts(find(claims, &self.roles))));
        let products = match &self.tenant {
            Some(_) if rights.has(Scope::AllTenants) => Products::All,
            Some(tenant) => match find(claims, tenant) {
                Some(Value::String(named)) => Products::of_tenant(named)
                    .map_err(|why| format!("the token's claim `{tenant}` cannot be used: {why}"))?,
                _ => Products::None,
            },
            None => Products::All,
        };
        Ok(Principal::known(name.to_owned(), rights, products, Some(until)))
    }
}

/// What these roles may do. One that is not configured may do nothing.
pub(super) fn of_roles<T: AsRef<str>>(roles: &Roles, names: &[T]) -> Rights {
    names.iter().filter_map(|name| roles.get(name.as_ref())).flatten().copied().collect()
}

/// Whether a token may call its bearer so.
fn check_name(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MAX_NAME || name.contains(char::is_control) || name.trim() != name {
        return Err(format!("has to have 1 to {MAX_NAME} bytes, and no control characters"));
    }
    // Whoever has one of these names came in by another way.
    if name == Principal::default().name() || name.starts_with("key:") || name.starts_with("cert:") {
        return Err("is a name that callers with tokens cannot have".to_owned());
    }
    Ok(())
}

/// A claim by its name, or by its path through objects.
fn find<'c>(claims: &'c Claims, name: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    rest.split('.').try_fold(claims.get(first)?, |value, part| value.as_object()?.get(part))
}

/// The texts that a claim lists.
fn texts(value: Option<&Value>) -> Vec<&str> {
    match value {
        Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
        Some(Value::Array(texts)) => texts.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        let Value::Object(claims) = value else { panic!("an object") };
        claims
    }

    fn roles() -> Roles {
        [("editor".to_owned(), vec![Scope::Write, Scope::Delete])].into_iter().collect()
    }

    #[test]
    fn scopes_and_roles_are_read_in_every_usual_shape() {
        let nested = ClaimsConfig { roles: "realm_access.roles".to_owned(), ..ClaimsConfig::default() };
        let prefixed = ClaimsConfig { scope_prefix: "folio/".to_owned(), ..ClaimsConfig::default() };
        let url = ClaimsConfig { roles: "https://acme.example/roles".to_owned(), ..ClaimsConfig::default() };
        for (mapping, said, rights) in [
            (
                ClaimsConfig::default(),
                json!({"sub": "a", "scope": "openid products:read ops"}),
                &[Scope::Read, Scope::Ops][..],
            ),
            (ClaimsConfig::default(), json!({"sub": "a", "scope": ["products:read"]}), &[Scope::Read]),
            (
                ClaimsConfig::default(),
                json!({"sub": "a", "roles": ["editor", "king"]}),
                &[Scope::Write, Scope::Delete],
            ),
            (
                nested,
                json!({"sub": "a", "realm_access": {"roles": ["editor"]}}),
                &[Scope::Write, Scope::Delete],
            ),
            (
                url,
                json!({"sub": "a", "https://acme.example/roles": "editor"}),
                &[Scope::Write, Scope::Delete],
            ),
            (prefixed.clone(), json!({"sub": "a", "scope": "folio/ops products:read"}), &[Scope::Ops]),
            (prefixed, json!({"sub": "a", "scope": {"folio/ops": true}, "roles": 7}), &[]),
        ] {
            let principal = mapping.principal(&claims(said.clone()), &roles(), u64::MAX).unwrap();
            assert_eq!(principal.rights(), rights.iter().copied().collect(), "{said}");
        }
    }

    #[test]
    fn names_that_belong_to_others_are_refused() {
        let of = |name: Value| {
            ClaimsConfig::default().principal(&claims(json!({ "sub": name })), &roles(), u64::MAX)
        };
        assert_eq!(of(json!("248289761001")).unwrap().name(), "248289761001");
        for name in [
            json!("key:importer"),
            json!("cert:shop"),
            json!("anonymous"),
            json!(""),
            json!(" a"),
            json!("a\nb"),
            json!(7),
            json!(null),
            json!("x".repeat(201)),
        ] {
            assert!(of(name.clone()).is_err(), "{name}");
        }
    }

    #[test]
    fn where_there_are_tenants_a_token_without_one_has_no_products() {
        let mapping = ClaimsConfig { tenant: Some("org".to_owned()), ..ClaimsConfig::default() };
        let of = |said: Value| mapping.principal(&claims(said), &roles(), u64::MAX);
        assert_eq!(of(json!({"sub": "a", "org": "acme"})).unwrap().product_prefix(), Some("acme."));
        for nothing in
            [json!({"sub": "a"}), json!({"sub": "a", "org": 7}), json!({"sub": "a", "org": ["acme"]})]
        {
            assert!(of(nothing).unwrap().allow_product("acme.1").is_err());
        }
        assert!(of(json!({"sub": "a", "org": "a.b"})).is_err());
        let every = of(json!({"sub": "a", "scope": "all-tenants"})).unwrap();
        every.allow_product("acme.1").unwrap();
    }
}
