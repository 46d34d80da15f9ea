//! What holds for any history that commands can make.

use proptest::prelude::*;

use super::*;
use crate::values::{
    Attributes, Brand, CategoryPath, Description, InitialStatus, Money, Name, ProductId, Reason, Sku, Status,
    Tags, Version,
};

/// Few values per field, so that commands often meet a state that has them already.
fn sku() -> impl Strategy<Value = Sku> {
    prop_oneof!["RING-1", "RING-2"].prop_map(|text| Sku::parse(&text).unwrap())
}

fn name() -> impl Strategy<Value = Name> {
    prop_oneof!["Ring", "Band"].prop_map(|text| Name::parse(&text).unwrap())
}

fn description() -> impl Strategy<Value = Description> {
    prop_oneof!["", "Gold\nand more"].prop_map(|text| Description::parse(&text).unwrap())
}

fn brand() -> impl Strategy<Value = Brand> {
    prop_oneof!["Acme", "Brio"].prop_map(|text| Brand::parse(&text).unwrap())
}

fn category() -> impl Strategy<Value = CategoryPath> {
    prop_oneof!["rings", "rings/gold"].prop_map(|text| CategoryPath::parse(&text).unwrap())
}

fn price() -> impl Strategy<Value = Money> {
    (0_i64..3, prop_oneof![9 => Just("EUR"), 1 => Just("USD")])
        .prop_map(|(units, currency)| Money::new(units, currency).unwrap())
}

fn attributes() -> impl Strategy<Value = Attributes> {
    prop::option::of(0_u8..2).prop_map(|carat| {
        let carat = carat.map(|carat| carat.to_string());
        Attributes::parse(carat.iter().map(|carat| ("carat", carat.as_str()))).unwrap()
    })
}

fn tags() -> impl Strategy<Value = Tags> {
    prop::option::of("[ab]").prop_map(|tag| Tags::parse(tag.as_deref()).unwrap())
}

fn reason() -> impl Strategy<Value = Option<Reason>> {
    prop::option::of(Just(Reason::parse("why not").unwrap()))
}

fn create() -> impl Strategy<Value = CreateProduct> {
    let status = prop_oneof![Just(InitialStatus::Draft), Just(InitialStatus::Listed)];
    (sku(), name(), description(), category(), brand(), price(), attributes(), tags(), status).prop_map(
        |(sku, name, description, category, brand, price, attributes, tags, status)| CreateProduct {
            sku,
            name,
            description,
            category,
            brand,
            price,
            attributes,
            tags,
            status,
        },
    )
}

fn revise() -> impl Strategy<Value = ReviseDetails> {
    (
        prop::option::of(sku()),
        prop::option::of(name()),
        prop::option::of(description()),
        prop::option::of(brand()),
        prop::option::of(attributes()),
        prop::option::of(tags()),
    )
        .prop_filter_map("asks for nothing", |(sku, name, description, brand, attributes, tags)| {
            ReviseDetails::new(DetailChanges { sku, name, description, brand, attributes, tags }).ok()
        })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        2 => create().prop_map(Command::CreateProduct),
        4 => revise().prop_map(Command::ReviseDetails),
        4 => price().prop_map(|price| Command::ChangePrice(ChangePrice { price })),
        2 => category().prop_map(|category| Command::MoveToCategory(MoveToCategory { category })),
        3 => Just(Command::ListProduct),
        2 => reason().prop_map(|reason| Command::DiscontinueProduct(DiscontinueProduct { reason })),
        1 => reason().prop_map(|reason| Command::DeleteProduct(DeleteProduct { reason })),
        2 => Just(Command::RestoreProduct),
    ]
}

fn id() -> ProductId {
    ProductId::parse("p-1").unwrap()
}

/// Executes the commands one after the other and calls `check` with each state, command and decision.
fn history(
    commands: &[Command],
    mut check: impl FnMut(Option<&Product>, &Command, &Decision) -> Result<(), TestCaseError>,
) -> Result<Option<Product>, TestCaseError> {
    let mut state = None;
    for command in commands {
        let decision = decide(state.as_ref(), command);
        check(state.as_ref(), command, &decision)?;
        if let Decision::Event(event) = decision {
            let version = state.as_ref().map_or(Version::FIRST, |product: &Product| product.version.next());
            let folded = evolve(state, &id(), version, &event);
            prop_assert!(folded.is_ok(), "what was decided does not fold: {folded:?}");
            state = folded.ok();
        }
    }
    Ok(state)
}

/// What a command asks for, done to the state without any rule.
fn as_asked(product: &Product, command: &Command) -> Product {
    let mut product = product.clone();
    match command {
        Command::CreateProduct(_) | Command::RestoreProduct => {}
        Command::ReviseDetails(revise) => {
            let changes = revise.changes().clone();
            product.sku = changes.sku.unwrap_or(product.sku);
            product.name = changes.name.unwrap_or(product.name);
            product.description = changes.description.unwrap_or(product.description);
            product.brand = changes.brand.unwrap_or(product.brand);
            product.attributes = changes.attributes.unwrap_or(product.attributes);
            product.tags = changes.tags.unwrap_or(product.tags);
        }
        Command::ChangePrice(change) => product.price = change.price,
        Command::MoveToCategory(to) => product.category = to.category.clone(),
        Command::ListProduct => product.status = Status::Listed,
        Command::DiscontinueProduct(_) => product.status = Status::Discontinued,
        Command::DeleteProduct(_) => product.status = Status::Deleted,
    }
    product
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_was_decided_always_folds_and_versions_rise_by_one(commands in prop::collection::vec(command(), 0..40)) {
        let mut events = 0;
        let state = history(&commands, |state, _, decision| {
            prop_assert_eq!(state.map_or(0, |product| product.version.get()), events);
            if let Decision::Event(_) = decision {
                events += 1;
            }
            Ok(())
        })?;
        prop_assert_eq!(state.map_or(0, |product| product.version.get()), events);
    }

    #[test]
    fn deciding_is_deterministic(commands in prop::collection::vec(command(), 0..40)) {
        history(&commands, |state, command, decision| {
            prop_assert_eq!(&decide(state.cloned().as_ref(), &command.clone()), decision);
            Ok(())
        })?;
    }

    #[test]
    fn no_effect_means_that_what_is_asked_for_is_true_already(commands in prop::collection::vec(command(), 0..40)) {
        history(&commands, |state, command, decision| {
            if let (Some(product), Decision::NoEffect) = (state, decision) {
                prop_assert_eq!(&as_asked(product, command), product);
            }
            Ok(())
        })?;
    }

    #[test]
    fn an_event_changes_something_besides_the_version(commands in prop::collection::vec(command(), 0..40)) {
        history(&commands, |state, _, decision| {
            if let (Some(product), Decision::Event(event)) = (state, decision) {
                let next = evolve(Some(product.clone()), &id(), product.version.next(), event).unwrap();
                prop_assert_ne!(Product { version: product.version, ..next }, product.clone());
            }
            Ok(())
        })?;
    }

    #[test]
    fn an_accepted_command_has_no_effect_the_second_time(commands in prop::collection::vec(command(), 0..40)) {
        history(&commands, |state, command, decision| {
            if let (Some(product), Decision::Event(event)) = (state, decision)
                && *command != Command::RestoreProduct
            {
                let next = evolve(Some(product.clone()), &id(), product.version.next(), event).unwrap();
                prop_assert_eq!(decide(Some(&next), command), Decision::NoEffect);
            }
            Ok(())
        })?;
    }

    #[test]
    fn states_keep_their_promises(commands in prop::collection::vec(command(), 0..40)) {
        let mut currency = None;
        history(&commands, |state, _, _| {
            if let Some(product) = state {
                prop_assert_eq!(product.deleted_from.is_some(), product.status == Status::Deleted);
                prop_assert!(product.deleted_from != Some(Status::Deleted));
                prop_assert!(product.status != Status::Listed || !product.price.is_zero());
                prop_assert_eq!(*currency.get_or_insert(product.price.currency()), product.price.currency());
            }
            Ok(())
        })?;
    }
}
