//! How the domain's values are written in JSON, for serde's `with`.

use std::collections::{BTreeMap, BTreeSet};

use domain::{AttributeName, AttributeValue, Attributes, Tag, Tags, ValueError, Version};
use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// A value that is text.
pub(super) mod text {
    use std::borrow::Cow;

    use super::{Deserialize, Deserializer, Serializer, ValueError};

    pub(in crate::json) fn serialize<T: AsRef<str>, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.as_ref())
    }

    pub(in crate::json) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: for<'a> TryFrom<&'a str, Error = ValueError>,
        D: Deserializer<'de>,
    {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        T::try_from(&text).map_err(serde::de::Error::custom)
    }
}

/// A value that is text or absent.
pub(super) mod optional_text {
    use std::borrow::Cow;

    use super::{Deserialize, Deserializer, Serialize, Serializer, ValueError};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(in crate::json) fn serialize<T: AsRef<str>, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(AsRef::as_ref).serialize(serializer)
    }

    pub(in crate::json) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: for<'a> TryFrom<&'a str, Error = ValueError>,
        D: Deserializer<'de>,
    {
        let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
        text.map(|text| T::try_from(&text)).transpose().map_err(serde::de::Error::custom)
    }
}

/// An object of texts.
pub(super) mod attributes {
    use super::{AttributeName, AttributeValue, Attributes, BTreeMap, Deserialize, Deserializer, Serializer};

    pub(in crate::json) fn serialize<S: Serializer>(
        value: &Attributes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_map(value.iter())
    }

    pub(in crate::json) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Attributes, D::Error> {
        let custom = serde::de::Error::custom;
        let mut pairs = BTreeMap::new();
        for (name, value) in BTreeMap::<String, String>::deserialize(deserializer)? {
            let value = AttributeValue::parse(&value).map_err(custom)?;
            pairs.insert(AttributeName::parse(&name).map_err(serde::de::Error::custom)?, value);
        }
        Attributes::new(pairs).map_err(serde::de::Error::custom)
    }
}

/// An array of texts.
pub(super) mod tags {
    use super::{BTreeSet, Deserialize, Deserializer, Serializer, Tag, Tags};

    pub(in crate::json) fn serialize<S: Serializer>(value: &Tags, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(value.iter())
    }

    pub(in crate::json) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tags, D::Error> {
        let mut tags = BTreeSet::new();
        for tag in Vec::<String>::deserialize(deserializer)? {
            tags.insert(Tag::parse(&tag).map_err(serde::de::Error::custom)?);
        }
        Tags::new(tags).map_err(serde::de::Error::custom)
    }
}

/// A version as a number.
pub(super) mod version {
    use super::{Deserialize, Deserializer, Serializer, Version};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference to the field")]
    pub(in crate::json) fn serialize<S: Serializer>(
        value: &Version,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(value.get())
    }

    pub(in crate::json) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Version, D::Error> {
        u64::deserialize(deserializer).map(Version)
    }
}
