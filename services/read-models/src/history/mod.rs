//! Read model `history` (ScyllaDB): every event of every product, by product and version.
//!
//! Table: `history_g1`, keyed `((product_id), version)`; its static head is the state row. And `history_positions_g1`.

mod fold;
mod query;
mod row;
mod store;
mod stretch;
#[cfg(test)]
mod tests;

pub use fold::{Entry, EntryKey, HistoryHead, HistoryModel};
pub use query::{HistoryEntry, Order, Past, Queries};
pub use store::{HistoryStore, SCHEMA};

/// The read model's name.
pub const NAME: &str = "history";
