//! Decides what comes of a command. It looks at the state and the command, and at nothing else.

use super::{
    ChangePrice, Command, CreateProduct, DeleteProduct, DetailChanges, DetailsRevised, DiscontinueProduct,
    Event, MoveToCategory, PriceChanged, Product, ProductCreated, ProductDeleted, ProductDiscontinued,
    ProductListed, ProductMoved, ProductRestored,
};
use crate::values::{Currency, InitialStatus, Status};

/// What the domain says to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The command is accepted; this is what becomes true.
    Event(Event),
    /// What the command asks for is true already.
    NoEffect,
    /// The command is not possible in this state.
    Rejected(Rejection),
}

/// Why a command is not possible; the text tells what to do instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Create, for a product that exists, deleted or not.
    #[error("the product exists already: choose another product id, or revise the existing product")]
    ProductAlreadyExists,
    /// Any other command, for a product that was never created.
    #[error("the product does not exist: create it first")]
    ProductNotFound,
    /// A change of a deleted product.
    #[error("the product is deleted: restore it first")]
    ProductDeleted,
    /// Restore, for a product that is not deleted.
    #[error("the product is not deleted: there is nothing to restore")]
    ProductNotDeleted,
    /// A listed product with the price zero.
    #[error("a listed product needs a price above zero: set one, or keep the product a draft")]
    PriceRequired,
    /// Discontinue, for a draft.
    #[error("the product was never listed: list it first, or delete the draft")]
    ProductNotListed,
    /// A price in another currency than the product's.
    #[error("the product is priced in {product}, not in {command}: a product's currency never changes")]
    CurrencyMismatch {
        /// The product's currency.
        product: Currency,
        /// The currency the command named.
        command: Currency,
    },
}

impl Rejection {
    /// Every code that [`Rejection::code`] returns.
    pub const CODES: [&str; 7] = [
        "product-already-exists",
        "product-not-found",
        "product-deleted",
        "product-not-deleted",
        "price-required",
        "product-not-listed",
        "currency-mismatch",
    ];

    /// The stable name of the rejection, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Rejection::ProductAlreadyExists => "product-already-exists",
            Rejection::ProductNotFound => "product-not-found",
            Rejection::ProductDeleted => "product-deleted",
            Rejection::ProductNotDeleted => "product-not-deleted",
            Rejection::PriceRequired => "price-required",
            Rejection::ProductNotListed => "product-not-listed",
            Rejection::CurrencyMismatch { .. } => "currency-mismatch",
        }
    }
}

/// Decides what comes of `command` for a product in `state` (`None`: it was never created).
pub fn decide(state: Option<&Product>, command: &Command) -> Decision {
    let Some(product) = state else { return decide_on_none(command) };
    if product.status == Status::Deleted {
        return decide_on_deleted(product, command);
    }
    match command {
        Command::CreateProduct(_) => Decision::Rejected(Rejection::ProductAlreadyExists),
        Command::ReviseDetails(revise) => revise_details(product, revise.changes()),
        Command::ChangePrice(change) => change_price(product, change),
        Command::MoveToCategory(to) => move_to_category(product, to),
        Command::ListProduct => list(product),
        Command::DiscontinueProduct(discontinue) => self::discontinue(product, discontinue),
        Command::DeleteProduct(delete) => self::delete(delete),
        Command::RestoreProduct => Decision::Rejected(Rejection::ProductNotDeleted),
    }
}

fn decide_on_none(command: &Command) -> Decision {
    match command {
        Command::CreateProduct(create) => self::create(create),
        Command::ReviseDetails(_)
        | Command::ChangePrice(_)
        | Command::MoveToCategory(_)
        | Command::ListProduct
        | Command::DiscontinueProduct(_)
        | Command::DeleteProduct(_)
        | Command::RestoreProduct => Decision::Rejected(Rejection::ProductNotFound),
    }
}

fn decide_on_deleted(product: &Product, command: &Command) -> Decision {
    match command {
        Command::CreateProduct(_) => Decision::Rejected(Rejection::ProductAlreadyExists),
        Command::DeleteProduct(_) => Decision::NoEffect,
        Command::RestoreProduct => Decision::Event(Event::ProductRestored(ProductRestored {
            status: product.deleted_from.unwrap_or(Status::Draft),
        })),
        Command::ReviseDetails(_)
        | Command::ChangePrice(_)
        | Command::MoveToCategory(_)
        | Command::ListProduct
        | Command::DiscontinueProduct(_) => Decision::Rejected(Rejection::ProductDeleted),
    }
}

fn create(create: &CreateProduct) -> Decision {
    if create.status == InitialStatus::Listed && create.price.is_zero() {
        return Decision::Rejected(Rejection::PriceRequired);
    }
    let CreateProduct { sku, name, description, category, brand, price, attributes, tags, status } =
        create.clone();
    Decision::Event(Event::ProductCreated(ProductCreated {
        sku,
        name,
        description,
        category,
        brand,
        price,
        attributes,
        tags,
        status,
    }))
}

fn revise_details(product: &Product, changes: &DetailChanges) -> Decision {
    let revised = DetailsRevised {
        sku: differing(changes.sku.as_ref(), &product.sku),
        name: differing(changes.name.as_ref(), &product.name),
        description: differing(changes.description.as_ref(), &product.description),
        brand: differing(changes.brand.as_ref(), &product.brand),
        attributes: differing(changes.attributes.as_ref(), &product.attributes),
        tags: differing(changes.tags.as_ref(), &product.tags),
    };
    if revised == DetailsRevised::default() {
        return Decision::NoEffect;
    }
    Decision::Event(Event::DetailsRevised(revised))
}

fn differing<T: Clone + PartialEq>(wanted: Option<&T>, present: &T) -> Option<T> {
    wanted.filter(|wanted| *wanted != present).cloned()
}

fn change_price(product: &Product, change: &ChangePrice) -> Decision {
    let (product_currency, command_currency) = (product.price.currency(), change.price.currency());
    if product_currency != command_currency {
        return Decision::Rejected(Rejection::CurrencyMismatch {
            product: product_currency,
            command: command_currency,
        });
    }
    if product.price == change.price {
        return Decision::NoEffect;
    }
    if product.status == Status::Listed && change.price.is_zero() {
        return Decision::Rejected(Rejection::PriceRequired);
    }
    Decision::Event(Event::PriceChanged(PriceChanged { price: change.price }))
}

fn move_to_category(product: &Product, to: &MoveToCategory) -> Decision {
    if product.category == to.category {
        return Decision::NoEffect;
    }
    Decision::Event(Event::ProductMoved(ProductMoved { category: to.category.clone() }))
}

fn list(product: &Product) -> Decision {
    if product.status == Status::Listed {
        return Decision::NoEffect;
    }
    if product.price.is_zero() {
        return Decision::Rejected(Rejection::PriceRequired);
    }
    Decision::Event(Event::ProductListed(ProductListed {}))
}

fn discontinue(product: &Product, discontinue: &DiscontinueProduct) -> Decision {
    match product.status {
        Status::Draft => Decision::Rejected(Rejection::ProductNotListed),
        Status::Listed => Decision::Event(Event::ProductDiscontinued(ProductDiscontinued {
            reason: discontinue.reason.clone(),
        })),
        Status::Discontinued => Decision::NoEffect,
        Status::Deleted => Decision::Rejected(Rejection::ProductDeleted),
    }
}

fn delete(delete: &DeleteProduct) -> Decision {
    Decision::Event(Event::ProductDeleted(ProductDeleted { reason: delete.reason.clone() }))
}
