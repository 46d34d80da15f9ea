//! API keys out of a file, for installations without an issuer of tokens.
//!
//! Promises: the file holds hashes and no key; how long a comparison takes tells nothing of a hash; a file that changed counts within
//! [`EVERY`], and one that cannot be read changes nothing and is told.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConditionallySelectable, ConstantTimeEq};
use tokio_util::sync::CancellationToken;
use toolkit::config::text_of_file;

use super::claims::{Roles, of_roles};
use super::principal::{MAX_NAME, Principal, Products};
use super::scope::{Rights, Scope};

/// How often the file is looked at.
pub(super) const EVERY: Duration = Duration::from_secs(5);
/// A key has at least so many characters: it is hashed without salt, and must not be guessable.
pub(super) const MIN_KEY: usize = 32;
/// and at most so many.
pub(super) const MAX_KEY: usize = 256;
/// The largest file.
const MAX_FILE: u64 = 1024 * 1024;
/// The most keys: each is compared with what a caller shows.
const MAX_KEYS: usize = 1_000;
/// Before the names of callers with keys.
pub(super) const KIND: &str = "key:";

/// The keys that count.
#[derive(Default)]
pub(super) struct Ring(Vec<Entry>);

/// What is known of a key. It has no `==`: whoever compares two can only do so in the time that any two take.
struct Hash([u8; 32]);

struct Entry {
    hash: Hash,
    principal: Principal,
}

/// Without hashes.
impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|entry| entry.principal.name())).finish()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    keys: Vec<Line>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// Whose key it is; several keys may have one name.
    name: String,
    /// SHA-256 of the key, in hexadecimal digits.
    sha256: String,
    #[serde(default)]
    scopes: Vec<Scope>,
    #[serde(default)]
    roles: Vec<String>,
    tenant: Option<String>,
    expires: Option<Timestamp>,
}

impl Ring {
    /// The keys of a file.
    ///
    /// # Errors
    /// What is wrong with it, without anything secret.
    pub(super) fn parse(text: &str, roles: &Roles) -> Result<Self, String> {
        let File { keys } = serde_yaml_ng::from_str(text).map_err(|error| error.to_string())?;
        if keys.len() > MAX_KEYS {
            return Err(format!("it has {} keys: {MAX_KEYS} are the most", keys.len()));
        }
        let entry = |(n, line): (usize, Line)| {
            entry(&line, roles).map_err(|why| format!("key {} (`{}`): {why}", n + 1, line.name))
        };
        keys.into_iter().enumerate().map(entry).collect::<Result<_, _>>().map(Self)
    }

    /// Whose key this is. Every hash is compared, and each as a whole.
    pub(super) fn find(&self, key: &str) -> Option<Principal> {
        if !(MIN_KEY..=MAX_KEY).contains(&key.len()) {
            return None;
        }
        let shown = Hash(Sha256::digest(key.as_bytes()).into());
        // Which one it is becomes known without a branch on the way.
        let (mut found, mut at) = (Choice::from(0), 0_u64);
        for (n, entry) in self.0.iter().enumerate() {
            let equal = shown.ct_eq(&entry.hash);
            at.conditional_assign(&(n as u64), equal);
            found |= equal;
        }
        bool::from(found).then(|| self.0.get(at as usize).map(|entry| entry.principal.clone())).flatten()
    }
}

fn entry(line: &Line, roles: &Roles) -> Result<Entry, String> {
    let is_good = |byte: u8| byte.is_ascii_graphic();
    if line.name.is_empty() || line.name.len() > MAX_NAME - KIND.len() || !line.name.bytes().all(is_good) {
        return Err("a name has 1 to 196 visible ASCII characters".to_owned());
    }
    if let Some(unknown) = line.roles.iter().find(|role| !roles.contains_key(*role)) {
        return Err(format!("the role `{unknown}` is not among auth.roles"));
    }
    let hash = hash(&line.sha256).ok_or("sha256 has to be 64 hexadecimal digits: the SHA-256 of the key")?;
    let rights = line.scopes.iter().copied().collect::<Rights>().and(of_roles(roles, &line.roles));
    let products = line.tenant.as_deref().map_or(Ok(Products::All), Products::of_tenant)?;
    let until = line.expires.map(|it| u64::try_from(it.as_second()).unwrap_or(0));
    let name = format!("{KIND}{}", line.name);
    Ok(Entry { hash, principal: Principal::known(name, rights, products, until) })
}

/// What the file says of a key: its SHA-256, in hexadecimal digits.
pub fn hashed(key: &str) -> String {
    let digits =
        |byte: u8| [byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)]));
    Sha256::digest(key.as_bytes()).iter().flat_map(|byte| digits(*byte)).collect()
}

impl ConstantTimeEq for Hash {
    fn ct_eq(&self, other: &Self) -> Choice {
        self.0.ct_eq(&other.0)
    }
}

fn hash(digits: &str) -> Option<Hash> {
    let digits = digits.as_bytes();
    if digits.len() != 64 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(Hash(hash))
}

/// The keys of a file that may be replaced. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    path: Arc<Path>,
    roles: Arc<Roles>,
    current: Arc<ArcSwap<Ring>>,
}

impl Keys {
    /// Reads the file.
    ///
    /// # Errors
    /// If it cannot be used.
    pub(super) fn open(path: &Path, roles: &Roles) -> Result<Self, String> {
        let ring = Ring::parse(&text_of_file(path, MAX_FILE)?, roles)?;
        let current = Arc::new(ArcSwap::from_pointee(ring));
        Ok(Self { path: Arc::from(path), roles: Arc::new(roles.clone()), current })
    }

    pub(super) fn find(&self, key: &str) -> Option<Principal> {
        self.current.load().find(key)
    }

    /// Looks at the file until `stop` is cancelled.
    pub(super) async fn follow(self, every: Duration, stop: CancellationToken) {
        let mut told: Option<String> = None;
        let mut last = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => return,
            }
            let path = PathBuf::from(&*self.path);
            let read = tokio::task::spawn_blocking(move || text_of_file(&path, MAX_FILE)).await;
            let text = read.unwrap_or_else(|error| Err(error.to_string()));
            if text.as_ref().ok().is_some_and(|text| last.as_ref() == Some(text)) {
                continue;
            }
            match text.and_then(|text| Ring::parse(&text, &self.roles).map(|ring| (text, ring))) {
                Ok((text, ring)) => {
                    if last.is_some() || told.is_some() {
                        tracing::info!(keys = ring.0.len(), "API keys were read again");
                    }
                    self.current.store(Arc::new(ring));
                    (told, last) = (None, Some(text));
                }
                Err(problem) if told.as_ref() == Some(&problem) => {}
                Err(problem) => {
                    tracing::warn!(problem, "API keys cannot be read again: the old ones stay in use");
                    told = Some(problem);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
