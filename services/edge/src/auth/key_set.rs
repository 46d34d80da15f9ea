//! The keys of an issuer (JWKS, RFC 7517).
//!
//! Promises: every key is for one algorithm, whatever a token says; keys that are shared secrets, for encryption, or of another kind are
//! not used; a set is bounded.

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// More keys than an issuer needs at once.
const MAX_KEYS: usize = 64;

/// Keys that signatures are checked by.
#[derive(Clone, Default)]
pub(super) struct KeySet(Vec<Key>);

/// One of them.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: Option<String>,
    /// The only one that it is for.
    pub(super) algorithm: Algorithm,
    pub(super) decoding: DecodingKey,
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|key| (&key.id, key.algorithm))).finish()
    }
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<Value>,
}

impl KeySet {
    /// The usable keys of a document.
    ///
    /// # Errors
    /// If it is none, or holds no usable key.
    pub(super) fn parse(document: &[u8]) -> Result<Self, String> {
        let Document { keys } =
            serde_json::from_slice(document).map_err(|error| format!("it is no set of keys: {error}"))?;
        let found = keys.len();
        if found > MAX_KEYS {
            return Err(format!("it holds {found} keys: {MAX_KEYS} are the most"));
        }
        let usable: Vec<Key> = keys.into_iter().filter_map(key).collect();
        if usable.is_empty() {
            return Err(format!("none of its {found} keys can be used: RS, PS, ES and EdDSA signatures can"));
        }
        Ok(Self(usable))
    }

    /// Those that may have signed a token that names its key so. One that names none can only be of a set of one.
    pub(super) fn candidates(&self, id: Option<&str>) -> impl Iterator<Item = &Key> {
        let only = self.0.len() == 1;
        self.0.iter().filter(move |key| match id {
            Some(id) => key.id.as_deref() == Some(id),
            None => only,
        })
    }
}

/// A key that can be used.
fn key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    if jwk.common.public_key_use.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature) {
        return None;
    }
    let stated = match jwk.common.key_algorithm {
        None => None,
        Some(stated) => Some(Algorithm::try_from(stated).ok()?),
    };
    let algorithm = algorithm(&jwk.algorithm, stated)?;
    Some(Key { id: jwk.common.key_id.clone(), algorithm, decoding: DecodingKey::from_jwk(&jwk).ok()? })
}

/// The algorithm of a key: what it states, if its type can do that, else the usual one of its type.
fn algorithm(parameters: &AlgorithmParameters, stated: Option<Algorithm>) -> Option<Algorithm> {
    use Algorithm::{ES256, ES384, EdDSA, PS256, PS384, PS512, RS256, RS384, RS512};
    let possible: &[Algorithm] = match parameters {
        AlgorithmParameters::RSA(_) => &[RS256, RS384, RS512, PS256, PS384, PS512],
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => &[ES256],
        AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P384 => &[ES384],
        AlgorithmParameters::OctetKeyPair(pair) if pair.curve == EllipticCurve::Ed25519 => &[EdDSA],
        // A shared secret among public keys is a mistake, or an attack.
        _ => return None,
    };
    match stated {
        None => possible.first().copied(),
        Some(stated) => possible.contains(&stated).then_some(stated),
    }
}
