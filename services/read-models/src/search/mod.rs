//! Read model `search` (Elasticsearch, OpenSearch): every product as one document, for full text, filters and facets.
//!
//! Index: `<prefix>-search-g1` with alias `<prefix>-search`. A document is the whole product and the projector's state;
//! deleted products stay as documents of status `deleted`, because servers forget the versions of real deletes. Texts are
//! searched by the terms that `analysis` makes of them, of documents and of questions.

mod analysis;
mod answer;
mod body;
mod condition;
mod cursor;
mod document;
mod elastic;
mod facets;
mod filters;
mod fold;
mod found;
mod plan;
mod query;
mod request;
#[cfg(test)]
mod tests;
mod texts;

pub use condition::{Better, Condition, Field, Nearly};
pub use cursor::Cursor;
pub use document::{Keys, ProductDocument};
pub use elastic::{SearchStore, ServedIndex, first_group};
pub use fold::SearchModel;
pub use found::{Counted, Found};
pub use plan::{FacetPlan, Plan, PriceRange, Values};
pub use query::{Find, Index, Queries};
pub use request::{
    Bucket, Facet, FacetCounts, Filters, Hit, MAX_FACET_SIZE, MAX_FACETS, MAX_PRICE, MAX_PRICE_BOUND,
    MAX_TEXT_BYTES, MAX_VALUES, MAX_WORDS, Matched, SearchRequest, SearchResponse, Sort, SuggestRequest,
    Suggestion, check_text, currency_needed,
};
pub use texts::{Similar, Text};

/// The values that filters are made of.
pub use domain::{AttributeName, AttributeValue, Brand, Tag};

const INDEX: adapter_search::Index =
    adapter_search::Index { name: "search", text: include_str!("index.json"), grows: false };
const POSITIONS: adapter_search::Index =
    adapter_search::Index { name: "search-positions", text: include_str!("positions.json"), grows: true };
const PARKED: adapter_search::Index =
    adapter_search::Index { name: "search-parked", text: include_str!("parked.json"), grows: true };
