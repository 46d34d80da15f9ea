//! What can be asked of `search`, and what comes back.
//!
//! Promise: what [`SearchRequest::check`] lets pass is a question the server can answer, at a cost that is bounded.

use domain::{AttributeName, AttributeValue, Brand, CategoryPath, Currency, ProductId, Status, Tag};

use super::{body, cursor};
use crate::page::PageRequest;
use crate::{QueryError, StoredProduct};

/// A text to search for has at most this many bytes,
pub const MAX_TEXT_BYTES: usize = 1_000;
/// and this many words: each becomes a few dozen clauses, of which a server takes 1,024 in all.
pub const MAX_WORDS: usize = 32;
/// Values of one filter: brands, statuses, tags, pairs of attributes.
pub const MAX_VALUES: usize = 64;
/// Facets of one question, and bounds of a price facet.
pub const MAX_FACETS: usize = 20;
/// The highest price that a filter can name: what the index can hold.
pub const MAX_PRICE: u64 = i64::MAX as u64;
/// The highest bound of a price facet: the highest price of a product, which a server's floating point still counts exactly.
pub const MAX_PRICE_BOUND: u64 = domain::Money::MOST;

/// A search. The default finds everything that is not deleted, best first.
#[derive(Debug, Clone, Default)]
pub struct SearchRequest {
    /// Words to look for in name, description, brand, SKU and tags; typos are tolerated. `None`: no text, filters only.
    pub text: Option<String>,
    pub filters: Filters,
    pub sort: Sort,
    /// Which facets to count over the products found.
    pub facets: Vec<Facet>,
    pub page: PageRequest,
}

/// What a product must be. Several values of one field: any of them; several fields: all of them.
#[derive(Debug, Clone, Default)]
pub struct Filters {
    /// This category and all below it.
    pub category: Option<CategoryPath>,
    pub brands: Vec<Brand>,
    /// Empty: every status but deleted.
    pub statuses: Vec<Status>,
    pub currency: Option<Currency>,
    /// Minor units, inclusive.
    pub price_min: Option<u64>,
    /// Minor units, inclusive.
    pub price_max: Option<u64>,
    /// All of these (name, value) pairs; several values of one name: any of them.
    pub attributes: Vec<(AttributeName, AttributeValue)>,
    /// All of these.
    pub tags: Vec<Tag>,
}

impl SearchRequest {
    /// Finds what a server would refuse less clearly, or answer at any cost. [`super::Queries::search`] asks it too; it is
    /// here for those who want to know before they wait for anything.
    pub fn check(&self) -> Result<(), QueryError> {
        let Filters { category: _, brands, statuses, currency: _, price_min, price_max, attributes, tags } =
            &self.filters;
        let bad = |problem: String| Err(QueryError::BadQuestion(problem));
        if let Some(Err(problem)) = self.text.as_deref().map(check_text) {
            return bad(format!("the text to search for {problem}"));
        }
        for (what, count, max) in [
            ("brands", brands.len(), MAX_VALUES),
            ("statuses", statuses.len(), MAX_VALUES),
            ("attributes", attributes.len(), MAX_VALUES),
            ("tags", tags.len(), MAX_VALUES),
            ("facets", self.facets.len(), MAX_FACETS),
        ] {
            if count > max {
                return bad(format!("{count} {what} are too many: give at most {max}"));
            }
        }
        if price_min.max(price_max).is_some_and(|price| price > MAX_PRICE) {
            return bad(format!("a price to search for is at most {MAX_PRICE}"));
        }
        if let (Some(min), Some(max)) = (price_min, price_max)
            && min > max
        {
            return bad(format!("the lowest price, {min}, is above the highest, {max}"));
        }
        for facet in &self.facets {
            if let Facet::Price { bounds } = facet
                && (bounds.len() > MAX_FACETS || bounds.iter().any(|bound| *bound > MAX_PRICE_BOUND))
            {
                return bad(format!(
                    "price bounds must be at most {MAX_FACETS}, none above {MAX_PRICE_BOUND}"
                ));
            }
        }
        match &self.page.token {
            Some(token) => cursor::Cursor::decode(&body::question(self), self.sort, token).map(drop),
            None => Ok(()),
        }
    }
}

/// Says what is wrong with a text to search for, or to complete, so that it reads after its name.
pub fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("must have at most {MAX_TEXT_BYTES} bytes, but has {}", text.len()));
    }
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Err("must not contain control characters".to_owned());
    }
    match words(text) {
        0..=MAX_WORDS => Ok(()),
        words => Err(format!("must have at most {MAX_WORDS} words, but has about {words}")),
    }
}

/// How many words a server's analyzer makes of a text, at least as many as it really makes: runs of letters and digits, those
/// too long for one token in pieces; where scripts have no spaces, and of symbols, each character.
pub(super) fn words(text: &str) -> usize {
    const LONGEST: usize = 255;
    let is_alone = |c: char| match c {
        // Hangul is written with spaces between words, and Katakana is one token as long as it runs.
        '\u{3130}'..='\u{318f}' | '\u{a000}'..='\u{d7ff}' | '\u{30a0}'..='\u{30ff}' => false,
        '\u{2e80}'.. => true,
        '\u{2100}'.. => !c.is_alphanumeric(),
        _ => false,
    };
    let (mut words, mut run) = (0, 0);
    for c in text.chars() {
        if is_alone(c) {
            words += 1;
            run = 0;
        } else if c.is_alphanumeric() {
            words += usize::from(run % LONGEST == 0);
            run += 1;
        } else {
            run = 0;
        }
    }
    words
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sort {
    #[default]
    Relevance,
    PriceAscending,
    PriceDescending,
    NameAscending,
    /// Last changed first.
    Newest,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Facet {
    /// Category paths with all their ancestors.
    Category,
    Brand,
    Status,
    Tags,
    /// Price ranges in minor units: each bound starts a range, the first range is below the first bound.
    Price {
        bounds: Vec<u64>,
    },
    /// Which attribute names occur.
    AttributeNames,
    /// The values of one attribute.
    Attribute {
        name: AttributeName,
    },
}

/// The facet as a name: `category`, `brand`, `status`, `tags`, `price`, `attributes`, `attributes.<name>`.
impl std::fmt::Display for Facet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Category => f.write_str("category"),
            Self::Brand => f.write_str("brand"),
            Self::Status => f.write_str("status"),
            Self::Tags => f.write_str("tags"),
            Self::Price { .. } => f.write_str("price"),
            Self::AttributeNames => f.write_str("attributes"),
            Self::Attribute { name } => write!(f, "attributes.{name}"),
        }
    }
}

#[derive(Debug, Clone)]
pub struct SearchResponse {
    pub hits: Vec<Hit>,
    /// How many products match in all (exact).
    pub total: u64,
    /// In the order asked for.
    pub facets: Vec<FacetCounts>,
    /// Opaque; `None` after the last page.
    pub next: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Hit {
    pub found: StoredProduct,
    /// Relevance; absent when sorted by something else.
    pub score: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FacetCounts {
    /// [`Facet`]'s Display.
    pub facet: String,
    pub buckets: Vec<Bucket>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// The value; for price ranges `<from>-<to>` with an open end left empty.
    pub value: String,
    pub count: u64,
    /// Bounds of a price range: from inclusive, to exclusive.
    pub from: Option<u64>,
    pub to: Option<u64>,
}

/// A completion of a prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    pub product_id: ProductId,
    pub name: String,
    pub category: CategoryPath,
}
