//! Read model `search` (Elasticsearch, OpenSearch): every product as one document, for full text, filters and facets.
//!
//! Index: `<prefix>-search-g1` with alias `<prefix>-search`. A document is the whole product and the projector's state;
//! deleted products stay as documents of status `deleted`, because servers forget the versions of real deletes.

mod answer;
mod body;
mod cursor;
mod document;
mod fold;
mod query;
mod request;
mod store;
#[cfg(test)]
mod tests;

pub use fold::SearchModel;
pub use query::Queries;
pub use request::{
    Bucket, Facet, FacetCounts, Filters, Hit, MAX_FACETS, MAX_PRICE, MAX_PRICE_BOUND, MAX_TEXT_BYTES,
    MAX_VALUES, MAX_WORDS, SearchRequest, SearchResponse, Sort, Suggestion, check_text,
};
pub use store::{INDEX, SearchStore};

/// The values that filters are made of.
pub use domain::{AttributeName, AttributeValue, Brand, Tag};

/// The read model's name.
pub const NAME: &str = "search";
