//! Read model `products` (ScyllaDB): every product as it is now, by id and by category.
//!
//! Tables: `products_g1`, the state rows: the whole product, deleted ones too; `products_by_category_g1`, keyed
//! `((category, bucket), product_id)`: what a list shows, of products that are not deleted; `products_positions_g1`.

mod consistency;
mod cql;
mod fold;
mod query;
mod row;
#[cfg(test)]
mod tests;

use adapter_cql::Schema;

use crate::declared::{Holds, Table};

pub use cql::{CqlRows, ProductsStore};
pub use fold::{CategoryKey, ProductState, Products};
pub use query::{CategoryItem, Queries, Rows};

/// Rows of one category are spread over this many partitions, so that a large category does not lie on one node.
pub const BUCKETS: u8 = 16;

const SCHEMA: Schema = Schema { name: "products/tables.cql", text: include_str!("tables.cql") };
/// The state rows.
const PRODUCTS: Table = Table { name: "products", holds: Holds::Products };
const BY_CATEGORY: Table = Table { name: "products_by_category", holds: Holds::Some };
