//! What can be asked of `search`, and what comes back.
//!
//! Promise: what [`SearchRequest::check`] lets pass is a question the server can answer, at a cost that is bounded.

use domain::{AttributeName, AttributeValue, Brand, CategoryPath, Currency, ProductId, Status, Tag};

use super::{analysis, body, cursor};
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
/// Values of one facet.
pub const MAX_FACET_SIZE: usize = 1_000;
/// Values of one facet when nobody says.
const FACET_SIZE: usize = 100;
/// The most completions.
const MAX_SUGGESTIONS: u32 = 50;
/// The highest price that a filter can name: what the index can hold.
pub const MAX_PRICE: u64 = i64::MAX as u64;
/// The highest bound of a price facet: the highest price of a product, which a server's floating point still counts exactly.
pub const MAX_PRICE_BOUND: u64 = domain::Money::MAX;

/// A search. The default finds everything that is not deleted, best first.
#[derive(Debug, Clone, Default)]
pub struct SearchRequest {
    /// Words to look for in name, description, brand, SKU, tags and values of attributes. `None`: no text, filters only.
    pub text: Option<String>,
    pub filters: Filters,
    pub sort: Sort,
    /// Which facets to count over the products found.
    pub facets: Vec<Facet>,
    /// Values of each facet; 0 means a hundred.
    pub facet_size: usize,
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
    /// Minor units of `currency`, inclusive.
    pub price_min: Option<u64>,
    /// Minor units of `currency`, inclusive.
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
        let Filters { category: _, brands, statuses, currency, price_min, price_max, attributes, tags } =
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
        if self.facet_size > MAX_FACET_SIZE {
            return bad(format!(
                "{} values of a facet are too many: give at most {MAX_FACET_SIZE}",
                self.facet_size
            ));
        }
        if let (Some(what), None) = (self.compares_amounts(), currency) {
            return bad(format!("a currency is missing: {}", currency_needed(what)));
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
            Some(token) => cursor::Place::decode(&body::question(self), self.sort, token).map(drop),
            None => Ok(()),
        }
    }

    /// What compares amounts of money, if anything does: that has a meaning in one currency only.
    pub fn compares_amounts(&self) -> Option<&'static str> {
        let has_price = self.facets.iter().any(|facet| matches!(facet, Facet::Price { .. }));
        match self.sort {
            _ if self.filters.price_min.is_some() => Some("price_min"),
            _ if self.filters.price_max.is_some() => Some("price_max"),
            Sort::PriceAscending | Sort::PriceDescending => Some("a sort by price"),
            _ if has_price => Some("the facet price"),
            _ => None,
        }
    }

    /// Values of each facet, between 1 and [`MAX_FACET_SIZE`].
    pub(super) fn effective_facet_size(&self) -> usize {
        match self.facet_size {
            0 => FACET_SIZE,
            size => size.min(MAX_FACET_SIZE),
        }
    }
}

/// Why `what` needs a currency, and what to give.
pub fn currency_needed(what: &str) -> String {
    format!(
        "{what} compares amounts, and those of different currencies cannot be compared; give one currency, as in \
         currency=USD"
    )
}

/// Says what is wrong with a text to search for, or to complete, so that it reads after its name.
pub fn check_text(text: &str) -> Result<(), String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!("must have at most {MAX_TEXT_BYTES} bytes, but has {}", text.len()));
    }
    if text.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return Err("must not contain control characters".to_owned());
    }
    match analysis::count(text) {
        0..=MAX_WORDS => Ok(()),
        words => Err(format!("must have at most {MAX_WORDS} words, but has {words}")),
    }
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
    /// The currencies of prices.
    Currency,
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

/// The facet as a name: `category`, `brand`, `status`, `tags`, `currency`, `price`, `attributes`, `attributes.<name>`.
impl std::fmt::Display for Facet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Category => f.write_str("category"),
            Self::Brand => f.write_str("brand"),
            Self::Status => f.write_str("status"),
            Self::Tags => f.write_str("tags"),
            Self::Currency => f.write_str("currency"),
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
    /// Whether the words were found as they are written, or, where no product has one, with typos in that one.
    pub matched: Matched,
    /// In the order asked for.
    pub facets: Vec<FacetCounts>,
    /// Opaque; `None` after the last page.
    pub next: Option<String>,
}

/// How the words of a text were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matched {
    Exact,
    /// A word that no product has was taken for one that is written nearly so.
    Similar,
}

impl Matched {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Similar => "similar",
        }
    }
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
    /// Those that count most, then those that are filtered by.
    pub buckets: Vec<Bucket>,
    /// Values that are not shown; `None`: not counted, because there are more than [`MAX_FACET_SIZE`] in all or because the
    /// values are too long.
    pub other_values: Option<u64>,
    /// The products that have those, each as often as it has one of them.
    pub other_count: u64,
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

/// What someone is typing.
#[derive(Debug, Clone, Default)]
pub struct SuggestRequest {
    pub prefix: String,
    /// 0: one.
    pub size: u32,
    /// Empty: what is listed.
    pub statuses: Vec<Status>,
}

impl SuggestRequest {
    /// The size to use.
    pub fn effective_size(&self) -> u32 {
        self.size.clamp(1, MAX_SUGGESTIONS)
    }

    pub(super) fn statuses(&self) -> &[Status] {
        if self.statuses.is_empty() { &[Status::Listed] } else { &self.statuses }
    }

    pub(super) fn check(&self) -> Result<(), QueryError> {
        let bad = |problem: String| Err(QueryError::BadQuestion(problem));
        if let Err(problem) = check_text(&self.prefix) {
            return bad(format!("the text to complete {problem}"));
        }
        if self.statuses.len() > MAX_VALUES {
            return bad(format!("{} statuses are too many: give at most {MAX_VALUES}", self.statuses.len()));
        }
        Ok(())
    }
}

/// A product whose name or SKU begins like this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    pub product_id: ProductId,
    pub sku: String,
    pub name: String,
    pub category: CategoryPath,
    pub status: Status,
}
