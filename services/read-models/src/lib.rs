//! The read models: what the catalog's events are folded into, and the questions the rows answer.
//!
//! One folder per read model, all alike: `fold.rs` is pure (state and event in, next state and row changes out), the declared
//! tables or mapping lie beside it, `query.rs` holds the questions and the port that they ask through, and one file per adapter
//! (`cql.rs`, `elastic.rs`) writes and reads the rows. [`ReadModel`] lists them, [`model`] says what one is, and [`projection`]
//! holds the rules that make at-least-once delivery have exactly-once effect.
//!
//! Promises: rows depend on the effective events only, never on clocks, batch boundaries, restarts or redelivery.
//!
//! Start at `products/`; CONTRIBUTING.md walks through a new one.

mod all;
pub mod builds;
pub mod compare;
pub mod control;
mod cql_time;
pub mod declared;
pub mod error;
pub mod history;
pub mod marks;
pub mod model;
pub mod page;
pub mod positions;
pub mod products;
pub mod projection;
pub mod publication;
pub mod rows;
pub mod search;
pub mod servers;
pub mod stored;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

/// The values that questions and answers are made of.
pub use contract::{LogId, NoLogId};
pub use domain::{CategoryPath, Currency, Event, FoldError, ProductId, Status, Version};

pub use all::{Adapter, ReadModel, Unknown, Visitor};
pub use declared::Generation;
pub use error::{Answered, Error, QueryError, RefusedProducts};
pub use page::{Page, PageRequest};
pub use servers::Servers;
pub use stored::StoredProduct;

/// What a port answers in its time. On the heap: the drivers' futures are many kilobytes.
pub type Answer<'a, T> = futures::future::BoxFuture<'a, Result<T, QueryError>>;

/// Questions that can say how far their read model is.
pub trait Asked: Clone + std::fmt::Debug + Send + Sync + 'static {
    const READ_MODEL: ReadModel;

    /// How far the group has come with the partition; 0 if nothing is applied.
    fn position<'a>(&'a self, group: &'a str, partition: i32) -> Answer<'a, model::Position>;

    /// Which products are parked.
    fn marks(&self) -> &dyn marks::Marks;
}
