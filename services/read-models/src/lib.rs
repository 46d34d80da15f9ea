//! The read models: what the catalog's events are folded into, and the questions the rows answer.
//!
//! One folder per read model, all alike: `fold.rs` is pure (state and event in, next state and row changes out), `store.rs`
//! writes and loads the rows, `query.rs` answers questions. [`model`] says what a read model is and [`projection`] holds the rules
//! that make at-least-once delivery have exactly-once effect.
//!
//! Promises: rows depend on the effective events only, never on clocks, batch boundaries, restarts or redelivery.
//!
//! Start at `products/`; CONTRIBUTING.md walks through a new one.

mod cql_time;
pub mod error;
pub mod history;
pub mod model;
pub mod page;
pub mod positions;
pub mod products;
pub mod projection;
pub mod search;
pub mod stored;
pub mod stores;
#[cfg(test)]
mod testing;

/// The values that questions and answers are made of.
pub use domain::{CategoryPath, Currency, Event, FoldError, ProductId, Status, Version};

pub use error::{Error, QueryError};
pub use page::{Page, PageRequest};
pub use stored::StoredProduct;

/// The read models there are, by the name used in group ids, configuration and `projector --read-model`.
pub const ALL: [&str; 3] = [products::NAME, history::NAME, search::NAME];

/// The generation this build reads and writes: part of table names, index names and group ids.
pub const GENERATION: u32 = 1;

/// The consumer group of a read model's current generation: `<prefix>.<read model>.g<generation>`.
pub fn group_id(prefix: &str, read_model: &str) -> String {
    format!("{prefix}.{read_model}.g{GENERATION}")
}
