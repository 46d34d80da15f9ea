//! Commands: what may be asked of a product. A command is a wish; [`decide`](super::decide) says what comes of it.

use crate::values::{
    Attributes, Brand, CategoryPath, Description, InitialStatus, Money, Name, Reason, Sku, Tags, ValueError,
};

/// A wish to change one product. Which product it is stands beside the command, not in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Brings a new product into the catalog.
    CreateProduct(CreateProduct),
    /// Changes some of the describing fields.
    ReviseDetails(ReviseDetails),
    /// Sets another price in the same currency.
    ChangePrice(ChangePrice),
    /// Moves the product to another category.
    MoveToCategory(MoveToCategory),
    /// Puts the product on sale.
    ListProduct,
    /// Takes the product off sale.
    DiscontinueProduct(DiscontinueProduct),
    /// Deletes the product; its history stays.
    DeleteProduct(DeleteProduct),
    /// Brings a deleted product back to the status it had.
    RestoreProduct,
}

impl Command {
    /// The names of all commands, in the order of the enum.
    pub const ALL_NAMES: [&str; 8] = [
        "create_product",
        "revise_details",
        "change_price",
        "move_to_category",
        "list_product",
        "discontinue_product",
        "delete_product",
        "restore_product",
    ];

    /// The command's name in snake case, as bulk lines and metrics write it.
    pub fn name(&self) -> &'static str {
        match self {
            Command::CreateProduct(_) => "create_product",
            Command::ReviseDetails(_) => "revise_details",
            Command::ChangePrice(_) => "change_price",
            Command::MoveToCategory(_) => "move_to_category",
            Command::ListProduct => "list_product",
            Command::DiscontinueProduct(_) => "discontinue_product",
            Command::DeleteProduct(_) => "delete_product",
            Command::RestoreProduct => "restore_product",
        }
    }
}

/// What a new product starts with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateProduct {
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
    /// What it costs; zero only for a draft. Its currency stays for ever.
    pub price: Money,
    /// Further properties.
    pub attributes: Attributes,
    /// Labels.
    pub tags: Tags,
    /// Whether it starts as a draft or on sale.
    pub status: InitialStatus,
}

/// The describing fields to change; `None` leaves a field as it is, `Some` replaces it as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DetailChanges {
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

/// A change of at least one describing field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReviseDetails(DetailChanges);

impl ReviseDetails {
    /// Makes the command, unless it asks for nothing.
    pub fn new(changes: DetailChanges) -> Result<Self, ValueError> {
        if changes == DetailChanges::default() {
            let problem = "must name at least one of sku, name, description, brand, attributes, tags";
            return Err(ValueError::new("revise_details", problem));
        }
        Ok(Self(changes))
    }

    /// The fields to change.
    pub fn changes(&self) -> &DetailChanges {
        &self.0
    }
}

/// A new price.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangePrice {
    /// The price to set, in the product's currency; zero only while it is not listed.
    pub price: Money,
}

/// A new place in the tree of categories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveToCategory {
    /// The category to move to.
    pub category: CategoryPath,
}

/// The end of sale.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DiscontinueProduct {
    /// Why, for people.
    pub reason: Option<Reason>,
}

/// The deletion of a product.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DeleteProduct {
    /// Why, for people.
    pub reason: Option<Reason>,
}
