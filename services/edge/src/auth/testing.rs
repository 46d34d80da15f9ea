//! For tests: who signs tokens, and what may be wrong with them.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::principal::now;

pub(super) const ISSUER: &str = "https://login.acme.example";
pub(super) const AUDIENCE: &str = "folio";

/// A key that signs, made now.
pub(super) struct Signer {
    pub(super) id: &'static str,
    key: EncodingKey,
}

impl Signer {
    pub(super) fn new(id: &'static str) -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        Self { id, key: EncodingKey::from_ec_der(&pair.serialize_der()) }
    }

    /// Its public half.
    pub(super) fn jwk(&self) -> Value {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::ES256).unwrap();
        jwk.common.key_id = Some(self.id.to_owned());
        serde_json::to_value(jwk).unwrap()
    }

    pub(super) fn header(&self) -> Header {
        Header { kid: Some(self.id.to_owned()), ..Header::new(Algorithm::ES256) }
    }

    /// A token that says this.
    pub(super) fn sign(&self, claims: &Value) -> String {
        self.sign_as(&self.header(), claims)
    }

    /// The same with another header.
    pub(super) fn sign_as(&self, header: &Header, claims: &Value) -> String {
        encode(header, claims, &self.key).unwrap()
    }
}

/// The public halves of these, as an issuer shows them.
pub(super) fn key_set(signers: &[&Signer]) -> String {
    json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string()
}

/// What a good token says, with these scopes.
pub(super) fn claims(scopes: &str) -> Value {
    json!({
        "iss": ISSUER, "aud": AUDIENCE, "sub": "ada", "scope": scopes,
        "exp": now() + 600, "nbf": now() - 5,
    })
}

/// The same with one claim changed; `null`: without it.
pub(super) fn claims_but(name: &str, value: Value) -> Value {
    let mut claims = claims("products:read");
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}
