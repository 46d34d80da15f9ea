//! A product's state, and the fold that makes it of events.
//!
//! The fold does not judge: whether an event should have happened was decided when it happened, and rules change.
//! It refuses only what has no meaning, such as a second creation or a version out of turn.

use super::{DetailsRevised, Event, ProductCreated};
use crate::values::{
    Attributes, Brand, CategoryPath, Description, Money, Name, ProductId, Sku, Status, Tags, Version,
};

/// A product as its events up to `version` made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its identity.
    pub id: ProductId,
    /// The stock keeping unit; not unique.
    pub sku: Sku,
    /// The name shown to people.
    pub name: Name,
    /// The description shown to people; may be empty.
    pub description: Description,
    /// Where it stands in the tree of categories.
    pub category: CategoryPath,
    /// Who makes it.
    pub brand: Brand,
    /// What it costs.
    pub price: Money,
    /// Further properties.
    pub attributes: Attributes,
    /// Labels.
    pub tags: Tags,
    /// Where it stands in its life.
    pub status: Status,
    /// The status before the deletion; `Some` exactly while the product is deleted.
    pub deleted_from: Option<Status>,
    /// The number of its events.
    pub version: Version,
}

/// Why an event cannot be folded into a state. A correct log never causes one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    /// The event belongs to another product than the state.
    #[error("cannot fold an event of product {event} into the state of product {state}")]
    OtherProduct {
        /// The product of the state.
        state: ProductId,
        /// The product of the event.
        event: ProductId,
    },
    /// The event is not the next one of the product.
    #[error("cannot fold version {actual} of the product: version {expected} is next")]
    OutOfTurn {
        /// The version that is next.
        expected: Version,
        /// The version of the event.
        actual: Version,
    },
    /// The product's first event is not its creation.
    #[error("cannot fold {0} into a product that was never created")]
    NotCreated(&'static str),
    /// The product was created already.
    #[error("cannot fold ProductCreated into a product that exists")]
    CreatedTwice,
    /// The product is deleted, and the event does not restore it.
    #[error("cannot fold {0} into a deleted product")]
    Deleted(&'static str),
    /// The event restores a product that is not deleted, or restores it to deleted.
    #[error("cannot fold ProductRestored to {to} into a product that is {from}")]
    NotRestorable {
        /// The status of the state.
        from: Status,
        /// The status the event names.
        to: Status,
    },
}

/// Folds the event that gives product `id` its `version` into the state before it.
///
/// # Errors
/// If the event has no meaning for this state; the log is then not one that [`decide`](super::decide) made.
pub fn evolve(
    state: Option<Product>,
    id: &ProductId,
    version: Version,
    event: &Event,
) -> Result<Product, FoldError> {
    let expected = state.as_ref().map_or(Version::FIRST, |product| product.version.next());
    if version != expected {
        return Err(FoldError::OutOfTurn { expected, actual: version });
    }
    let Some(mut product) = state else { return create(id, event) };
    if product.id != *id {
        return Err(FoldError::OtherProduct { state: product.id, event: id.clone() });
    }
    apply(&mut product, event)?;
    product.version = version;
    Ok(product)
}

fn create(id: &ProductId, event: &Event) -> Result<Product, FoldError> {
    let Event::ProductCreated(created) = event else { return Err(FoldError::NotCreated(event.type_name())) };
    let ProductCreated { sku, name, description, category, brand, price, attributes, tags, status } =
        created.clone();
    Ok(Product {
        id: id.clone(),
        sku,
        name,
        description,
        category,
        brand,
        price,
        attributes,
        tags,
        status: status.into(),
        deleted_from: None,
        version: Version::FIRST,
    })
}

fn apply(product: &mut Product, event: &Event) -> Result<(), FoldError> {
    let is_deleted = product.status == Status::Deleted;
    match event {
        Event::ProductCreated(_) => return Err(FoldError::CreatedTwice),
        Event::ProductRestored(restored) => {
            if !is_deleted || restored.status == Status::Deleted {
                return Err(FoldError::NotRestorable { from: product.status, to: restored.status });
            }
            product.status = restored.status;
            product.deleted_from = None;
        }
        Event::DetailsRevised(_)
        | Event::PriceChanged(_)
        | Event::ProductMoved(_)
        | Event::ProductListed(_)
        | Event::ProductDiscontinued(_)
        | Event::ProductDeleted(_)
            if is_deleted =>
        {
            return Err(FoldError::Deleted(event.type_name()));
        }
        Event::DetailsRevised(revised) => revise(product, revised),
        Event::PriceChanged(changed) => product.price = changed.price,
        Event::ProductMoved(moved) => product.category = moved.category.clone(),
        Event::ProductListed(_) => product.status = Status::Listed,
        Event::ProductDiscontinued(_) => product.status = Status::Discontinued,
        Event::ProductDeleted(_) => {
            product.deleted_from = Some(product.status);
            product.status = Status::Deleted;
        }
    }
    Ok(())
}

fn revise(product: &mut Product, revised: &DetailsRevised) {
    replace(&mut product.sku, revised.sku.as_ref());
    replace(&mut product.name, revised.name.as_ref());
    replace(&mut product.description, revised.description.as_ref());
    replace(&mut product.brand, revised.brand.as_ref());
    replace(&mut product.attributes, revised.attributes.as_ref());
    replace(&mut product.tags, revised.tags.as_ref());
}

fn replace<T: Clone>(present: &mut T, new: Option<&T>) {
    if let Some(new) = new {
        present.clone_from(new);
    }
}
