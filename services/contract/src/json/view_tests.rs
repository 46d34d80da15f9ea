//! Views: their form is part of the contract, and they read back what they wrote.

use domain::{Event, Product};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::samples;

proptest! {
    #[test]
    fn a_product_reads_back_from_its_view(product in samples::product()) {
        let text = serde_json::to_string(&ProductView::from(&product)).unwrap();
        let view: ProductView = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(Product::from(view), product.clone());
        // Also by way of a tree, which owns its strings.
        let view: ProductView = serde_json::from_value(serde_json::from_str(&text).unwrap()).unwrap();
        prop_assert_eq!(Product::from(view), product);
    }

    #[test]
    fn an_event_reads_back_from_its_data(event in samples::event()) {
        let text = serde_json::to_string(&event_data(&event)).unwrap();
        prop_assert_eq!(event_from_data(event.type_name(), &text).unwrap(), event);
    }

    #[test]
    fn any_text_is_an_events_data_or_an_error(text in ".{0,100}") {
        for event_type in Event::ALL_TYPES.into_iter().chain(["Nonsense"]) {
            let _outcome = event_from_data(event_type, &text);
        }
    }
}

#[test]
fn a_products_view_keeps_its_form() {
    let [created, ..] = samples::one_of_each();
    let id = domain::ProductId::parse("p-1").unwrap();
    let product = domain::evolve(None, &id, domain::Version(1), &created).unwrap();
    let expected = json!({
        "product_id": "p-1",
        "sku": "DIA-0.23/IDEAL",
        "name": "Diamond 0.23 ct \u{2018}Ideal\u{2019}",
        "description": "Colour E, clarity SI2.\nDepth 61.5 %.",
        "category": "jewelry/diamonds/ideal",
        "brand": "Br\u{fc}cke & S\u{f6}hne",
        "price": {"minor_units": 32600, "currency": "USD"},
        "attributes": {"carat": "0.23", "color": "E", "cut": "Ideal"},
        "tags": ["gia", "loose-stone"],
        "status": "listed",
        "version": 1,
    });
    assert_eq!(serde_json::to_value(ProductView::from(&product)).unwrap(), expected);
}

#[test]
fn an_events_data_keeps_its_form() {
    let expected = [
        json!({"name": "Diamond 0.23 ct", "attributes": {}, "tags": ["gia"]}),
        json!({"price": {"minor_units": 29900, "currency": "USD"}}),
        json!({"category": "jewelry/diamonds"}),
        json!({"status": "listed"}),
        json!({"reason": "sold out"}),
        json!({}),
        json!({"status": "discontinued"}),
    ];
    for (event, expected) in samples::one_of_each()[1..].iter().zip(expected) {
        assert_eq!(serde_json::to_value(event_data(event)).unwrap(), expected, "{}", event.type_name());
    }
}

#[test]
fn a_view_with_a_value_that_is_not_allowed_is_an_error() {
    let long = format!(r#"{{"category": "{}"}}"#, "a".repeat(520));
    for data in [long.as_str(), "{}", "[]", "7"] {
        assert!(event_from_data("ProductMoved", data).is_err(), "{data}");
    }
    for data in [r#"{"status": "draft"}"#, r#"{"status": "Listed"}"#, "{}"] {
        assert!(event_from_data("ProductListed", data).is_err(), "{data}");
    }
    let error = event_from_data("PriceChanged", r#"{"price": {"minor_units": -1, "currency": "EUR"}}"#);
    assert!(error.unwrap_err().to_string().contains("must not be negative"));
}

#[test]
fn a_row_of_texts_that_are_refused_now_is_read_as_it_was() {
    let text = "a\u{200e}\u{ad}\u{a0}cafe\u{301}";
    let revised = domain::DetailsRevised {
        name: Some(domain::Name::stored(text).unwrap()),
        attributes: Some(domain::Attributes::stored([(text, text)]).unwrap()),
        tags: Some(domain::Tags::stored([text]).unwrap()),
        ..domain::DetailsRevised::default()
    };
    let event = Event::DetailsRevised(revised);
    let row = serde_json::to_string(&event_data(&event)).unwrap();
    assert_eq!(event_from_data("DetailsRevised", &row).unwrap(), event);
}
