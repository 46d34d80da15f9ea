//! Events: immutable facts about one product. An event says what is true afterwards, and nothing it did not change.

use crate::values::{
    Attributes, Brand, CategoryPath, Description, InitialStatus, Money, Name, Reason, Sku, Status, Tags,
};

/// A fact about one product. Which product and version it is stands beside the event, not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The product came into the catalog.
    ProductCreated(ProductCreated),
    /// Some describing fields changed.
    DetailsRevised(DetailsRevised),
    /// The price changed.
    PriceChanged(PriceChanged),
    /// The category changed.
    ProductMoved(ProductMoved),
    /// The product went on sale.
    ProductListed(ProductListed),
    /// The product went off sale.
    ProductDiscontinued(ProductDiscontinued),
    /// The product was deleted.
    ProductDeleted(ProductDeleted),
    /// The product came back after a deletion.
    ProductRestored(ProductRestored),
}

impl Event {
    /// The names of all event types, in the order of the enum.
    pub const ALL_TYPES: [&str; 8] = [
        "ProductCreated",
        "DetailsRevised",
        "PriceChanged",
        "ProductMoved",
        "ProductListed",
        "ProductDiscontinued",
        "ProductDeleted",
        "ProductRestored",
    ];

    /// The name of the event's type, as schemas and headers write it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Event::ProductCreated(_) => "ProductCreated",
            Event::DetailsRevised(_) => "DetailsRevised",
            Event::PriceChanged(_) => "PriceChanged",
            Event::ProductMoved(_) => "ProductMoved",
            Event::ProductListed(_) => "ProductListed",
            Event::ProductDiscontinued(_) => "ProductDiscontinued",
            Event::ProductDeleted(_) => "ProductDeleted",
            Event::ProductRestored(_) => "ProductRestored",
        }
    }
}

/// Everything a product started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductCreated {
    /// The stock keeping unit.
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
    /// The status it started with.
    pub status: InitialStatus,
}

/// The describing fields that changed; `None` means unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DetailsRevised {
    /// The new stock keeping unit.
    pub sku: Option<Sku>,
    /// The new name.
    pub name: Option<Name>,
    /// The new description.
    pub description: Option<Description>,
    /// The new brand.
    pub brand: Option<Brand>,
    /// The new attributes, all of them.
    pub attributes: Option<Attributes>,
    /// The new tags, all of them.
    pub tags: Option<Tags>,
}

/// The price from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceChanged {
    /// The new price.
    pub price: Money,
}

/// The category from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductMoved {
    /// The new category.
    pub category: CategoryPath,
}

/// The product is on sale.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProductListed {}

/// The product is off sale.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProductDiscontinued {
    /// Why, for people.
    pub reason: Option<Reason>,
}

/// The product is deleted; its history stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProductDeleted {
    /// Why, for people.
    pub reason: Option<Reason>,
}

/// The product is back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProductRestored {
    /// The status it has again: the one before the deletion.
    pub status: Status,
}
