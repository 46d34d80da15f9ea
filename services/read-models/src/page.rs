//! Pages and their opaque tokens.
//!
//! Promises: a token is bound to its question; a damaged token or one of another question is an error, never a wrong page.
//! A page is bounded in bytes as well as in items.
//!
//! A token is checked and not signed: the gateways share no secret, and need none. What a forged token can ask for is the
//! question from another place on, which its author may ask for anyway; so each question decodes a cursor of its own types
//! and hands the store nothing else.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::QueryError;

/// How much of an answer is wanted, and from where on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Items per page; 0 means [`PageRequest::DEFAULT_SIZE`], more than [`PageRequest::MAX_SIZE`] means that.
    pub size: u32,
    /// [`Page::next`] of the page before; `None` for the first page.
    pub token: Option<String>,
}

impl PageRequest {
    pub const DEFAULT_SIZE: u32 = 50;
    pub const MAX_SIZE: u32 = 500;

    pub fn new(size: u32, token: Option<String>) -> Self {
        Self { size, token }
    }

    /// Whether the token, if there is one, is whole: what can be known of it before its question is asked.
    pub fn check(&self) -> Result<(), QueryError> {
        match &self.token {
            Some(token) => read(token).map(drop),
            None => Ok(()),
        }
    }

    /// The size to use, between 1 and [`Self::MAX_SIZE`].
    pub fn effective_size(&self) -> usize {
        match self.size {
            0 => Self::DEFAULT_SIZE as usize,
            n => n.min(Self::MAX_SIZE) as usize,
        }
    }
}

/// A page of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Opaque; `None` after the last page.
    pub next: Option<String>,
}

/// The products of one page hold about this many bytes at most. Clients of gRPC take 4 MiB unless told otherwise, and an
/// answer has more in it than products.
pub const MAX_PAGE_BYTES: usize = 3 * 1024 * 1024;

/// What is left of the bytes that an answer may have.
#[derive(Debug, Clone)]
pub struct Budget {
    left: usize,
    is_untouched: bool,
}

impl Budget {
    pub fn of_a_page() -> Self {
        Self::new(MAX_PAGE_BYTES)
    }

    pub fn new(bytes: usize) -> Self {
        Self { left: bytes, is_untouched: true }
    }

    /// Takes the bytes of the next item, if there is room for it. There is for the first one, whatever its size: a page
    /// without items would never end.
    pub fn takes(&mut self, bytes: usize) -> bool {
        let has_room = bytes <= self.left || self.is_untouched;
        if has_room {
            self.left = self.left.saturating_sub(bytes);
            self.is_untouched = false;
        } else {
            self.left = 0;
        }
        has_room
    }
}

/// A longer text is no token of ours: the longest cursor is a product's name and id.
const MAX_TOKEN_BYTES: usize = 2_048;

#[derive(Serialize, Deserialize)]
struct Token<C> {
    /// The question it belongs to.
    q: u64,
    c: C,
}

/// Encodes `cursor` as a token of `question`.
pub(crate) fn encode(question: &str, cursor: impl Serialize) -> Result<String, QueryError> {
    let token = Token { q: stable_hash(question.as_bytes()), c: cursor };
    let json = serde_json::to_vec(&token)
        .map_err(|e| QueryError::Internal(format!("encoding a page token: {e}")))?;
    let mut bytes = stable_hash(&json).to_be_bytes()[..4].to_vec();
    bytes.extend_from_slice(&json);
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The cursor in `token`, if it is a token of `question`.
pub(crate) fn decode<C: DeserializeOwned>(question: &str, token: &str) -> Result<C, QueryError> {
    let Token { q, c } = read(token)?;
    if q != stable_hash(question.as_bytes()) {
        return Err(bad(
            "belongs to another question; repeat the question it came from, or start without a token",
        ));
    }
    serde_json::from_value(c).map_err(|_| bad("is of another kind of question"))
}

fn read(token: &str) -> Result<Token<Value>, QueryError> {
    if token.len() > MAX_TOKEN_BYTES {
        return Err(bad("is longer than any that is given out"));
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad("is not base64url"))?;
    let (check, json) = bytes.split_at_checked(4).ok_or_else(|| bad("is too short"))?;
    if check != &stable_hash(json).to_be_bytes()[..4] {
        return Err(bad("is damaged"));
    }
    serde_json::from_slice(json).map_err(|_| bad("is of another kind of question"))
}

fn bad(why: &str) -> QueryError {
    QueryError::BadPageToken(format!("page token {why}"))
}

/// FNV-1a: the same on every machine and in every build, which row keys and tokens need.
pub(crate) fn stable_hash(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_gives_back_its_cursor() {
        let token = encode("list a/b", (3_u8, "p-1")).unwrap();
        assert_eq!(decode::<(u8, String)>("list a/b", &token).unwrap(), (3, "p-1".to_owned()));
    }

    #[test]
    fn a_token_is_known_to_be_whole_before_its_question_is_asked() {
        let check = |token: &str| PageRequest::new(0, Some(token.to_owned())).check();
        check(&encode("list a/b", (3_u8, "p-1")).unwrap()).unwrap();
        PageRequest::default().check().unwrap();
        for forged in ["garbage", "", "====", &"A".repeat(100_000)] {
            assert!(matches!(check(forged), Err(QueryError::BadPageToken(_))), "{forged:.20}");
        }
        let far = encode("list a/b", "x".repeat(2_000)).unwrap();
        assert!(matches!(decode::<String>("list a/b", &far), Err(QueryError::BadPageToken(_))));
    }

    #[test]
    fn a_budget_has_room_for_a_first_item_of_any_size_and_ends_where_one_does_not_fit() {
        let mut budget = Budget::new(10);
        assert_eq!([6, 4, 1].map(|bytes| budget.takes(bytes)), [true, true, false]);
        let mut budget = Budget::new(10);
        assert_eq!([100, 1].map(|bytes| budget.takes(bytes)), [true, false]);
        let mut budget = Budget::new(10);
        assert_eq!([6, 5, 1].map(|bytes| budget.takes(bytes)), [true, false, false], "items stay in order");
    }

    #[test]
    fn a_damaged_or_foreign_token_is_an_error() {
        let token = encode("list a/b", (3_u8, "p-1")).unwrap();
        assert!(matches!(decode::<(u8, String)>("list a/c", &token), Err(QueryError::BadPageToken(_))));
        assert!(matches!(decode::<u8>("list a/b", &token), Err(QueryError::BadPageToken(_))));
        for cut in 0..token.len() {
            assert!(matches!(
                decode::<(u8, String)>("list a/b", &token[..cut]),
                Err(QueryError::BadPageToken(_))
            ));
        }
        for i in 0..token.len() {
            let mut damaged = token.clone().into_bytes();
            damaged[i] = if damaged[i] == b'A' { b'B' } else { b'A' };
            let damaged = String::from_utf8(damaged).unwrap();
            if damaged != token {
                assert!(decode::<(u8, String)>("list a/b", &damaged).is_err());
            }
        }
    }
}
