//! The states and commands of the tests.

use super::*;
use crate::values::{
    Attributes, Brand, CategoryPath, Description, InitialStatus, Money, Name, ProductId, Reason, Sku, Tags,
    Version,
};

/// The states a command can meet. Each is reached by commands, not put together by hand.
#[derive(Debug, Clone, Copy)]
pub(super) enum Given {
    None,
    Draft,
    Listed,
    Discontinued,
    Deleted,
}

pub(super) fn id() -> ProductId {
    ProductId::parse("p-1").unwrap()
}

pub(super) fn eur(minor_units: i64) -> Money {
    Money::new(minor_units, "EUR").unwrap()
}

pub(super) fn creation(price: Money, status: InitialStatus) -> CreateProduct {
    CreateProduct {
        sku: Sku::parse("RING-1").unwrap(),
        name: Name::parse("Ring").unwrap(),
        description: Description::parse("A ring").unwrap(),
        category: CategoryPath::parse("jewelry/rings").unwrap(),
        brand: Brand::parse("Acme").unwrap(),
        price,
        attributes: Attributes::parse([("carat", "0.5")]).unwrap(),
        tags: Tags::parse(["gold"]).unwrap(),
        status,
    }
}

pub(super) fn create() -> Command {
    Command::CreateProduct(creation(eur(100), InitialStatus::Draft))
}

pub(super) fn rename(name: &str) -> Command {
    let changes = DetailChanges { name: Some(Name::parse(name).unwrap()), ..DetailChanges::default() };
    Command::ReviseDetails(ReviseDetails::new(changes).unwrap())
}

pub(super) fn price(price: Money) -> Command {
    Command::ChangePrice(ChangePrice { price })
}

pub(super) fn move_to(category: &str) -> Command {
    Command::MoveToCategory(MoveToCategory { category: CategoryPath::parse(category).unwrap() })
}

pub(super) fn reason() -> Reason {
    Reason::parse("sold out").unwrap()
}

pub(super) fn discontinue() -> Command {
    Command::DiscontinueProduct(DiscontinueProduct { reason: Some(reason()) })
}

pub(super) fn delete() -> Command {
    Command::DeleteProduct(DeleteProduct { reason: Some(reason()) })
}

/// Folds what the commands give; each must be accepted.
pub(super) fn after(commands: &[Command]) -> Option<Product> {
    commands.iter().fold(None, |state, command| {
        let Decision::Event(event) = decide(state.as_ref(), command) else {
            panic!("{command:?} is not accepted in {state:?}");
        };
        let version = state.as_ref().map_or(Version::FIRST, |product| product.version.next());
        Some(evolve(state, &id(), version, &event).unwrap())
    })
}

pub(super) fn given(state: Given) -> Option<Product> {
    match state {
        Given::None => None,
        Given::Draft => after(&[create()]),
        Given::Listed => after(&[create(), Command::ListProduct]),
        Given::Discontinued => after(&[create(), Command::ListProduct, discontinue()]),
        Given::Deleted => after(&[create(), Command::ListProduct, delete()]),
    }
}
