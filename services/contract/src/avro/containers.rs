//! Avro's maps and arrays of strings, read straight into the domain's attributes and tags.

use std::fmt;

use domain::{Attributes, Tags, ValueError};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// An Avro map. What the domain says about its contents is kept beside Avro's own errors, which are about form.
pub(super) struct Map(pub(super) Result<Attributes, ValueError>);

/// An Avro array of strings, likewise.
pub(super) struct List(pub(super) Result<Tags, ValueError>);

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let attributes = self.0.as_ref().map_err(serde::ser::Error::custom)?;
        serializer.collect_map(attributes.iter())
    }
}

impl Serialize for List {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tags = self.0.as_ref().map_err(serde::ser::Error::custom)?;
        serializer.collect_seq(tags.iter())
    }
}

impl<'de> Deserialize<'de> for Map {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Map;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Map, A::Error> {
                let mut failure = None;
                let attributes = Attributes::stored(std::iter::from_fn(|| {
                    map.next_entry::<&'de str, &'de str>().unwrap_or_else(|error| {
                        failure = Some(error);
                        None
                    })
                }));
                if let Some(failure) = failure {
                    return Err(failure);
                }
                // An invalid pair ended the parsing early; the rest must still be well-formed.
                if attributes.is_err() {
                    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                }
                Ok(Map(attributes))
            }
        }
        deserializer.deserialize_map(Pairs)
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;
        impl<'de> Visitor<'de> for Items {
            type Value = List;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of strings")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List, A::Error> {
                let mut failure = None;
                let tags = Tags::stored(std::iter::from_fn(|| {
                    seq.next_element::<&'de str>().unwrap_or_else(|error| {
                        failure = Some(error);
                        None
                    })
                }));
                if let Some(failure) = failure {
                    return Err(failure);
                }
                if tags.is_err() {
                    while seq.next_element::<IgnoredAny>()?.is_some() {}
                }
                Ok(List(tags))
            }
        }
        deserializer.deserialize_seq(Items)
    }
}
