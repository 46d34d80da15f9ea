//! What a command asks of its product's version. It is part of the decision: it is looked at on the same effective state as
//! the command itself, so that nothing comes between.

use std::fmt;
use std::sync::Arc;

/// The versions a product may have for a command to count. A product that was never created has version 0. The default asks
/// for nothing.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Expected {
    /// If there are some, one of them; if the list is empty, none will do.
    one_of: Option<Arc<[u64]>>,
    none_of: Arc<[u64]>,
}

impl Expected {
    /// Exactly this version; 0: the product was never created.
    pub fn version(version: u64) -> Self {
        Self::one_of([version])
    }

    /// Any version but 0: the product was created, and may be deleted.
    pub fn existing() -> Self {
        Self::none_of([0])
    }

    /// One of these versions. Of none of them nothing is met.
    pub fn one_of(versions: impl IntoIterator<Item = u64>) -> Self {
        Self { one_of: Some(versions.into_iter().collect()), none_of: Arc::default() }
    }

    /// Any version but these.
    pub fn none_of(versions: impl IntoIterator<Item = u64>) -> Self {
        Self { one_of: None, none_of: versions.into_iter().collect() }
    }

    /// What this asks and what `other` asks.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let one_of = match (self.one_of, other.one_of) {
            (Some(one), Some(other)) => Some(one.iter().copied().filter(|it| other.contains(it)).collect()),
            (one, other) => one.or(other),
        };
        Self { one_of, none_of: self.none_of.iter().chain(other.none_of.iter()).copied().collect() }
    }

    /// Whether a product of this version is as asked.
    pub fn is_met_by(&self, version: u64) -> bool {
        self.one_of.as_ref().is_none_or(|versions| versions.contains(&version))
            && !self.none_of.contains(&version)
    }

    /// Whether no version at all is as asked.
    pub fn is_never_met(&self) -> bool {
        self.one_of.as_ref().is_some_and(|versions| !versions.iter().any(|it| self.is_met_by(*it)))
    }

    /// The one version that is as asked, if there is only one.
    pub fn only(&self) -> Option<u64> {
        match self.one_of.as_deref() {
            Some([version]) if self.is_met_by(*version) => Some(*version),
            _ => None,
        }
    }
}

/// A version, or anything.
impl From<Option<u64>> for Expected {
    fn from(version: Option<u64>) -> Self {
        version.map_or_else(Self::default, Self::version)
    }
}

/// Reads after "expected": `version 3`, `that the product exists`.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |versions: &[u64]| versions.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
        match (self.one_of.as_deref(), &*self.none_of) {
            (None, []) => f.write_str("any version"),
            (None, [0]) => f.write_str("that the product exists"),
            (None, not) => write!(f, "none of the versions {}", list(not)),
            (Some([]), _) => f.write_str("a version that no product can have"),
            (Some([0]), []) => f.write_str("that the product does not exist"),
            (Some([one]), []) => write!(f, "version {one}"),
            (Some(versions), []) => write!(f, "one of the versions {}", list(versions)),
            (Some(versions), not) => {
                write!(f, "one of the versions {} and none of {}", list(versions), list(not))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_met_by_these_versions_and_no_others() {
        let one_of_two = || Expected::one_of([1, 3]);
        for (expected, met, said) in [
            (Expected::default(), [true, true, true, true], "any version"),
            (Expected::version(0), [true, false, false, false], "that the product does not exist"),
            (Expected::version(2), [false, false, true, false], "version 2"),
            (Expected::existing(), [false, true, true, true], "that the product exists"),
            (one_of_two(), [false, true, false, true], "one of the versions 1, 3"),
            (Expected::none_of([2]), [true, true, false, true], "none of the versions 2"),
            (Expected::one_of([]), [false; 4], "a version that no product can have"),
            (one_of_two().and(Expected::version(3)), [false, false, false, true], "version 3"),
            (
                one_of_two().and(Expected::none_of([3])),
                [false, true, false, false],
                "one of the versions 1, 3 and none of 3",
            ),
            (
                Expected::existing().and(Expected::version(0)),
                [false; 4],
                "one of the versions 0 and none of 0",
            ),
        ] {
            assert_eq!([0, 1, 2, 3].map(|version| expected.is_met_by(version)), met, "{expected:?}");
            assert_eq!(expected.to_string(), said);
            assert_eq!(expected.is_never_met(), met == [false; 4], "{expected:?}");
            let only: Vec<u64> = (0..4).filter(|version| expected.is_met_by(*version)).collect();
            assert!(expected.only().is_none_or(|it| only == [it]), "{expected:?}");
        }
        assert_eq!(Expected::from(Some(2)), Expected::version(2));
        assert_eq!((Expected::from(None), Expected::version(2).only()), (Expected::default(), Some(2)));
    }
}
