//! Commands, events and products for the tests: any that the domain allows, and a fixed one of each event type.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    AttributeName, AttributeValue, Attributes, Brand, CategoryPath, ChangePrice, Command, CreateProduct,
    Currency, DeleteProduct, Description, DetailChanges, DetailsRevised, DiscontinueProduct, Event,
    InitialStatus, Money, MoveToCategory, Name, PriceChanged, Product, ProductCreated, ProductDeleted,
    ProductDiscontinued, ProductId, ProductListed, ProductMoved, ProductRestored, Reason, ReviseDetails, Sku,
    Status, Tag, Tags, Version,
};
use proptest::prelude::*;

use crate::{AddressedCommand, IdempotencyKey};

pub(crate) fn product_id() -> impl Strategy<Value = ProductId> {
    "[A-Za-z0-9][A-Za-z0-9._-]{0,63}".prop_map(|text| ProductId::parse(&text).unwrap())
}

fn sku() -> impl Strategy<Value = Sku> {
    text(|text| Sku::parse(text).ok())
}

/// Texts of all scripts, quotes, slashes and what else trips formats.
fn text<T: std::fmt::Debug>(parse: impl Fn(&str) -> Option<T> + 'static) -> impl Strategy<Value = T> {
    prop_oneof![
        Just("\"~1/\\ \u{1f48e}".to_owned()),
        Just("Cre\u{300}me, a.b=[c]* | d".to_owned()),
        "[A-Za-z0-9._/ -]{1,64}",
        ".{1,40}"
    ]
    .prop_filter_map("not a value", move |text: String| parse(&text))
}

fn name() -> impl Strategy<Value = Name> {
    text(|text| Name::parse(text).ok())
}

fn brand() -> impl Strategy<Value = Brand> {
    text(|text| Brand::parse(text).ok())
}

fn description() -> impl Strategy<Value = Description> {
    "[ -~\n\t\u{e4}-\u{17f}]{0,300}".prop_map(|text| Description::parse(&text).unwrap())
}

fn category() -> impl Strategy<Value = CategoryPath> {
    prop_oneof![
        "[a-z0-9-]{1,12}(/[A-Za-z0-9-]{1,12}){0,7}".prop_map(|text| CategoryPath::parse(&text).unwrap()),
        text(|text| CategoryPath::parse(text).ok()),
    ]
}

fn price() -> impl Strategy<Value = Money> {
    (0..=Money::MAX, any::<prop::sample::Index>()).prop_map(|(units, at)| {
        let currencies: Vec<Currency> = Currency::all().collect();
        Money::of(units.cast_signed(), *at.get(&currencies)).unwrap()
    })
}

fn attributes() -> impl Strategy<Value = Attributes> {
    let name = text(|text| AttributeName::parse(text).ok());
    let value = text(|text| AttributeValue::parse(text).ok());
    prop::collection::btree_map(name, value, 0..12)
        .prop_map(|pairs: BTreeMap<_, _>| Attributes::new(pairs).unwrap())
}

fn tags() -> impl Strategy<Value = Tags> {
    prop::collection::btree_set(text(|text| Tag::parse(text).ok()), 0..12)
        .prop_map(|tags: BTreeSet<_>| Tags::new(tags).unwrap())
}

fn reason() -> impl Strategy<Value = Option<Reason>> {
    prop::option::of(text(|text| Reason::parse(text).ok()))
}

fn initial_status() -> impl Strategy<Value = InitialStatus> {
    prop_oneof![Just(InitialStatus::Draft), Just(InitialStatus::Listed)]
}

fn live_status() -> impl Strategy<Value = Status> {
    prop_oneof![Just(Status::Draft), Just(Status::Listed), Just(Status::Discontinued)]
}

fn create() -> impl Strategy<Value = CreateProduct> {
    (sku(), name(), description(), category(), brand(), price(), attributes(), tags(), initial_status())
        .prop_map(|(sku, name, description, category, brand, price, attributes, tags, status)| {
            CreateProduct { sku, name, description, category, brand, price, attributes, tags, status }
        })
}

fn changes() -> impl Strategy<Value = DetailChanges> {
    (
        prop::option::of(sku()),
        prop::option::of(name()),
        prop::option::of(description()),
        prop::option::of(brand()),
        prop::option::of(attributes()),
        prop::option::of(tags()),
    )
        .prop_map(|(sku, name, description, brand, attributes, tags)| DetailChanges {
            sku,
            name,
            description,
            brand,
            attributes,
            tags,
        })
}

/// Any command.
pub(crate) fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        create().prop_map(Command::CreateProduct),
        changes().prop_filter_map("asks for nothing", |changes| {
            ReviseDetails::new(changes).ok().map(Command::ReviseDetails)
        }),
        price().prop_map(|price| Command::ChangePrice(ChangePrice { price })),
        category().prop_map(|category| Command::MoveToCategory(MoveToCategory { category })),
        Just(Command::ListProduct),
        reason().prop_map(|reason| Command::DiscontinueProduct(DiscontinueProduct { reason })),
        reason().prop_map(|reason| Command::DeleteProduct(DeleteProduct { reason })),
        Just(Command::RestoreProduct),
    ]
}

/// Any request; only a creation goes without a product id.
pub(crate) fn addressed() -> impl Strategy<Value = AddressedCommand> {
    let key = prop::option::of("[!-~]{1,255}".prop_map(|key| IdempotencyKey::parse(&key).unwrap()));
    let version = prop::option::of(any::<u64>().prop_map(Version));
    (command(), product_id(), any::<bool>(), version, key).prop_map(
        |(command, product_id, without_id, expected_version, idempotency_key)| {
            let without_id = without_id && matches!(command, Command::CreateProduct(_));
            AddressedCommand {
                product_id: (!without_id).then_some(product_id),
                command,
                expected_version,
                idempotency_key,
            }
        },
    )
}

/// Any event.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        create().prop_map(|create| Event::ProductCreated(created(create))),
        changes().prop_map(|DetailChanges { sku, name, description, brand, attributes, tags }| {
            Event::DetailsRevised(DetailsRevised { sku, name, description, brand, attributes, tags })
        }),
        price().prop_map(|price| Event::PriceChanged(PriceChanged { price })),
        category().prop_map(|category| Event::ProductMoved(ProductMoved { category })),
        Just(Event::ProductListed(ProductListed {})),
        reason().prop_map(|reason| Event::ProductDiscontinued(ProductDiscontinued { reason })),
        reason().prop_map(|reason| Event::ProductDeleted(ProductDeleted { reason })),
        live_status().prop_map(|status| Event::ProductRestored(ProductRestored { status })),
    ]
}

fn created(create: CreateProduct) -> ProductCreated {
    let CreateProduct { sku, name, description, category, brand, price, attributes, tags, status } = create;
    ProductCreated { sku, name, description, category, brand, price, attributes, tags, status }
}

/// Any product.
pub(crate) fn product() -> impl Strategy<Value = Product> {
    (product_id(), create(), prop::option::of(live_status()), 1..u64::MAX).prop_map(
        |(id, create, deleted_from, version)| Product {
            id,
            sku: create.sku,
            name: create.name,
            description: create.description,
            category: create.category,
            brand: create.brand,
            price: create.price,
            attributes: create.attributes,
            tags: create.tags,
            status: deleted_from.map_or(create.status.into(), |_| Status::Deleted),
            deleted_from,
            version: Version(version),
        },
    )
}

/// One fixed event of each type, in the order of [`Event::ALL_TYPES`]. The golden samples are made of them: never
/// change one.
pub(crate) fn one_of_each() -> [Event; 8] {
    [
        Event::ProductCreated(ProductCreated {
            sku: Sku::parse("DIA-0.23/IDEAL").unwrap(),
            name: Name::parse("Diamond 0.23 ct \u{2018}Ideal\u{2019}").unwrap(),
            description: Description::parse("Colour E, clarity SI2.\nDepth 61.5 %.").unwrap(),
            category: CategoryPath::parse("jewelry/diamonds/ideal").unwrap(),
            brand: Brand::parse("Br\u{fc}cke & S\u{f6}hne").unwrap(),
            price: Money::new(32_600, "USD").unwrap(),
            attributes: Attributes::parse([("carat", "0.23"), ("color", "E"), ("cut", "Ideal")]).unwrap(),
            tags: Tags::parse(["gia", "loose-stone"]).unwrap(),
            status: InitialStatus::Listed,
        }),
        Event::DetailsRevised(DetailsRevised {
            name: Some(Name::parse("Diamond 0.23 ct").unwrap()),
            attributes: Some(Attributes::default()),
            tags: Some(Tags::parse(["gia"]).unwrap()),
            ..DetailsRevised::default()
        }),
        Event::PriceChanged(PriceChanged { price: Money::new(29_900, "USD").unwrap() }),
        Event::ProductMoved(ProductMoved { category: CategoryPath::parse("jewelry/diamonds").unwrap() }),
        Event::ProductListed(ProductListed {}),
        Event::ProductDiscontinued(ProductDiscontinued { reason: Some(Reason::parse("sold out").unwrap()) }),
        Event::ProductDeleted(ProductDeleted { reason: None }),
        Event::ProductRestored(ProductRestored { status: Status::Discontinued }),
    ]
}
