//! Reads the fields of a JSON object one by one, and notes every fault instead of stopping at the first.

use std::collections::{BTreeMap, BTreeSet};

use domain::{AttributeName, AttributeValue, Attributes, Currency, Money, Tag, Tags, ValueError, Version};
use serde_json::{Map, Value};

use crate::fields::{Faults, MAX_TAGS_SENT, Path};

/// An object that is being read. Fields that nobody asked for are faults, see [`Object::finish`].
pub(super) struct Object<'a> {
    fields: &'a Map<String, Value>,
    path: Path<'a>,
    known: Vec<&'static str>,
}

impl<'a> Object<'a> {
    /// Opens `value` as an object.
    pub(super) fn open(value: &'a Value, path: &Path<'a>, faults: &mut Faults) -> Option<Self> {
        let Value::Object(fields) = value else {
            faults.form(path, format!("must be an object, not {}", kind(value)));
            return None;
        };
        Some(Self { fields, path: *path, known: Vec::with_capacity(10) })
    }

    /// A field that may be left out; null counts as left out.
    pub(super) fn optional(&mut self, name: &'static str) -> Option<&'a Value> {
        self.known.push(name);
        self.fields.get(name).filter(|value| !value.is_null())
    }

    /// A field that may be left out but, if it is there, has a value: null is a fault.
    pub(super) fn not_null(&mut self, name: &'static str, faults: &mut Faults) -> Option<&'a Value> {
        self.known.push(name);
        let value = self.fields.get(name)?;
        if value.is_null() {
            faults.form(&self.path.at(name), "must not be null: leave it out to keep it as it is");
            return None;
        }
        Some(value)
    }

    /// A field that must be there.
    pub(super) fn required(&mut self, name: &'static str, faults: &mut Faults) -> Option<&'a Value> {
        let value = self.optional(name);
        if value.is_none() {
            faults.form(&self.path.at(name), "is missing");
        }
        value
    }

    /// A text that must be there.
    pub(super) fn text<T>(
        &mut self,
        name: &'static str,
        parse: fn(&str) -> Result<T, ValueError>,
        faults: &mut Faults,
    ) -> Option<T> {
        let value = self.required(name, faults)?;
        text(value, &self.path.at(name), parse, faults)
    }

    /// A text that may be left out. The outer option is `None` after a fault.
    #[expect(clippy::option_option, reason = "a fault is not the same as a field that was left out")]
    pub(super) fn optional_text<T>(
        &mut self,
        name: &'static str,
        parse: fn(&str) -> Result<T, ValueError>,
        faults: &mut Faults,
    ) -> Option<Option<T>> {
        match self.optional(name) {
            None => Some(None),
            Some(value) => text(value, &self.path.at(name), parse, faults).map(Some),
        }
    }

    /// A version that may be left out. The outer option is `None` after a fault.
    #[expect(clippy::option_option, reason = "a fault is not the same as a field that was left out")]
    pub(super) fn optional_version(
        &mut self,
        name: &'static str,
        faults: &mut Faults,
    ) -> Option<Option<Version>> {
        let Some(value) = self.optional(name) else { return Some(None) };
        let version = value.as_u64().map(Version);
        if version.is_none() {
            faults.form(&self.path.at(name), "must be a whole number from 0");
        }
        version.map(Some)
    }

    /// Where a field of this object is.
    pub(super) fn at<'b>(&'b self, name: &'b str) -> Path<'b> {
        self.path.at(name)
    }

    /// Ends the reading: every field that nobody asked for is a fault.
    pub(super) fn finish(self, faults: &mut Faults) {
        for name in self.fields.keys() {
            if !self.known.contains(&name.as_str()) {
                let known = self.known.join(", ");
                let detail = if known.is_empty() {
                    "is not a known field; there are none".to_owned()
                } else {
                    format!("is not a known field; the fields are {known}")
                };
                faults.form(&self.path.at(name), detail);
            }
        }
    }
}

/// Reads a text.
pub(super) fn text<T>(
    value: &Value,
    path: &Path<'_>,
    parse: fn(&str) -> Result<T, ValueError>,
    faults: &mut Faults,
) -> Option<T> {
    let Value::String(text) = value else {
        faults.form(path, format!("must be a string, not {}", kind(value)));
        return None;
    };
    faults.keep(path, parse(text))
}

/// Reads `{"minor_units": 1999, "currency": "EUR"}`.
pub(super) fn money(value: &Value, path: &Path<'_>, faults: &mut Faults) -> Option<Money> {
    let mut object = Object::open(value, path, faults)?;
    let units = object.required("minor_units", faults).and_then(|value| {
        let path = object.at("minor_units");
        let units = value.as_i64();
        if units.is_none() && value.is_number() {
            faults
                .value(&path, "must be a whole number of minor units (cents for USD) that is not too large");
        } else if units.is_none() {
            faults.form(&path, format!("must be a whole number of minor units, not {}", kind(value)));
        }
        units
    });
    // The amount is checked also when the currency is not valid, so that both faults are named.
    let currency = object.text("currency", Currency::parse, faults);
    let money = units
        .zip(currency.or_else(|| Currency::all().next()))
        .and_then(|(units, currency)| faults.keep(&object.at("minor_units"), Money::of(units, currency)));
    object.finish(faults);
    currency.and(money)
}

/// Reads an object of texts.
pub(super) fn attributes(value: &Value, path: &Path<'_>, faults: &mut Faults) -> Option<Attributes> {
    let Value::Object(fields) = value else {
        faults.form(path, format!("must be an object of strings, not {}", kind(value)));
        return None;
    };
    if fields.len() > Attributes::MAX {
        faults.value(path, Attributes::too_many(fields.len()).problem);
        return None;
    }
    let mut pairs = BTreeMap::new();
    let mut complete = true;
    for (name, value) in fields {
        let path = path.at(name);
        let parsed_name = faults.keep(&path, AttributeName::parse(name));
        let parsed_value = text(value, &path, AttributeValue::parse, faults);
        match parsed_name.zip(parsed_value) {
            Some((name, value)) => {
                // Two spellings of one name: other case is another name, other accents are not.
                if pairs.contains_key(&name) {
                    faults.value(&path, Attributes::named_twice(&name).problem);
                    complete = false;
                }
                pairs.insert(name, value);
            }
            None => complete = false,
        }
    }
    faults.keep(path, Attributes::new(pairs)).filter(|_| complete)
}

/// Reads an array of texts.
pub(super) fn tags(value: &Value, path: &Path<'_>, faults: &mut Faults) -> Option<Tags> {
    let Value::Array(items) = value else {
        faults.form(path, format!("must be an array of strings, not {}", kind(value)));
        return None;
    };
    if items.len() > MAX_TAGS_SENT {
        faults.value(path, Tags::too_many(items.len()).problem);
        return None;
    }
    let mut parsed = BTreeSet::new();
    let mut complete = true;
    for (i, item) in items.iter().enumerate() {
        let index = i.to_string();
        match text(item, &path.at(&index), Tag::parse, faults) {
            Some(tag) => {
                parsed.insert(tag);
            }
            None => complete = false,
        }
    }
    faults.keep(path, Tags::new(parsed)).filter(|_| complete)
}

/// What a value is, for people.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
