//! What clients ask for: every command of the domain, with few values per field, so that commands often meet a state
//! that has them already, or one that does not allow them.

use std::rc::Rc;

use domain::{
    Attributes, Brand, CategoryPath, ChangePrice, Command, CreateProduct, DeleteProduct, Description,
    DetailChanges, DiscontinueProduct, InitialStatus, Money, MoveToCategory, Name, Reason, ReviseDetails,
    Sku, Tags,
};
use ledger_sim::SeededRng;

/// Commands to draw from, made once.
#[derive(Debug)]
pub(crate) struct Requests {
    creates: Vec<Rc<Command>>,
    changes: Vec<Rc<Command>>,
}

impl Requests {
    pub(crate) fn new() -> Self {
        use InitialStatus::{Draft, Listed};
        let creates = [(0, Draft), (100, Draft), (200, Listed), (0, Listed)]
            .map(|(price, status)| create(price, status));
        let mut changes: Vec<Command> = Vec::new();
        for name in ["Ring", "Band", "Hoop"] {
            changes.push(revise(DetailChanges {
                name: Some(valid(Name::parse(name))),
                ..DetailChanges::default()
            }));
        }
        for brand in ["Acme", "Brio"] {
            changes.push(revise(DetailChanges {
                brand: Some(valid(Brand::parse(brand))),
                ..DetailChanges::default()
            }));
        }
        for (units, currency) in
            [(0, "EUR"), (1, "EUR"), (2, "EUR"), (3, "EUR"), (4, "EUR"), (5, "EUR"), (1, "USD")]
        {
            changes.push(Command::ChangePrice(ChangePrice { price: valid(Money::new(units, currency)) }));
        }
        for category in ["rings", "rings/gold"] {
            let category = valid(CategoryPath::parse(category));
            changes.push(Command::MoveToCategory(MoveToCategory { category }));
        }
        let reason = Some(valid(Reason::parse("sold out")));
        changes.push(Command::ListProduct);
        changes.push(Command::DiscontinueProduct(DiscontinueProduct { reason: reason.clone() }));
        changes.push(Command::DeleteProduct(DeleteProduct { reason }));
        changes.extend([(); 4].map(|()| Command::RestoreProduct));
        let shared = |commands: Vec<Command>| commands.into_iter().map(Rc::new).collect();
        Self { creates: shared(creates.into()), changes: shared(changes) }
    }

    /// A command for a product that seems to exist, or not.
    pub(crate) fn draw(&self, dice: &mut SeededRng, exists: bool) -> Rc<Command> {
        let wants_create = dice.percent(if exists { 5 } else { 70 });
        let from = if wants_create { &self.creates } else { &self.changes };
        Rc::clone(&from[dice.index(from.len())])
    }
}

fn create(price: i64, status: InitialStatus) -> Command {
    Command::CreateProduct(CreateProduct {
        sku: valid(Sku::parse("RING-1")),
        name: valid(Name::parse("Ring")),
        description: valid(Description::parse("")),
        category: valid(CategoryPath::parse("rings")),
        brand: valid(Brand::parse("Acme")),
        price: valid(Money::new(price, "EUR")),
        attributes: valid(Attributes::parse([("carat", "0.5")])),
        tags: valid(Tags::parse(["gold"])),
        status,
    })
}

fn revise(changes: DetailChanges) -> Command {
    Command::ReviseDetails(valid(ReviseDetails::new(changes)))
}

fn valid<T, E: std::fmt::Debug>(value: Result<T, E>) -> T {
    value.expect("the simulation's own values are valid")
}
