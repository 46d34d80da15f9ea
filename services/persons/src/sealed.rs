//! A name as events hold it: a pseudonym, and the name encrypted with its person's key.
//!
//! Promises: a name is only opened with the very key and under the very pseudonym that it was sealed with; what is not a sealed name is
//! never taken for one that can be opened; the length of a ciphertext tells a name's length only to the next 32 bytes.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use secrecy::zeroize::Zeroizing;
use uuid::Uuid;

/// What a sealed name begins with, and a pseudonym.
const PREFIX: &str = "person:";
/// Names are filled up to a multiple of this.
const BLOCK: usize = 32;
/// What ciphertexts of names are bound to, beside their pseudonym.
const PURPOSE: &[u8] = b"folio person name 1";
/// The bytes of a key.
pub(crate) const KEY_LEN: usize = 32;

/// What a person is called where nobody may know the name: random, so that it says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pseudonym(pub Uuid);

impl Pseudonym {
    /// A new one.
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Reads `person:<uuid>`, or the UUID alone.
    pub fn parse(text: &str) -> Option<Self> {
        text.strip_prefix(PREFIX).unwrap_or(text).parse().ok().map(Self)
    }
}

impl fmt::Display for Pseudonym {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0.hyphenated())
    }
}

/// The key of one person. Wiped on drop.
#[derive(Clone)]
pub struct DataKey(Zeroizing<[u8; KEY_LEN]>);

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<redacted>")
    }
}

impl DataKey {
    /// A new one; none if the system has no random numbers.
    pub fn random() -> Option<Self> {
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        rand::fill(&mut *bytes).ok()?;
        Some(Self(bytes))
    }

    pub(crate) fn of(bytes: &[u8]) -> Option<Self> {
        let bytes: [u8; KEY_LEN] = bytes.try_into().ok()?;
        Some(Self(Zeroizing::new(bytes)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &*self.0
    }

    /// Nonce and ciphertext of a text that belongs to `bound`.
    pub(crate) fn encrypt(&self, mut text: Vec<u8>, bound: &[&[u8]]) -> Option<Vec<u8>> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, self.bytes()).ok()?;
        let nonce = key.seal_in_place_append_tag(Aad::from(bound.concat()), &mut text).ok()?;
        Some([nonce.as_ref().as_slice(), &text].concat())
    }

    /// The text again.
    pub(crate) fn decrypt(&self, bytes: &[u8], bound: &[&[u8]]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, text) = bytes.split_at_checked(NONCE_LEN)?;
        let key = RandomizedNonceKey::new(&AES_256_GCM, self.bytes()).ok()?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = Zeroizing::new(text.to_vec());
        let length = key.open_in_place(nonce, Aad::from(bound.concat()), &mut text).ok()?.len();
        text.truncate(length);
        Some(text)
    }
}

/// A name as events hold it: `person:<pseudonym>:<nonce and ciphertext in base64>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub pseudonym: Pseudonym,
    pub(crate) bytes: Vec<u8>,
}

impl Sealed {
    /// Seals a name; none if it has more than 65,535 bytes, or the system has no random numbers.
    pub fn seal(name: &str, pseudonym: Pseudonym, key: &DataKey) -> Option<Self> {
        let length = u16::try_from(name.len()).ok()?;
        let mut text = [&length.to_be_bytes(), name.as_bytes()].concat();
        text.resize(text.len().next_multiple_of(BLOCK), 0);
        let bytes = key.encrypt(text, &[PURPOSE, pseudonym.0.as_bytes()])?;
        Some(Self { pseudonym, bytes })
    }

    /// The name; none if it was not sealed with this key under this pseudonym.
    pub fn open(&self, key: &DataKey) -> Option<String> {
        let text = key.decrypt(&self.bytes, &[PURPOSE, self.pseudonym.0.as_bytes()])?;
        let (length, text) = text.split_first_chunk()?;
        let name = text.get(..usize::from(u16::from_be_bytes(*length)))?;
        std::str::from_utf8(name).ok().map(str::to_owned)
    }

    /// Reads what an event holds; none if that is a plain name.
    pub fn parse(text: &str) -> Option<Self> {
        let (pseudonym, sealed) = text.strip_prefix(PREFIX)?.split_once(':')?;
        let pseudonym = Pseudonym(pseudonym.parse().ok()?);
        Some(Self { pseudonym, bytes: BASE64_URL_SAFE_NO_PAD.decode(sealed).ok()? })
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.pseudonym, BASE64_URL_SAFE_NO_PAD.encode(&self.bytes))
    }
}
