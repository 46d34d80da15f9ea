//! Read model `search` (Elasticsearch, OpenSearch): every product as one document, for full text, filters and facets.
//!
//! Index: `<prefix>-search-g1` with alias `<prefix>-search`. A document is the whole product and the projector's state;
//! deleted products stay as documents of status `deleted`, because servers forget the versions of real deletes.

mod body;
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
    Bucket, Facet, FacetCounts, Filters, Hit, SearchRequest, SearchResponse, Sort, Suggestion,
};
pub use store::{INDEX, SearchStore};

/// The read model's name.
pub const NAME: &str = "search";
