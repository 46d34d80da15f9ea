//! The values that are text. A text is trimmed, brought to Unicode's form NFC and then checked; beyond that it is never
//! corrected. So one text has one spelling, however the client's keyboard or file wrote its accents.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use unicode_normalization::{IsNormalized, UnicodeNormalization as _, is_nfc_quick};

use super::{ValueError, characters};

/// Declares a text value of at most `$longest` characters: a shared string that went through `$check`, which returns the
/// text to keep.
macro_rules! text_value {
    ($(#[$doc:meta])* $name:ident, $field:literal, $longest:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The most characters there can be.
            pub const MAX_LEN: usize = $longest;

            /// Parses the value, or says what is wrong with it.
            pub fn parse(input: &str) -> Result<Self, ValueError> {
                let check: fn(&str, usize) -> Result<Cow<'_, str>, String> = $check;
                match check(input, $longest) {
                    Ok(text) => Ok(Self(Arc::from(text.as_ref()))),
                    Err(problem) => Err(ValueError::new($field, problem)),
                }
            }

            /// Takes a value as it was written once: only its length is bounded. What texts may hold is decided before they
            /// are written, and by rules that may change; what was accepted stays readable, and as it was.
            pub fn stored(text: &str) -> Result<Self, ValueError> {
                at_most(text, $longest).map_err(|problem| ValueError::new($field, problem))?;
                Ok(Self(Arc::from(text)))
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
    ProductId, "product_id", 64, |input, longest| {
        if input.is_empty() {
            return Err("must not be empty".to_owned());
        }
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if let Some(c) = input.chars().find(|c| !is_allowed(*c)) {
            return Err(format!("may contain only A-Z, a-z, 0-9, '.', '_' and '-', not {c:?}"));
        }
        at_most(input, longest)?;
        if input.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            Ok(Cow::Borrowed(input))
        } else {
            Err("must start with a letter or a digit".to_owned())
        }
    }
);

text_value!(
    /// A stock keeping unit: 1 to 64 characters on one line. It keeps its case; see [`Sku::folded`].
    Sku, "sku", 64, one_line
);

impl Sku {
    /// The SKU without its case: two SKUs that people take for the same have the same folded text. Nothing merges
    /// products by it.
    pub fn folded(&self) -> String {
        // Upper case first, so that letters without a simple partner (the sharp s, the final sigma) meet theirs.
        nfc(&self.0.to_uppercase().to_lowercase()).into_owned()
    }
}

text_value!(
    /// A product's name: 1 to 200 characters on one line.
    Name, "name", 200, one_line
);

text_value!(
    /// A brand's name: 1 to 100 characters on one line.
    Brand, "brand", 100, one_line
);

text_value!(
    /// A product's description: up to 10,000 characters; new lines and tabs are allowed, and it may be empty.
    Description, "description", 10_000, |input, longest| {
        let text = nfc(characters::trim(input));
        if !text.is_empty() {
            checked(&text, true, longest)?;
        }
        Ok(text)
    }
);

text_value!(
    /// Why a product was discontinued or deleted: 1 to 500 characters on one line.
    Reason, "reason", 500, one_line
);

text_value!(
    /// The name of an attribute: 1 to 64 characters on one line.
    AttributeName, "attributes", 64, one_line
);

text_value!(
    /// The value of an attribute: 1 to 1,000 characters on one line.
    AttributeValue, "attributes", 1_000, one_line
);

text_value!(
    /// A tag: 1 to 64 characters on one line.
    Tag, "tags", 64, one_line
);

/// Checks a text on one line that shows something; returns it trimmed, in NFC and with one kind of space.
pub(super) fn one_line(input: &str, longest: usize) -> Result<Cow<'_, str>, String> {
    let text = characters::one_space(nfc(characters::trim(input)));
    if text.is_empty() {
        return Err("must not be empty".to_owned());
    }
    checked(&text, false, longest)?;
    Ok(text)
}

fn checked(text: &str, lines: bool, longest: usize) -> Result<(), String> {
    characters::check(text, lines)?;
    if !characters::shows_something(text) {
        return Err("must show something: it holds invisible characters only".to_owned());
    }
    at_most(text, longest)
}

fn nfc(text: &str) -> Cow<'_, str> {
    if text.is_ascii() || is_nfc_quick(text.chars()) == IsNormalized::Yes {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(text.nfc().collect())
    }
}

pub(super) fn at_most(text: &str, longest: usize) -> Result<(), String> {
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
