//! The read models on local disk, in this process: tables by fjall, search by tantivy.

mod search;

pub use search::EmbeddedSearch;
