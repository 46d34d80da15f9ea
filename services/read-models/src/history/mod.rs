//! Read model `history` (ScyllaDB): every event of every product, by product and version.
//!
//! Table: `history_g1`, keyed `((product_id), version)`; its static head is the state row. And `history_positions_g1`.

mod cql;
mod fold;
mod query;
mod row;
mod stretch;
#[cfg(test)]
mod tests;

use adapter_cql::Schema;

use crate::declared::{Holds, Table};

pub use cql::{CqlRows, HistoryStore};
pub use fold::{Entry, EntryKey, HistoryHead, HistoryModel};
pub use query::{HistoryEntry, Order, Past, Queries, Row, Rows};

const SCHEMA: Schema = Schema { name: "history/tables.cql", text: include_str!("tables.cql") };
const HISTORY: Table = Table { name: "history", holds: Holds::Events };
