//! The values that are text. A text is trimmed where people type it, and then checked; it is never corrected.

use std::fmt;
use std::sync::Arc;

use super::ValueError;

/// Declares a text value: a shared string that went through `$check`, which returns the text to keep.
macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $field:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses the value, or says what is wrong with it.
            pub fn parse(input: &str) -> Result<Self, ValueError> {
                let check: fn(&str) -> Result<&str, String> = $check;
                match check(input) {
                    Ok(text) => Ok(Self(Arc::from(text))),
                    Err(problem) => Err(ValueError::new($field, problem)),
                }
            }

            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<&str> for $name {
            type Error = ValueError;

            fn try_from(input: &str) -> Result<Self, ValueError> {
                Self::parse(input)
            }
        }

        impl std::str::FromStr for $name {
            type Err = ValueError;

            fn from_str(input: &str) -> Result<Self, ValueError> {
                Self::parse(input)
            }
        }
    };
}

text_value!(
    /// A product's identity: 1 to 64 of `A-Z a-z 0-9 . _ -`, starting with a letter or digit. It is not trimmed.
    ProductId, "product_id", |input| {
        allowed(input, 64, "A-Z, a-z, 0-9, '.', '_' and '-'", |c| {
            c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-')
        })?;
        if input.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            Ok(input)
        } else {
            Err("must start with a letter or a digit".to_owned())
        }
    }
);

text_value!(
    /// A stock keeping unit: 1 to 64 of `A-Z 0-9 . _ / -`, trimmed. Lower case is an error, not a synonym.
    Sku, "sku", |input| {
        let text = input.trim();
        if text.contains(|c: char| c.is_ascii_lowercase()) {
            return Err("must be upper case".to_owned());
        }
        allowed(text, 64, "A-Z, 0-9, '.', '_', '/' and '-'", |c| {
            c.is_ascii_uppercase() || c.is_ascii_digit() || matches!(c, '.' | '_' | '/' | '-')
        })?;
        Ok(text)
    }
);

text_value!(
    /// A product's name: 1 to 200 characters on one line, trimmed.
    Name, "name", |input| one_line(input, 200)
);

text_value!(
    /// A brand's name: 1 to 100 characters on one line, trimmed.
    Brand, "brand", |input| one_line(input, 100)
);

text_value!(
    /// A product's description: up to 10,000 characters, trimmed; new lines and tabs are allowed, and it may be empty.
    Description, "description", |input| {
        let text = input.trim();
        no_control(text, |c| matches!(c, '\n' | '\r' | '\t'))?;
        at_most(text, 10_000)?;
        Ok(text)
    }
);

text_value!(
    /// Why a product was discontinued or deleted: 1 to 500 characters on one line, trimmed.
    Reason, "reason", |input| one_line(input, 500)
);

text_value!(
    /// The name of an attribute: 1 to 64 of `a-z 0-9 _`, starting with a letter.
    AttributeName, "attributes", |input| {
        allowed(input, 64, "a-z, 0-9 and '_' in names", |c| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'
        })?;
        if input.starts_with(|c: char| c.is_ascii_lowercase()) {
            Ok(input)
        } else {
            Err("must have names that start with a letter".to_owned())
        }
    }
);

text_value!(
    /// The value of an attribute: 1 to 1,000 characters on one line, trimmed.
    AttributeValue, "attributes", |input| one_line(input, 1_000)
);

text_value!(
    /// A tag: 1 to 64 of `a-z 0-9 -`.
    Tag, "tags", |input| slug(input)
);

/// Checks a slug: 1 to 64 of `a-z 0-9 -`.
pub(super) fn slug(text: &str) -> Result<&str, String> {
    allowed(text, 64, "a-z, 0-9 and '-'", |c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')?;
    Ok(text)
}

fn one_line(input: &str, longest: usize) -> Result<&str, String> {
    let text = input.trim();
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    no_control(text, |_| false)?;
    at_most(text, longest)?;
    Ok(text)
}

fn allowed(text: &str, longest: usize, set: &str, is_allowed: fn(char) -> bool) -> Result<(), String> {
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    if let Some(c) = text.chars().find(|c| !is_allowed(*c)) {
        return Err(format!("may contain only {set}, not {c:?}"));
    }
    at_most(text, longest)
}

fn no_control(text: &str, except: fn(char) -> bool) -> Result<(), String> {
    match text.chars().find(|c| c.is_control() && !except(*c)) {
        Some(c) => Err(format!("must not contain the control character {c:?}")),
        None => Ok(()),
    }
}

fn at_most(text: &str, longest: usize) -> Result<(), String> {
    // Bytes are never fewer than characters, so most texts need no counting.
    if text.len() <= longest {
        return Ok(());
    }
    let length = text.chars().count();
    if length <= longest {
        return Ok(());
    }
    Err(format!("must have at most {longest} characters, but has {length}"))
}
