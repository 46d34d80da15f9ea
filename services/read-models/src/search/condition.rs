//! What a product must be to be found, and what makes it a better hit, in terms that every index can carry out.
//!
//! Promise: what is searched for is decided before it becomes a condition; an index decides nothing, so that all of them find the
//! same products.

/// A field of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// A category and all its ancestors.
    Categories,
    Brand,
    Status,
    Currency,
    Tags,
    AttributeNames,
    /// Names and values of attributes: one text of both.
    AttributePairs,
    /// The SKU as it is compared.
    SkuKey,
    /// The name as it is sorted.
    NameKey,
    /// Terms of name and SKU.
    TitleTerms,
    /// Terms of brand and tags.
    LabelTerms,
    /// Terms of all texts.
    Terms,
}

impl Field {
    pub const ALL: [Self; 12] = [
        Self::Categories,
        Self::Brand,
        Self::Status,
        Self::Currency,
        Self::Tags,
        Self::AttributeNames,
        Self::AttributePairs,
        Self::SkuKey,
        Self::NameKey,
        Self::TitleTerms,
        Self::LabelTerms,
        Self::Terms,
    ];

    /// As indexes name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Categories => "categories",
            Self::Brand => "brand",
            Self::Status => "status",
            Self::Currency => "currency",
            Self::Tags => "tags",
            Self::AttributeNames => "attribute_names",
            Self::AttributePairs => "attribute_pairs",
            Self::SkuKey => "sku_key",
            Self::NameKey => "name_key",
            Self::TitleTerms => "title_terms",
            Self::LabelTerms => "label_terms",
            Self::Terms => "terms",
        }
    }
}

/// What a product must be. It makes no hit better than another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// The field has one of these values.
    OneOf { field: Field, values: Vec<String> },
    /// The field has a value that begins so.
    BeginsWith { field: Field, prefix: String },
    /// The price lies between these, inclusive, in minor units of whatever currency.
    Price { min: Option<u64>, max: Option<u64> },
    /// The field has a term that is written nearly so.
    Nearly(Nearly),
    /// All of these.
    All(Vec<Condition>),
    /// One of these at least; of none: nothing is found.
    Any(Vec<Condition>),
}

/// A term with typos: a letter more, less, another, or two letters side by side in the other order; never in the first letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nearly {
    pub field: Field,
    pub term: String,
    /// At most so many.
    pub typos: u8,
    /// It stands for so many terms of the index at most: those that are nearest for their length, of equals the first in order.
    pub variants: usize,
}

/// What makes a hit better: scores are added.
#[derive(Debug, Clone, PartialEq)]
pub enum Better {
    /// So much for a product like this.
    By { score: u32, condition: Condition },
    /// For each of these terms, the more the rarer it is (BM25). A term that comes twice counts twice.
    Terms { field: Field, terms: Vec<String>, boost: f32 },
    /// The same for the terms that one with typos stands for.
    Nearly(Nearly),
}
