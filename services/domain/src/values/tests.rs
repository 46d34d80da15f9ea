//! What each value type takes and refuses.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, ValueError>, field: &str, part_of_problem: &str) {
    let error = result.unwrap_err();
    assert_eq!(error.field, field);
    assert!(error.problem.contains(part_of_problem), "{error}");
}

#[test]
fn product_ids() {
    for id in ["a", "7", "P-1.x_y", &"x".repeat(64)] {
        assert_eq!(ProductId::parse(id).unwrap().as_str(), id);
    }
    refused(ProductId::parse(""), "product_id", "must not be empty");
    refused(ProductId::parse(&"x".repeat(65)), "product_id", "at most 64");
    refused(ProductId::parse("-a"), "product_id", "must start with a letter or a digit");
    refused(ProductId::parse("a/b"), "product_id", "not '/'");
    refused(ProductId::parse(" a"), "product_id", "not ' '");
    refused(ProductId::parse("\u{e4}"), "product_id", "may contain only");
}

#[test]
fn skus_are_trimmed_and_never_corrected() {
    assert_eq!(Sku::parse(" RING/1-A ").unwrap().as_str(), "RING/1-A");
    refused(Sku::parse("ring-1"), "sku", "must be upper case");
    refused(Sku::parse("  "), "sku", "must not be empty");
    refused(Sku::parse("RING 1"), "sku", "not ' '");
    refused(Sku::parse(&"R".repeat(65)), "sku", "at most 64 characters, but has 65");
}

#[test]
fn texts_are_trimmed_and_counted_in_characters() {
    assert_eq!(Name::parse("  Ring \n").unwrap().as_str(), "Ring");
    assert_eq!(Name::parse(&"\u{e4}".repeat(200)).unwrap().as_str().len(), 400);
    refused(Name::parse(&"\u{e4}".repeat(201)), "name", "at most 200 characters, but has 201");
    refused(Name::parse(" \t "), "name", "must not be empty");
    refused(Name::parse("a\u{0}b"), "name", "control character");
    refused(Name::parse("a\nb"), "name", "control character");
    refused(Brand::parse(&"b".repeat(101)), "brand", "at most 100");
    refused(Reason::parse(&"r".repeat(501)), "reason", "at most 500");
}

#[test]
fn descriptions_may_be_empty_and_have_lines() {
    assert_eq!(Description::parse("").unwrap().as_str(), "");
    assert_eq!(Description::parse("a\n\tb\r\n").unwrap().as_str(), "a\n\tb");
    refused(Description::parse("a\u{1b}b"), "description", "control character");
    refused(Description::parse(&"d".repeat(10_001)), "description", "at most 10000");
}

#[test]
fn category_paths() {
    let path = CategoryPath::parse("jewelry/diamonds/ideal").unwrap();
    assert_eq!(path.segments().collect::<Vec<_>>(), ["jewelry", "diamonds", "ideal"]);
    let ancestors: Vec<String> = path.ancestors().map(|path| path.to_string()).collect();
    assert_eq!(ancestors, ["jewelry", "jewelry/diamonds", "jewelry/diamonds/ideal"]);
    let parent = CategoryPath::parse("jewelry/diamonds").unwrap();
    assert!(path.is_within(&parent) && path.is_within(&path) && !parent.is_within(&path));
    assert!(!CategoryPath::parse("jewelry/diamonds-2").unwrap().is_within(&parent));
    assert!(CategoryPath::parse("a/b/c/d/e/f/g/h").is_ok());
    refused(CategoryPath::parse("a/b/c/d/e/f/g/h/i"), "category", "at most 8 segments");
    refused(CategoryPath::parse(""), "category", "must not be empty");
    refused(CategoryPath::parse("a//b"), "category", "segment that must not be empty");
    refused(CategoryPath::parse("/a"), "category", "segment that must not be empty");
    refused(CategoryPath::parse("a/B"), "category", "not 'B'");
    refused(CategoryPath::parse(&"a".repeat(65)), "category", "at most 64");
}

#[test]
fn currencies_are_ordered_and_known_by_their_codes() {
    assert!(currency::TABLE.is_sorted_by(|(a, _), (b, _)| a < b));
    for currency in Currency::all() {
        assert_eq!(Currency::parse(currency.as_str()), Ok(currency));
        assert!(currency.as_str().len() == 3 && currency.minor_digits() <= 4);
    }
    for unknown in ["", "eur", "EURO", "XXX", "EU"] {
        refused(Currency::parse(unknown), "currency", "ISO 4217");
    }
}

#[test]
fn money_has_bounds_and_prints_in_major_units() {
    for (units, currency, text) in [
        (1999, "USD", "19.99 USD"),
        (5, "EUR", "0.05 EUR"),
        (500, "JPY", "500 JPY"),
        (1_005, "KWD", "1.005 KWD"),
    ] {
        assert_eq!(Money::new(units, currency).unwrap().to_string(), text);
    }
    assert!(Money::new(0, "USD").unwrap().is_zero());
    assert!(Money::new(Money::MOST.cast_signed(), "USD").is_ok());
    refused(Money::new(Money::MOST.cast_signed() + 1, "USD"), "minor_units", "at most");
    refused(Money::new(-1, "USD"), "minor_units", "negative");
    refused(Money::new(1, "usd"), "currency", "ISO 4217");
}

#[test]
fn attributes_are_ordered_bounded_and_named_once() {
    let attributes = Attributes::parse([("b", " 2 "), ("a", "1")]).unwrap();
    assert_eq!(attributes.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    assert_eq!((attributes.get("b"), attributes.get("c")), (Some("2"), None));
    refused(Attributes::parse([("a", "1"), ("a", "2")]), "attributes", "name a only once");
    refused(Attributes::parse([("A", "1")]), "attributes", "in names, not 'A'");
    refused(Attributes::parse([("1a", "1")]), "attributes", "start with a letter");
    refused(Attributes::parse([("a", "")]), "attributes", "must not be empty");
    refused(Attributes::parse([("a", "x".repeat(1001).as_str())]), "attributes", "at most 1000");
    let names: Vec<String> = (0..65).map(|i| format!("n{i}")).collect();
    let pairs = |n: usize| names[..n].iter().map(|name| (name.as_str(), "v"));
    assert_eq!(Attributes::parse(pairs(64)).unwrap().len(), 64);
    refused(Attributes::parse(pairs(65)), "attributes", "at most 64");
}

#[test]
fn tags_are_a_bounded_set() {
    let tags = Tags::parse(["b", "a", "b"]).unwrap();
    assert_eq!(tags.iter().collect::<Vec<_>>(), ["a", "b"]);
    assert!(tags.contains("a") && !tags.contains("c"));
    refused(Tags::parse(["Gold"]), "tags", "not 'G'");
    let many: Vec<String> = (0..65).map(|i| i.to_string()).collect();
    assert_eq!(Tags::parse(many[..64].iter().map(String::as_str)).unwrap().len(), 64);
    refused(Tags::parse(many.iter().map(String::as_str)), "tags", "at most 64");
}

#[test]
fn statuses_read_what_they_write() {
    for status in Status::ALL {
        assert_eq!(Status::parse(status.as_str()), Ok(status));
    }
    refused(Status::parse("Draft"), "status", "must be one of");
    refused(InitialStatus::parse("deleted"), "status", "must be draft or listed");
    assert_eq!(InitialStatus::parse("listed").map(Status::from), Ok(Status::Listed));
}

proptest! {
    #[test]
    fn any_text_is_a_value_or_an_error_and_a_value_reads_back(text in ".{0,300}") {
        macro_rules! reads_back {
            ($($value:ident),*) => {$(
                if let Ok(value) = $value::parse(&text) {
                    prop_assert_eq!($value::parse(value.as_str()), Ok(value));
                }
            )*};
        }
        reads_back!(
            ProductId, Sku, Name, Brand, Description, Reason, AttributeName, AttributeValue, Tag, CategoryPath,
            Currency, Status
        );
    }

    #[test]
    fn errors_never_repeat_more_than_a_character_of_the_input(text in "[a-z ]{1000,2000}") {
        for error in [Sku::parse(&text).unwrap_err(), ProductId::parse(&text).unwrap_err()] {
            prop_assert!(error.to_string().len() < 200, "{}", error);
        }
    }
}
