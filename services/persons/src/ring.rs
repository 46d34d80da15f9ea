//! The master keys: they wrap the keys of persons, so that a copy of the store is worth nothing, and tell where a person's key lies
//! without the name.
//!
//! Promises: what one of the keys has wrapped is unwrapped as long as it is on the ring; only the current one wraps; an error says what is
//! wrong with a file and nothing that is in it.

use std::collections::BTreeMap;
use std::fmt;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::zeroize::Zeroizing;
use serde::Deserialize;
use toolkit::config::Secret;

use crate::sealed::{DataKey, KEY_LEN, Pseudonym};

/// What wrapped keys are bound to, beside their pseudonym and the master key's id.
const PURPOSE: &[u8] = b"folio person key 1";
/// The most bytes of a master key's id.
const MAX_ID: usize = 64;

/// Where a person's key lies: HMAC-SHA-256 of the name, which nobody makes or checks without the lookup key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lookup(pub [u8; 32]);

/// A person's key, encrypted with a master key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// The master key's id.
    pub master: String,
    pub bytes: Vec<u8>,
}

/// Why a ring cannot be used, or not for this.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    #[error("{0}")]
    Malformed(String),
    #[error(
        "the master key `{0}` is not among the keys: put it back, it may go only after `folio persons rewrap`"
    )]
    NoMasterKey(String),
    #[error(
        "a key that the master key `{0}` wrapped cannot be unwrapped with it: it is another key of that id, or the row is damaged"
    )]
    Damaged(String),
    #[error("the system has no random numbers")]
    NoRandom,
}

/// The master keys.
pub struct KeyRing {
    current: String,
    masters: BTreeMap<String, DataKey>,
    lookup: hmac::Key,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<_> = self.masters.keys().collect();
        f.debug_struct("KeyRing").field("current", &self.current).field("ids", &ids).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    current: String,
    lookup: Secret,
    keys: BTreeMap<String, Secret>,
}

impl KeyRing {
    /// Reads the file of master keys.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, RingError> {
        let File { current, lookup, keys } = serde_yaml_ng::from_str(text).map_err(|error| {
            // Its own words may be of what stands in the file.
            let at = error.location().map_or(String::new(), |at| format!(" (line {})", at.line()));
            malformed(format!(
                "they are not YAML with `current`, `lookup` and `keys` (id: key) and nothing else{at}"
            ))
        })?;
        let masters = keys
            .iter()
            .map(|(id, text)| {
                let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
                if id.is_empty() || id.len() > MAX_ID || !id.bytes().all(is_good) {
                    let rule = format!("an id has 1 to {MAX_ID} letters, digits, `-`, `_` and `.`");
                    return Err(malformed(rule));
                }
                Ok((id.clone(), key(&format!("keys.{id}"), text.expose())?))
            })
            .collect::<Result<BTreeMap<_, _>, _>>()?;
        if !masters.contains_key(&current) {
            return Err(malformed("`current` is the id of none of `keys`".to_owned()));
        }
        let lookup = key("lookup", lookup.expose())?;
        if masters.values().any(|master| master.bytes() == lookup.bytes()) {
            return Err(malformed("`lookup` is one of `keys`: make one of its own".to_owned()));
        }
        let lookup = hmac::Key::new(hmac::HMAC_SHA256, lookup.bytes());
        Ok(Self { current, masters, lookup })
    }

    /// The id of the key that wraps.
    pub fn current(&self) -> &str {
        &self.current
    }

    /// Where the key of the person of this name lies.
    pub fn lookup(&self, name: &str) -> Lookup {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(hmac::sign(&self.lookup, name.as_bytes()).as_ref());
        Lookup(bytes)
    }

    /// Wraps a person's key with the current master key.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn wrap(&self, pseudonym: Pseudonym, key: &DataKey) -> Result<Wrapped, RingError> {
        let master = self.current.clone();
        let bound = [PURPOSE, pseudonym.0.as_bytes(), master.as_bytes()];
        let bytes = self.master(&master)?.encrypt(key.bytes().to_vec(), &bound).ok_or(RingError::NoRandom)?;
        Ok(Wrapped { master, bytes })
    }

    /// The key again.
    ///
    /// # Errors
    /// If its master key is not there, or is not the one that wrapped it.
    pub fn unwrap(&self, pseudonym: Pseudonym, wrapped: &Wrapped) -> Result<DataKey, RingError> {
        let bound = [PURPOSE, pseudonym.0.as_bytes(), wrapped.master.as_bytes()];
        let bytes = self.master(&wrapped.master)?.decrypt(&wrapped.bytes, &bound);
        bytes.and_then(|bytes| DataKey::of(&bytes)).ok_or_else(|| RingError::Damaged(wrapped.master.clone()))
    }

    fn master(&self, id: &str) -> Result<&DataKey, RingError> {
        self.masters.get(id).ok_or_else(|| RingError::NoMasterKey(id.to_owned()))
    }
}

fn malformed(why: String) -> RingError {
    RingError::Malformed(why)
}

fn key(what: &str, text: &str) -> Result<DataKey, RingError> {
    let bytes = BASE64_STANDARD.decode(text.trim()).ok().map(Zeroizing::new);
    bytes.and_then(|bytes| DataKey::of(&bytes)).ok_or_else(|| {
        malformed(format!(
            "`{what}` is not {KEY_LEN} bytes in base64: make one with `openssl rand -base64 {KEY_LEN}`"
        ))
    })
}
