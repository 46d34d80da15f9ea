//! Read model `products` (ScyllaDB): every product as it is now, by id and by category.
//!
//! Tables: `products_g1`, the state rows: the whole product, deleted ones too; `products_by_category_g1`, keyed
//! `((category, bucket), product_id)`: what a list shows, of products that are not deleted; `products_positions_g1`.

mod consistency;
mod fold;
mod query;
mod row;
mod store;
#[cfg(test)]
mod tests;

pub use fold::{CategoryKey, ProductState, Products};
pub use query::{CategoryItem, Queries};
pub use store::{ProductsStore, SCHEMA};

/// The read model's name.
pub const NAME: &str = "products";

/// Rows of one category are spread over this many partitions, so that a large category does not lie on one node.
pub const BUCKETS: u8 = 16;
