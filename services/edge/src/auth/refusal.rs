//! Why a caller is not let in. Promises that no refusal tells what a secret is like, and that each says what to do.

use contract::code::Code;

use crate::problem::Problem;

/// What is wrong with what a caller showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It showed nothing.
    NoCredentials,
    /// What it showed does not hold here.
    Invalid,
    /// It held once.
    Expired,
}

impl Reason {
    /// Its name in answers and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoCredentials => "no-credentials",
            Self::Invalid => "invalid",
            Self::Expired => "expired",
        }
    }
}

/// The answer to somebody who is not known.
pub(super) fn unauthenticated(reason: Reason, detail: impl Into<String>) -> Problem {
    Problem::new(Code::Unauthenticated, detail).with("reason", reason.name())
}

/// The answer while nobody can be known.
pub(super) fn unavailable(detail: &str) -> Problem {
    Problem::new(Code::AuthUnavailable, detail)
}

/// The challenge that belongs to a refusal (RFC 6750); none: it is no refusal of a caller.
pub(crate) fn challenge(problem: &Problem) -> Option<String> {
    let member = |name: &str| problem.extensions.get(name).and_then(|value| value.as_str());
    let realm = "Bearer realm=\"folio\"";
    if problem.code == Code::Unauthenticated.name() {
        let shown = member("reason") != Some(Reason::NoCredentials.name());
        return Some(if shown { format!("{realm}, error=\"invalid_token\"") } else { realm.to_owned() });
    }
    if problem.code == Code::Forbidden.name() {
        let scope = member("missing_scope").map(|scope| format!(", scope=\"{scope}\"")).unwrap_or_default();
        return Some(format!("{realm}, error=\"insufficient_scope\"{scope}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_what_is_wrong_as_rfc_6750_wants_it() {
        let of = |reason| challenge(&unauthenticated(reason, "for a test")).unwrap();
        assert_eq!(of(Reason::NoCredentials), "Bearer realm=\"folio\"");
        assert_eq!(of(Reason::Expired), "Bearer realm=\"folio\", error=\"invalid_token\"");
        let lacks = Problem::new(Code::Forbidden, "for a test").with("missing_scope", "products:write");
        let told = challenge(&lacks).unwrap();
        assert!(told.ends_with("error=\"insufficient_scope\", scope=\"products:write\""), "{told}");
        assert_eq!(challenge(&Problem::new(Code::NotFound, "for a test")), None);
    }
}
