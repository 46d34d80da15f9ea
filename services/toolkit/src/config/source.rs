//! Where settings come from, and how a scalar of any source becomes text.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use figment::value::{Dict, Map, Value};
use figment::{Metadata, Profile, Provider};
use serde::de::{self, Deserializer, SeqAccess, Visitor};

/// What every variable of ours begins with; the rest is the key, its parts joined by `__`.
pub const ENV_PREFIX: &str = "FOLIO__";
pub(super) const ENVIRONMENT: &str = "environment";
pub(super) const COMMAND_LINE: &str = "command line";

/// Settings given as text: the environment, or the command line.
///
/// figment's own environment provider guesses types (a password `0123` becomes a number) and splits keys at dots;
/// here a value stays text until the field it belongs to says what it wants.
#[derive(Debug)]
pub(super) struct Settings {
    name: &'static str,
    values: Dict,
}

impl Settings {
    pub(super) fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut values = Dict::new();
        for (name, value) in variables {
            // A name or value that is not Unicode is none of ours.
            if let (Ok(name), Ok(value)) = (name.into_string(), value.into_string())
                && let Some(key) = name.strip_prefix(ENV_PREFIX)
            {
                insert(&mut values, key.to_lowercase().split("__"), value);
            }
        }
        Self { name: ENVIRONMENT, values }
    }

    pub(super) fn command_line(overrides: &[(String, String)]) -> Self {
        let mut values = Dict::new();
        for (key, value) in overrides {
            insert(&mut values, key.split('.'), value.clone());
        }
        Self { name: COMMAND_LINE, values }
    }
}

fn insert<'a>(dict: &mut Dict, mut path: impl Iterator<Item = &'a str>, value: String) {
    let Some(first) = path.next() else { return };
    let mut rest = path.peekable();
    if rest.peek().is_none() {
        dict.insert(first.to_owned(), Value::from(value));
        return;
    }
    let below = dict.entry(first.to_owned()).or_insert_with(|| Value::from(Dict::new()));
    if !matches!(below, Value::Dict(..)) {
        *below = Value::from(Dict::new());
    }
    if let Value::Dict(_, below) = below {
        insert_boxed(below, &mut rest, value);
    }
}

/// One type for every depth, or the recursion above would name an ever longer iterator type.
fn insert_boxed(dict: &mut Dict, path: &mut dyn Iterator<Item = &str>, value: String) {
    insert(dict, path.collect::<Vec<_>>().into_iter(), value);
}

impl Provider for Settings {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.name)
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Map::from([(Profile::Default, self.values.clone())]))
    }
}

/// Any scalar as the text it was written as.
pub(super) fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_any(Scalar)
}

/// An optional scalar: empty text and null are none.
pub fn optional<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(deserializer.deserialize_any(Scalar)?).filter(|text| !text.is_empty()))
}

/// An address: it is shown in logs and errors, and so holds no name and no password.
pub fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let url = scalar(deserializer)?;
    let authority = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        return Err(de::Error::custom(
            "the address holds a name or a password, and is shown in logs: take them out, there are keys of their own for them",
        ));
    }
    Ok(url)
}

/// An optional address: empty text and null are none.
pub fn optional_address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(Some(address(deserializer)?).filter(|url| !url.is_empty()))
}

/// An optional path: empty text and null are none.
pub fn optional_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    optional(deserializer).map(|text| text.map(PathBuf::from))
}

/// A list, or one text with commas (the shape a variable can have).
pub fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    deserializer.deserialize_any(List)
}

/// librdkafka's settings by name. `_` stands for `.` (a variable's name cannot hold a dot; no setting holds `_`).
pub fn properties<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, String>, D::Error> {
    #[derive(serde::Deserialize)]
    struct Text(#[serde(deserialize_with = "scalar")] String);
    let read: BTreeMap<String, Text> = serde::Deserialize::deserialize(deserializer)?;
    Ok(read.into_iter().map(|(key, value)| (key.replace('_', "."), value.0)).collect())
}

struct Scalar;

impl Visitor<'_> for Scalar {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number or a boolean")
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<String, E> {
        Ok(value.to_owned())
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<String, E> {
        Ok(value.to_string())
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<String, E> {
        Ok(value.to_string())
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<String, E> {
        Ok(value.to_string())
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<String, E> {
        Ok(value.to_string())
    }
    fn visit_unit<E: de::Error>(self) -> Result<String, E> {
        Ok(String::new())
    }
    fn visit_none<E: de::Error>(self) -> Result<String, E> {
        Ok(String::new())
    }
}

struct List;

impl<'de> Visitor<'de> for List {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list, or one text with commas")
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok(value.split(',').map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<String>()? {
            list.push(item);
        }
        Ok(list)
    }
}
