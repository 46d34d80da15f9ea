//! Value types: each parses its input once, and then cannot hold nonsense.
//!
//! Cloning any of them is cheap (shared text or a few bytes). Lengths are counted in characters
//! (Unicode scalar values of the text in NFC), not bytes.

mod category;
mod characters;
mod collections;
mod currency;
mod money;
mod status;
mod text;
mod version;

#[cfg(test)]
mod character_tests;
#[cfg(test)]
mod tests;

pub use category::CategoryPath;
pub use characters::{clean_line, clean_lines};
pub use collections::{Attributes, Tags};
pub use currency::Currency;
pub use money::Money;
pub use status::{InitialStatus, Status};
pub use text::{AttributeName, AttributeValue, Brand, Description, Name, ProductId, Reason, Sku, Tag};
pub use version::Version;

/// Says why an input is not a valid value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} {problem}")]
pub struct ValueError {
    /// The name of the value, as it is called in commands (`sku`, `category`, ...).
    pub field: &'static str,
    /// What is wrong and what would be right, so that it reads after the field's name: `must not be empty`.
    pub problem: String,
}

impl ValueError {
    pub(crate) fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}
