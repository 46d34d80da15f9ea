//! What can be asked of `search`, and what comes back.

use domain::{CategoryPath, Currency, ProductId, Status};

use crate::StoredProduct;
use crate::page::PageRequest;

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
    pub brands: Vec<String>,
    /// Empty: every status but deleted.
    pub statuses: Vec<Status>,
    pub currency: Option<Currency>,
    /// Minor units, inclusive.
    pub price_min: Option<u64>,
    /// Minor units, inclusive.
    pub price_max: Option<u64>,
    /// All of these (name, value) pairs; several values of one name: any of them.
    pub attributes: Vec<(String, String)>,
    /// All of these.
    pub tags: Vec<String>,
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
        name: String,
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
