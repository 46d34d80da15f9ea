//! Attributes and tags: bounded, ordered, so that equal contents are equal values.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{AttributeName, AttributeValue, Tag, ValueError};

/// A product's attributes: up to 64 pairs of name and value, ordered by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Attributes(Arc<BTreeMap<AttributeName, AttributeValue>>);

impl Attributes {
    /// The most attributes a product can have.
    pub const MAX: usize = 64;

    /// Makes attributes of parsed pairs.
    pub fn new(pairs: BTreeMap<AttributeName, AttributeValue>) -> Result<Self, ValueError> {
        if pairs.len() > Self::MAX {
            return Err(Self::too_many(pairs.len()));
        }
        Ok(Self(Arc::new(pairs)))
    }

    /// What is wrong with so many pairs: to refuse them before each is looked at.
    pub fn too_many(count: usize) -> ValueError {
        ValueError::new("attributes", format!("must be at most {}, but are {count}", Self::MAX))
    }

    /// What is wrong with a name that comes twice, perhaps written differently.
    pub fn named_twice(name: &AttributeName) -> ValueError {
        ValueError::new("attributes", format!("must name {:?} only once", name.as_str()))
    }

    /// Parses pairs of name and value; a name that comes twice is an error. Stops at the first error.
    pub fn parse<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ValueError> {
        Self::read(pairs, AttributeName::parse, AttributeValue::parse)
    }

    /// Takes pairs as they were written once, see [`AttributeValue::stored`]. Stops at the first error.
    pub fn stored<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self, ValueError> {
        Self::read(pairs, AttributeName::stored, AttributeValue::stored)
    }

    fn read<'a>(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        read_name: fn(&str) -> Result<AttributeName, ValueError>,
        read_value: fn(&str) -> Result<AttributeValue, ValueError>,
    ) -> Result<Self, ValueError> {
        let mut parsed = BTreeMap::new();
        for (name, value) in pairs {
            let name = read_name(name).map_err(|error| {
                ValueError::new("attributes", format!("have a name that {}", error.problem))
            })?;
            if parsed.len() == Self::MAX {
                return Err(ValueError::new("attributes", format!("must be at most {}", Self::MAX)));
            }
            let value = read_value(value).map_err(|error| {
                ValueError::new(
                    "attributes",
                    format!("have a value of {:?} that {}", name.as_str(), error.problem),
                )
            })?;
            if let Some(_earlier) = parsed.insert(name.clone(), value) {
                return Err(Self::named_twice(&name));
            }
        }
        Ok(Self(Arc::new(parsed)))
    }

    /// The value of the attribute with this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        // Names are ordered as text, but a lookup by `&str` would need `Borrow`; 64 entries do not need it.
        self.0.iter().find(|(n, _)| n.as_str() == name).map(|(_, value)| value.as_str())
    }

    /// Names and values, ordered by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many attributes there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A product's tags: up to 64, each once, ordered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Tags(Arc<BTreeSet<Tag>>);

impl Tags {
    /// The most tags a product can have.
    pub const MAX: usize = 64;

    /// Makes tags of parsed ones.
    pub fn new(tags: BTreeSet<Tag>) -> Result<Self, ValueError> {
        if tags.len() > Self::MAX {
            return Err(Self::too_many(tags.len()));
        }
        Ok(Self(Arc::new(tags)))
    }

    /// What is wrong with so many tags: to refuse them before each is looked at.
    pub fn too_many(count: usize) -> ValueError {
        ValueError::new("tags", format!("must be at most {}, but are {count}", Self::MAX))
    }

    /// Parses tags; one that comes twice counts once. Stops at the first error.
    pub fn parse<'a>(tags: impl IntoIterator<Item = &'a str>) -> Result<Self, ValueError> {
        Self::read(tags, Tag::parse)
    }

    /// Takes tags as they were written once, see [`Tag::stored`]. Stops at the first error.
    pub fn stored<'a>(tags: impl IntoIterator<Item = &'a str>) -> Result<Self, ValueError> {
        Self::read(tags, Tag::stored)
    }

    fn read<'a>(
        tags: impl IntoIterator<Item = &'a str>,
        read: fn(&str) -> Result<Tag, ValueError>,
    ) -> Result<Self, ValueError> {
        let mut parsed = BTreeSet::new();
        for tag in tags {
            parsed.insert(read(tag)?);
            if parsed.len() > Self::MAX {
                return Err(ValueError::new("tags", format!("must be at most {}", Self::MAX)));
            }
        }
        Ok(Self(Arc::new(parsed)))
    }

    /// Whether this tag is among them.
    pub fn contains(&self, tag: &str) -> bool {
        self.iter().any(|t| t == tag)
    }

    /// The tags, ordered.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(Tag::as_str)
    }

    /// How many tags there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
