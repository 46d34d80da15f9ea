//! The consistency token: what a write hands out and a read hands back to see that write.
//!
//! It is opaque to clients. It promises that a damaged or invented text is an error and not another place in the log
//! (a check, not a signature: it holds nothing that a client may not know or choose).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use domain::{ProductId, Version};
use ledger::LogId;
use sha2::{Digest as _, Sha256};

/// The first byte of a token says which format it has: of a place in some log, as earlier releases made it,
const FORMAT: u8 = 1;
/// and in a log that is named.
const FORMAT_IN_LOG: u8 = 2;
const CHECK_BYTES: usize = 4;
/// Format, partition, offset, version, log.
const FIXED_BYTES: usize = 1 + 4 + 8 + 8 + 8;
/// What a place in a log can be, generously: a check is no signature, so a token may say anything, and whoever uses one
/// computes with these numbers (`offset + 1`) and hands them to stores that know only signed ones.
const MAX_PARTITION: i32 = 65_535;
const MAX_OFFSET: i64 = 1 << 62;
const MAX_VERSION: u64 = i64::MAX as u64;

/// How far a read must have come to see a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyToken {
    /// The product's partition of the events topic.
    pub partition: i32,
    /// The offset of the last record the write's answer rests on; -1 if the partition was empty.
    pub offset: i64,
    /// The product.
    pub product: ProductId,
    /// The product's version after the write; 0 if it does not exist.
    pub version: Version,
    /// The log that it is a place in. None: the partition was empty, or an earlier release made the token.
    pub log: Option<LogId>,
}

/// Why a text is no consistency token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// The text was never a token, or lost a part on its way.
    #[error("the consistency token is damaged: send it exactly as the write returned it")]
    Damaged,
    /// The token has a format of another release.
    #[error("the consistency token has format {0}, which is not known here")]
    UnknownFormat(u8),
    /// No log has such a place: the token was made up.
    #[error("the consistency token names no possible {0}: send it exactly as a write returned it")]
    Impossible(&'static str),
}

impl ConsistencyToken {
    /// Longer texts are not looked at.
    pub const MAX_TEXT: usize = 160;

    /// Whether a reader that has applied everything below `position` of the partition sees the write.
    pub fn is_reached_at(&self, position: i64) -> bool {
        position > self.offset
    }

    /// The token as text, safe in headers and URLs.
    pub fn encode(&self) -> String {
        let mut bytes = Vec::with_capacity(FIXED_BYTES + self.product.as_str().len() + CHECK_BYTES);
        bytes.push(if self.log.is_some() { FORMAT_IN_LOG } else { FORMAT });
        bytes.extend_from_slice(&self.partition.to_be_bytes());
        bytes.extend_from_slice(&self.offset.to_be_bytes());
        bytes.extend_from_slice(&self.version.get().to_be_bytes());
        if let Some(log) = self.log {
            bytes.extend_from_slice(&log.number().to_be_bytes());
        }
        bytes.extend_from_slice(self.product.as_str().as_bytes());
        let check = check(&bytes);
        bytes.extend_from_slice(&check);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads what [`ConsistencyToken::encode`] wrote.
    ///
    /// # Errors
    /// If the text is anything else.
    pub fn decode(text: &str) -> Result<Self, TokenError> {
        if text.len() > Self::MAX_TEXT {
            return Err(TokenError::Damaged);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Damaged)?;
        let (content, found) = bytes.split_last_chunk::<CHECK_BYTES>().ok_or(TokenError::Damaged)?;
        if *found != check(content) {
            return Err(TokenError::Damaged);
        }
        let (&format, rest) = content.split_first().ok_or(TokenError::Damaged)?;
        if ![FORMAT, FORMAT_IN_LOG].contains(&format) {
            return Err(TokenError::UnknownFormat(format));
        }
        let (partition, rest) = rest.split_first_chunk().ok_or(TokenError::Damaged)?;
        let (offset, rest) = rest.split_first_chunk().ok_or(TokenError::Damaged)?;
        let (version, rest) = rest.split_first_chunk().ok_or(TokenError::Damaged)?;
        let (log, product) = match format {
            FORMAT_IN_LOG => {
                let (log, product) = rest.split_first_chunk().ok_or(TokenError::Damaged)?;
                let log = LogId::from_number(u64::from_be_bytes(*log));
                (Some(log.ok_or(TokenError::Impossible("log"))?), product)
            }
            _ => (None, rest),
        };
        let product = std::str::from_utf8(product).map_err(|_| TokenError::Damaged)?;
        let token = Self {
            partition: i32::from_be_bytes(*partition),
            offset: i64::from_be_bytes(*offset),
            version: Version(u64::from_be_bytes(*version)),
            product: ProductId::parse(product).map_err(|_| TokenError::Damaged)?,
            log,
        };
        token.is_possible().map(|()| token)
    }

    fn is_possible(&self) -> Result<(), TokenError> {
        let possible = [
            ("partition", (0..=MAX_PARTITION).contains(&self.partition)),
            ("offset", (-1..=MAX_OFFSET).contains(&self.offset)),
            ("version", self.version.get() <= MAX_VERSION),
        ];
        match possible.into_iter().find(|(_, is_possible)| !is_possible) {
            Some((what, _)) => Err(TokenError::Impossible(what)),
            None => Ok(()),
        }
    }
}

fn check(content: &[u8]) -> [u8; CHECK_BYTES] {
    let digest = Sha256::digest(content);
    let mut check = [0; CHECK_BYTES];
    check.copy_from_slice(&digest[..CHECK_BYTES]);
    check
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn token() -> impl Strategy<Value = ConsistencyToken> {
        let product = "[A-Za-z0-9][A-Za-z0-9._-]{0,63}";
        (0..=MAX_PARTITION, -1..=MAX_OFFSET, product, 0..=MAX_VERSION, 0..=u64::MAX).prop_map(
            |(partition, offset, product, version, log)| ConsistencyToken {
                partition,
                offset,
                product: ProductId::parse(&product).unwrap(),
                version: Version(version),
                // Every second one is as earlier releases made it.
                log: LogId::from_number(log).filter(|_| log % 2 == 1),
            },
        )
    }

    proptest! {
        #[test]
        fn a_token_reads_back_as_it_was(token in token()) {
            let text = token.encode();
            prop_assert!(text.len() <= ConsistencyToken::MAX_TEXT);
            prop_assert_eq!(ConsistencyToken::decode(&text), Ok(token));
        }

        #[test]
        fn a_token_with_one_character_changed_is_an_error(token in token(), at: usize, to in "[A-Za-z0-9_-]") {
            let text = token.encode();
            let at = at % text.len();
            let damaged = format!("{}{to}{}", &text[..at], &text[at + 1..]);
            if damaged != text {
                prop_assert!(ConsistencyToken::decode(&damaged).is_err());
            }
        }

        #[test]
        fn any_text_is_a_token_or_an_error(text in ".{0,200}") {
            let _outcome = ConsistencyToken::decode(&text);
        }
    }

    #[test]
    fn a_token_keeps_its_form_between_releases() {
        let token = ConsistencyToken {
            partition: 3,
            offset: 41,
            product: ProductId::parse("p-1").unwrap(),
            version: Version(7),
            log: None,
        };
        assert_eq!(token.encode(), "AQAAAAMAAAAAAAAAKQAAAAAAAAAHcC0xVp0VPA");
        let in_log = ConsistencyToken { log: LogId::from_number(0x0123_4567_89ab_cdef), ..token.clone() };
        assert_eq!(in_log.encode(), "AgAAAAMAAAAAAAAAKQAAAAAAAAAHASNFZ4mrze9wLTEblYls");
        assert_eq!(ConsistencyToken::decode(&in_log.encode()), Ok(in_log));
        assert!(token.is_reached_at(42));
        assert!(!token.is_reached_at(41));
    }

    #[test]
    fn a_token_of_a_place_that_no_log_has_is_an_error() {
        let possible = ConsistencyToken {
            partition: MAX_PARTITION,
            offset: MAX_OFFSET,
            product: ProductId::parse("p-1").unwrap(),
            version: Version(MAX_VERSION),
            log: None,
        };
        assert_eq!(ConsistencyToken::decode(&possible.encode()), Ok(possible.clone()));
        for (what, forged) in [
            ("partition", ConsistencyToken { partition: -1, ..possible.clone() }),
            ("partition", ConsistencyToken { partition: 65_536, ..possible.clone() }),
            ("offset", ConsistencyToken { offset: -2, ..possible.clone() }),
            ("offset", ConsistencyToken { offset: i64::MAX, ..possible.clone() }),
            ("version", ConsistencyToken { version: Version(1 << 63), ..possible.clone() }),
        ] {
            assert_eq!(ConsistencyToken::decode(&forged.encode()), Err(TokenError::Impossible(what)));
        }
        let mut bytes = vec![FORMAT_IN_LOG];
        bytes.extend([0; FIXED_BYTES - 1]);
        bytes.extend(b"p-1");
        bytes.extend(check(&bytes));
        let no_log = ConsistencyToken::decode(&URL_SAFE_NO_PAD.encode(bytes));
        assert_eq!(no_log, Err(TokenError::Impossible("log")));
    }

    #[test]
    fn a_token_of_another_format_says_so() {
        let mut bytes = vec![9, 1, 2, 3];
        bytes.extend(check(&[9, 1, 2, 3]));
        assert_eq!(
            ConsistencyToken::decode(&URL_SAFE_NO_PAD.encode(bytes)),
            Err(TokenError::UnknownFormat(9))
        );
    }
}
