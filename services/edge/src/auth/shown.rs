//! What a request shows of its caller.
//!
//! Promises: it is read from one field, once: two of them, or another scheme, are refused and not passed over; nothing of it is
//! logged or comes back in an answer.

use std::fmt;

use super::refusal::{Reason, unauthenticated};
use crate::fields::{Fields, one};
use crate::problem::Problem;

/// Where it stands, over HTTP and over gRPC.
const AUTHORIZATION: &str = "authorization";
const SCHEME: &str = "bearer";

/// What was shown.
pub(super) enum Credential {
    None,
    /// Something of three parts: a JSON Web Token.
    Token(String),
    /// Anything else: an API key.
    Key(String),
}

/// Without what it holds.
impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "None",
            Self::Token(_) => "Token",
            Self::Key(_) => "Key",
        })
    }
}

impl Credential {
    /// # Errors
    /// If it cannot be understood.
    pub(super) fn of(fields: &impl Fields) -> Result<Self, Problem> {
        let wrong = |why: String| unauthenticated(Reason::Invalid, why);
        let shown = one(fields, AUTHORIZATION).map_err(|why| wrong(format!("{AUTHORIZATION} {why}")))?;
        let Some(shown) = shown else { return Ok(Self::None) };
        let (scheme, value) = shown.trim().split_once(' ').unwrap_or((shown.trim(), ""));
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return Err(wrong("the scheme of authorization has to be Bearer".to_owned()));
        }
        let value = value.trim();
        if value.is_empty() || value.contains(' ') || value.contains('\t') {
            return Err(wrong("Bearer has to be followed by one token or one API key".to_owned()));
        }
        let is_token = value.bytes().filter(|byte| *byte == b'.').count() == 2;
        Ok(if is_token { Self::Token(value.to_owned()) } else { Self::Key(value.to_owned()) })
    }
}

#[cfg(test)]
mod tests {
    use tonic::metadata::{AsciiMetadataValue, MetadataMap};

    use super::*;

    fn of(values: &[&[u8]]) -> Result<&'static str, u16> {
        let mut fields = MetadataMap::new();
        for value in values {
            fields.append(AUTHORIZATION, AsciiMetadataValue::try_from(*value).unwrap());
        }
        Credential::of(&fields).map_err(|problem| problem.status).map(|credential| match credential {
            Credential::None => "none",
            Credential::Token(_) => "token",
            Credential::Key(_) => "key",
        })
    }

    #[test]
    fn one_bearer_is_read_and_anything_else_is_refused() {
        assert_eq!(of(&[]), Ok("none"));
        assert_eq!(of(&[b"Bearer a.b.c"]), Ok("token"));
        assert_eq!(of(&[b"bEARER  abc "]), Ok("key"));
        assert_eq!(of(&[b"Bearer a.b"]), Ok("key"));
        for wrong in [
            &[&b"Bearer a.b.c"[..], b"Bearer a.b.c"][..],
            &[b"Bearer a.b.c", b""],
            &[b""],
            &[b"Bearer"],
            &[b"Bearer "],
            &[b"Bearer a b"],
            &[b"Basic YTpi"],
            &[b"a.b.c"],
            &[b"Bearer a.b.c, Bearer d.e.f"],
            &[b"Bearer \xfc"],
        ] {
            assert_eq!(of(wrong), Err(401), "{wrong:?}");
        }
    }

    #[test]
    fn it_is_not_shown_again() {
        let shown =
            format!("{:?} {:?}", Credential::Token("secret".into()), Credential::Key("secret".into()));
        assert!(!shown.contains("secret"), "{shown}");
    }
}
