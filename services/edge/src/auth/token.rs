//! JSON Web Tokens, judged by an issuer's keys: pure.
//!
//! Promises: a token counts only if a key of the issuer signed it, by that key's own algorithm, for this audience, and its time has
//! come and is not over; nothing in the token says which key or algorithm is believed; one that is too long is not looked at.

use jsonwebtoken::{Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::key_set::KeySet;

/// The longest token that is looked at.
pub(super) const MAX_TOKEN: usize = 8 * 1024;

/// What a token says.
pub(super) type Claims = Map<String, Value>;

/// What tokens have to say.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    pub(super) issuer: String,
    pub(super) audiences: Vec<String>,
    /// How far the issuer's clock may be from ours, in seconds.
    pub(super) leeway: u64,
}

/// Why a token does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Invalid {
    #[error("the token is longer than {MAX_TOKEN} bytes")]
    TooLong,
    #[error("the token cannot be read, or names an algorithm that does not count here")]
    Malformed,
    #[error("the token asks for an extension that is not known here (crit)")]
    Critical,
    #[error("the token is signed with a key that its issuer does not have")]
    UnknownKey,
    #[error("the token's algorithm is not the one of its key")]
    Algorithm,
    #[error("the token's signature does not hold")]
    Signature,
    #[error("the token is of another issuer")]
    Issuer,
    #[error("the token is for another audience")]
    Audience,
    #[error("the token has no usable claim `{0}`")]
    Claim(String),
    #[error("the token's time is over")]
    Expired,
    #[error("the token's time has not come")]
    NotYet,
}

impl Expected {
    /// The claims of a token that counts at `now` (seconds since 1970), and until when it does.
    ///
    /// # Errors
    /// Why it does not count.
    pub(super) fn judge(&self, token: &str, keys: &KeySet, now: u64) -> Result<(Claims, u64), Invalid> {
        if token.len() > MAX_TOKEN {
            return Err(Invalid::TooLong);
        }
        let header = decode_header(token).map_err(|_| Invalid::Malformed)?;
        if header.crit.is_some() {
            return Err(Invalid::Critical);
        }
        let mut why = Invalid::UnknownKey;
        for key in keys.candidates(header.kid.as_deref()) {
            if key.algorithm != header.alg {
                why = Invalid::Algorithm;
                continue;
            }
            match decode::<Claims>(token, &key.decoding, &self.validation(key.algorithm)) {
                Ok(token) => return self.timely(token.claims, now),
                Err(error) => why = because(&error),
            }
        }
        Err(why)
    }

    /// All but the time, which is compared here.
    fn validation(&self, algorithm: jsonwebtoken::Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&self.audiences);
        validation.set_required_spec_claims(&["exp", "iss", "aud"]);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation
    }

    fn timely(&self, claims: Claims, now: u64) -> Result<(Claims, u64), Invalid> {
        let expires = time(&claims, "exp")?.ok_or_else(|| Invalid::Claim("exp".to_owned()))?;
        let until = expires.saturating_add(self.leeway);
        if until <= now {
            return Err(Invalid::Expired);
        }
        if time(&claims, "nbf")?.is_some_and(|from| from > now.saturating_add(self.leeway)) {
            return Err(Invalid::NotYet);
        }
        Ok((claims, until))
    }
}

/// A time among the claims, in whole seconds.
fn time(claims: &Claims, name: &str) -> Result<Option<u64>, Invalid> {
    let Some(value) = claims.get(name) else { return Ok(None) };
    let whole = value.as_u64();
    let of_fraction = || value.as_f64().filter(|time| (0.0..1e15).contains(time)).map(|time| time as u64);
    whole.or_else(of_fraction).map(Some).ok_or_else(|| Invalid::Claim(name.to_owned()))
}

fn because(error: &jsonwebtoken::errors::Error) -> Invalid {
    use jsonwebtoken::errors::ErrorKind;
    match error.kind() {
        ErrorKind::InvalidSignature => Invalid::Signature,
        ErrorKind::InvalidIssuer => Invalid::Issuer,
        ErrorKind::InvalidAudience => Invalid::Audience,
        ErrorKind::InvalidAlgorithm => Invalid::Algorithm,
        ErrorKind::MissingRequiredClaim(claim) | ErrorKind::InvalidClaimFormat(claim) => {
            Invalid::Claim(claim.clone())
        }
        _ => Invalid::Malformed,
    }
}

#[cfg(test)]
mod tests;
