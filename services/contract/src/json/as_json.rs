//! How the domain's values are written in JSON, for serde's `with`.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    AttributeName, AttributeValue, Attributes, Brand, CategoryPath, Currency, Description, InitialStatus,
    Name, ProductId, Reason, Sku, Status, Tag, Tags, ValueError, Version,
};
use serde::de::Deserializer;
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

/// What rows and answers hold was accepted once, by the rules of its time.
pub(super) trait Stored: Sized {
    fn stored(text: &str) -> Result<Self, ValueError>;
}

macro_rules! stored {
    ($read:ident: $($value:ident),*) => {$(
        impl Stored for $value {
            fn stored(text: &str) -> Result<Self, ValueError> {
                $value::$read(text)
            }
        }
    )*};
}

stored!(stored: Sku, Name, Description, CategoryPath, Brand, Reason);
stored!(parse: ProductId, Currency, Status, InitialStatus);

/// A value that is text.
pub(super) mod text {
    use std::borrow::Cow;

    use super::{Deserialize, Deserializer, Serializer, Stored};

    pub(in crate::json) fn serialize<T: AsRef<str>, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.as_ref())
    }

    pub(in crate::json) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: Stored,
        D: Deserializer<'de>,
    {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        T::stored(&text).map_err(serde::de::Error::custom)
    }
}

/// A value that is text or absent.
pub(super) mod optional_text {
    use std::borrow::Cow;

    use super::{Deserialize, Deserializer, Serialize, Serializer, Stored};

    #[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
    pub(in crate::json) fn serialize<T: AsRef<str>, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        value.as_ref().map(AsRef::as_ref).serialize(serializer)
    }

    pub(in crate::json) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: Stored,
        D: Deserializer<'de>,
    {
        let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
        text.map(|text| T::stored(&text)).transpose().map_err(serde::de::Error::custom)
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
            let value = AttributeValue::stored(&value).map_err(custom)?;
            pairs.insert(AttributeName::stored(&name).map_err(serde::de::Error::custom)?, value);
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
            tags.insert(Tag::stored(&tag).map_err(serde::de::Error::custom)?);
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
