//! Where a product stands in the tree of categories.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::{ValueError, text};

const FIELD: &str = "category";

/// A path of 1 to 8 segments joined by `/`, each a text of 1 to 64 characters on one line: `Clothing/T-Shirts & Tops`.
/// Space around a segment is not part of it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CategoryPath(Arc<str>);

impl CategoryPath {
    /// The most segments of a path.
    pub const MAX_DEPTH: usize = 8;
    /// The most characters of a segment.
    pub const MAX_SEGMENT_LEN: usize = 64;

    /// Parses a path, or says what is wrong with it.
    pub fn parse(input: &str) -> Result<Self, ValueError> {
        if input.is_empty() {
            return Err(ValueError::new(FIELD, "must not be empty"));
        }
        // Bounded before anything else, so that a hostile input is not walked segment by segment.
        let deepest = Self::MAX_DEPTH;
        if input.bytes().filter(|b| *b == b'/').take(deepest).count() == deepest {
            return Err(ValueError::new(FIELD, format!("must have at most {deepest} segments")));
        }
        let mut path = String::with_capacity(input.len());
        for segment in input.split('/') {
            let segment = text::one_line(segment, Self::MAX_SEGMENT_LEN)
                .map_err(|problem| ValueError::new(FIELD, format!("has a segment that {problem}")))?;
            if !path.is_empty() {
                path.push('/');
            }
            path.push_str(&segment);
        }
        Ok(Self(Arc::from(path)))
    }

    /// Takes a path as it was written once: only its length is bounded, see [`Name::stored`](super::Name::stored).
    pub fn stored(path: &str) -> Result<Self, ValueError> {
        let longest = Self::MAX_DEPTH * (Self::MAX_SEGMENT_LEN + 1) - 1;
        text::at_most(path, longest).map_err(|problem| ValueError::new(FIELD, problem))?;
        Ok(Self(Arc::from(path)))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments, from the root on.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/')
    }

    /// The categories this one lies in, from the root on, itself last.
    pub fn ancestors(&self) -> impl Iterator<Item = CategoryPath> + '_ {
        self.0
            .match_indices('/')
            .map(|(at, _)| Self(Arc::from(&self.0[..at])))
            .chain(std::iter::once_with(|| self.clone()))
    }

    /// Whether this is `other` or lies below it.
    pub fn is_within(&self, other: &CategoryPath) -> bool {
        self.0.strip_prefix(other.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

impl fmt::Display for CategoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CategoryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CategoryPath({:?})", &self.0)
    }
}

impl AsRef<str> for CategoryPath {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&str> for CategoryPath {
    type Error = ValueError;

    fn try_from(input: &str) -> Result<Self, ValueError> {
        Self::parse(input)
    }
}

impl FromStr for CategoryPath {
    type Err = ValueError;

    fn from_str(input: &str) -> Result<Self, ValueError> {
        Self::parse(input)
    }
}
