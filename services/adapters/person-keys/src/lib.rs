//! The keys of persons in ScyllaDB or Cassandra.
//!
//! Promises: the store is given no name and no key that is not wrapped; a person's key is one row, made and dropped by lightweight
//! transactions, so that of two services that meet a person at once both have the same, and an erased key does not come back; a service
//! starts without the store, and finds it by itself.
//!
//! Start at [`start`], for services, and [`CqlKeys::connect`], for tools.

mod keys;
mod open;

use adapter_cql::Schema;

/// How to reach the store.
pub use adapter_cql::CqlConfig;
pub use keys::CqlKeys;
pub use open::start;

/// The tables, which `folio stores apply` makes.
pub const SCHEMA: Schema =
    Schema { name: "adapter-person-keys/tables.cql", text: include_str!("tables.cql") };
