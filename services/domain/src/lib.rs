//! The catalog's rules: what a product is, what may be asked of it, and what then is true.
//!
//! It is pure: no clock, no randomness, no I/O. [`decide`] turns a state and a command into a [`Decision`];
//! [`evolve`] folds an [`Event`] into the next state. The same inputs give the same outputs, for ever.
//! A value that exists is valid: every type here parses its input, and no other way leads in.
//!
//! Start at [`Command`], what can be asked, and [`Event`], what can have happened.
#![deny(clippy::wildcard_enum_match_arm)]

mod product;
mod values;

pub use product::{
    ChangePrice, Command, CreateProduct, Decision, DeleteProduct, DetailChanges, DetailsRevised,
    DiscontinueProduct, Event, FoldError, MoveToCategory, PriceChanged, Product, ProductCreated,
    ProductDeleted, ProductDiscontinued, ProductListed, ProductMoved, ProductRestored, Rejection,
    ReviseDetails, decide, evolve,
};
pub use values::{
    AttributeName, AttributeValue, Attributes, Brand, CategoryPath, Currency, Description, InitialStatus,
    Money, Name, ProductId, Reason, Sku, Status, Tag, Tags, ValueError, Version, clean_line, clean_lines,
};
