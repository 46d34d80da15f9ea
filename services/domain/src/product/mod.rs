//! A product: the commands it takes, the events it gives, and the fold that makes its state of them.

mod command;
mod decide;
mod event;
mod state;

#[cfg(test)]
mod given;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use command::{
    ChangePrice, Command, CreateProduct, DeleteProduct, DetailChanges, DiscontinueProduct, MoveToCategory,
    ReviseDetails,
};
pub use decide::{Decision, Rejection, decide};
pub use event::{
    DetailsRevised, Event, PriceChanged, ProductCreated, ProductDeleted, ProductDiscontinued, ProductListed,
    ProductMoved, ProductRestored,
};
pub use state::{FoldError, Product, evolve};
