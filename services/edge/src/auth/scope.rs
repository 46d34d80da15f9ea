//! What a caller may do, by kind; and what of it a route, a call or a command needs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! scopes {
    ($($variant:ident = $name:literal, $says:literal;)*) => {
        /// A right, by the name that configuration, tokens and answers call it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum Scope {
            $(#[doc = $says] #[serde(rename = $name)] $variant,)*
        }

        impl Scope {
            /// All of them.
            pub const ALL: &'static [Scope] = &[$(Scope::$variant),*];

            /// The name: `products:write`.
            pub const fn name(self) -> &'static str {
                match self { $(Scope::$variant => $name,)* }
            }

            /// What it lets its holder do, for people.
            pub const fn says(self) -> &'static str {
                match self { $(Scope::$variant => $says,)* }
            }
        }
    };
}

scopes! {
    Write = "products:write", "Create and change products.";
    Delete = "products:delete", "Delete and restore them.";
    Bulk = "products:bulk", "Send many commands in one request; each needs its own scope too.";
    Read = "products:read", "Ask all queries.";
    AdminRead = "admin:read", "See builds of read models and dead letters, with what is in them.";
    AdminRebuild = "admin:rebuild", "Begin, switch, go back to, and drop builds of read models.";
    AdminPause = "admin:pause", "Pause and resume builds.";
    AdminDeadLetters = "admin:dead-letters", "Redrive and discard dead letters.";
    Ops = "ops", "See metrics, and see and change what is logged.";
    OnBehalf = "act-on-behalf", "Give commands for somebody else, who is recorded beside the caller.";
    AllTenants = "all-tenants", "Where tenants are told apart: not be bounded by one.";
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that no scope has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoScope;

impl FromStr for Scope {
    type Err = NoScope;

    fn from_str(name: &str) -> Result<Self, NoScope> {
        Self::ALL.iter().copied().find(|scope| scope.name() == name).ok_or(NoScope)
    }
}

/// A set of scopes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights(u16);

impl Rights {
    /// Every right there is.
    pub fn all() -> Self {
        Scope::ALL.iter().copied().collect()
    }

    pub fn has(self, scope: Scope) -> bool {
        self.0 & bit(scope) != 0
    }

    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl FromIterator<Scope> for Rights {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().fold(0, |all, scope| all | bit(scope)))
    }
}

const fn bit(scope: Scope) -> u16 {
    1 << scope as u16
}

/// What a route or a call needs of its caller. Nothing can be registered without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing: it tells only what every reader of the source knows, or whether the process is well.
    Anyone,
    Needs(Scope),
    /// One of these to come in. Which of them it is depends on what is asked, and is looked at again when that is known.
    NeedsOneOf(&'static [Scope]),
}

impl fmt::Display for Access {
    /// As the table in `docs/security.md` says it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Needs(scope) => write!(f, "`{scope}`"),
            Self::NeedsOneOf(scopes) => {
                for (n, scope) in scopes.iter().enumerate() {
                    write!(f, "{}`{scope}`", if n == 0 { "" } else { " or " })?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_is_a_bit_of_its_own_and_is_known_by_its_name() {
        for scope in Scope::ALL {
            assert_eq!(scope.name().parse(), Ok(*scope));
            let alone: Rights = [*scope].into_iter().collect();
            let others: Rights = Scope::ALL.iter().copied().filter(|other| other != scope).collect();
            assert!(alone.has(*scope) && !others.has(*scope) && alone.and(others) == Rights::all());
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.name());
        }
        assert!(
            ["", "products", "products:write ", "PRODUCTS:WRITE", "*"]
                .iter()
                .all(|it| Scope::from_str(it).is_err())
        );
    }
}
