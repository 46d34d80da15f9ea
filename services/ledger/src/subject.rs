//! What a record is about: the id of a product, as text that is safe in a key. Promises that the text never holds a `/`.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The id of a product: 1 to 64 of `A-Z a-z 0-9 . _ -`, starting with a letter or digit. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(Arc<str>);

/// Why a text is not a [`Subject`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    #[error("a subject has 1 to 64 characters, this one has {0}")]
    Length(usize),
    #[error("a subject starts with a letter or digit")]
    Start,
    #[error("a subject holds only letters, digits, '.', '_' and '-'; byte {0} is something else")]
    Character(usize),
}

impl Subject {
    /// Longest subject, in bytes.
    pub const MAX_LEN: usize = 64;

    /// Checks the characters and copies the text.
    pub fn parse(text: &str) -> Result<Self, SubjectError> {
        check(text.as_bytes())?;
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// For text that [`check`] has accepted.
    pub(crate) fn of_checked(text: &str) -> Self {
        debug_assert!(check(text.as_bytes()).is_ok());
        Self(text.into())
    }
}

/// The character rule, on bytes: a key is checked before it is text.
pub(crate) fn check(text: &[u8]) -> Result<(), SubjectError> {
    let Some(first) = text.first() else { return Err(SubjectError::Length(0)) };
    if text.len() > Subject::MAX_LEN {
        return Err(SubjectError::Length(text.len()));
    }
    if !first.is_ascii_alphanumeric() {
        return Err(SubjectError::Start);
    }
    match text.iter().position(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))) {
        Some(at) => Err(SubjectError::Character(at)),
        None => Ok(()),
    }
}

impl Borrow<str> for Subject {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for Subject {
    type Error = SubjectError;

    fn try_from(text: &str) -> Result<Self, SubjectError> {
        Self::parse(text)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_character_rule_is_the_product_ids() {
        for good in ["a", "A.b_c-9", "0", &"x".repeat(64)] {
            assert_eq!(Subject::parse(good).unwrap().as_str(), good);
        }
        for (bad, error) in [
            ("", SubjectError::Length(0)),
            (&*"x".repeat(65), SubjectError::Length(65)),
            (".a", SubjectError::Start),
            ("a/b", SubjectError::Character(1)),
            ("aü", SubjectError::Character(1)),
            ("a b", SubjectError::Character(1)),
        ] {
            assert_eq!(Subject::parse(bad), Err(error), "{bad:?}");
        }
    }
}
