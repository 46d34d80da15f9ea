//! The catalog's words, as the questions and the answers of the read models use them.

pub(crate) use read_models::domain::{CategoryPath, Currency, ProductId, Status, Version};
