//! How small and how large the value of a record can be.

use domain::{
    Attributes, Brand, CategoryPath, Description, DetailsRevised, InitialStatus, Money, Name, PriceChanged,
    ProductCreated, ProductDeleted, ProductDiscontinued, ProductListed, ProductMoved, ProductRestored, Sku,
    Status, Tag, Tags,
};

use super::*;

/// Confluent's client for Python takes a value of 5 bytes or fewer for one without a frame.
#[test]
fn no_event_is_shorter_than_common_clients_take() {
    let ids = SchemaIds::without_registry();
    let one = InitialStatus::Draft;
    let smallest = [
        Event::ProductCreated(ProductCreated {
            sku: Sku::parse("s").unwrap(),
            name: Name::parse("n").unwrap(),
            description: Description::parse("").unwrap(),
            category: CategoryPath::parse("c").unwrap(),
            brand: Brand::parse("b").unwrap(),
            price: Money::new(0, "EUR").unwrap(),
            attributes: Attributes::default(),
            tags: Tags::default(),
            status: one,
        }),
        Event::DetailsRevised(DetailsRevised::default()),
        Event::PriceChanged(PriceChanged { price: Money::new(0, "EUR").unwrap() }),
        Event::ProductMoved(ProductMoved { category: CategoryPath::parse("c").unwrap() }),
        Event::ProductListed(ProductListed {}),
        Event::ProductDiscontinued(ProductDiscontinued { reason: None }),
        Event::ProductDeleted(ProductDeleted { reason: None }),
        Event::ProductRestored(ProductRestored { status: Status::Draft }),
    ];
    assert_eq!(smallest.each_ref().map(Event::type_name), Event::ALL_TYPES);
    for event in smallest {
        let value = encode(&event, &ids).unwrap();
        assert!(value.len() > HEADER_BYTES, "{} has {} bytes", event.type_name(), value.len());
    }
}

/// The longest names, values, category and brand there can be, in the script that takes most bytes.
#[test]
fn what_cannot_be_shortened_by_leaving_out_attributes_always_fits() {
    let gem = |n: usize| "\u{1f48e}".repeat(n);
    let category = vec![gem(CategoryPath::MAX_SEGMENT_LEN); CategoryPath::MAX_DEPTH].join("/");
    let tags: Vec<String> = (0..Tags::MAX).map(|n| format!("{n:02}{}", gem(Tag::MAX_LEN - 2))).collect();
    let created = Event::ProductCreated(ProductCreated {
        sku: Sku::parse(&gem(Sku::MAX_LEN)).unwrap(),
        name: Name::parse(&gem(Name::MAX_LEN)).unwrap(),
        description: Description::parse(&gem(Description::MAX_LEN)).unwrap(),
        category: CategoryPath::parse(&category).unwrap(),
        brand: Brand::parse(&gem(Brand::MAX_LEN)).unwrap(),
        price: Money::new(Money::MAX.cast_signed(), "EUR").unwrap(),
        attributes: Attributes::default(),
        tags: Tags::parse(tags.iter().map(String::as_str)).unwrap(),
        status: InitialStatus::Draft,
    });
    assert!(encode(&created, &SchemaIds::without_registry()).unwrap().len() < MAX_RECORD_BYTES / 3);
}

#[test]
fn an_event_larger_than_a_record_may_be_is_not_encoded() {
    let mut pairs = std::collections::BTreeMap::new();
    for i in 0..64 {
        let name = domain::AttributeName::parse(&format!("a{i}")).unwrap();
        pairs.insert(name, domain::AttributeValue::parse(&"\u{1f48e}".repeat(1_000)).unwrap());
    }
    let attributes = Attributes::new(pairs).unwrap();
    let description = Description::parse(&"\u{1f48e}".repeat(10_000)).unwrap();
    let revised = |description| {
        let attributes = Some(attributes.clone());
        Event::DetailsRevised(DetailsRevised { description, attributes, ..Default::default() })
    };
    let ids = SchemaIds::without_registry();
    assert!(encode(&revised(None), &ids).unwrap().len() > 250_000);
    let too_large = encode(&revised(Some(description)), &ids);
    assert!(
        matches!(too_large, Err(EncodeError::TooLarge { bytes }) if bytes > MAX_RECORD_BYTES),
        "{too_large:?}"
    );
}
