//! What each value type takes and refuses; which characters a text may hold stands in `character_tests.rs`.

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
fn skus_are_texts_that_keep_their_case() {
    for (written, kept) in [
        (" RING/1-A ", "RING/1-A"),
        ("ring-1", "ring-1"),
        ("T-Shirt, red = XL", "T-Shirt, red = XL"),
        ("\u{72d0}-\u{72f8} 7", "\u{72d0}-\u{72f8} 7"),
        ("caf\u{65}\u{301}", "caf\u{e9}"),
        (&"r".repeat(64), &"r".repeat(64)),
    ] {
        assert_eq!(Sku::parse(written).unwrap().as_str(), kept);
    }
    refused(Sku::parse("  "), "sku", "must not be empty");
    refused(Sku::parse("RING\n1"), "sku", "U+000A, a control character");
    refused(Sku::parse(&"R".repeat(65)), "sku", "at most 64 characters, but has 65");
}

#[test]
fn skus_of_another_case_are_folded_to_the_same_text() {
    let folded = |text: &str| Sku::parse(text).unwrap().folded();
    for (one, other) in [
        ("RING-1a", "ring-1A"),
        ("GR\u{d6}SSE", "gr\u{f6}\u{df}e"),
        ("\u{3a3}\u{3a3}", "\u{3c3}\u{3c2}"),
        ("caf\u{e9}", "CAFE\u{301}"),
        ("\u{212b}-7", "\u{e5}-7"),
    ] {
        assert_eq!(folded(one), folded(other));
        assert_ne!(Sku::parse(one).unwrap(), Sku::parse(other).unwrap(), "they stay two SKUs");
        assert_eq!(folded(&folded(one)), folded(one));
    }
    assert_ne!(folded("RING-1"), folded("RING 1"));
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
    refused(CategoryPath::parse("a/ /b"), "category", "segment that must not be empty");
    refused(CategoryPath::parse("a/b\u{202e}"), "category", "segment that must not hold U+202E");
    refused(CategoryPath::parse(&"a".repeat(65)), "category", "at most 64");
}

#[test]
fn category_segments_are_texts() {
    let deepest = vec!["\u{1f48e}".repeat(64); 8].join("/");
    for (written, kept) in [
        ("Clothing / T-Shirts & Tops /Men's", "Clothing/T-Shirts & Tops/Men's"),
        (" Home, Garden = Outdoor. ", "Home, Garden = Outdoor."),
        ("\u{5bb6}\u{5177}/\u{6905}\u{5b50}", "\u{5bb6}\u{5177}/\u{6905}\u{5b50}"),
        ("Caf\u{65}\u{301}/a", "Caf\u{e9}/a"),
        (&deepest, &deepest),
    ] {
        assert_eq!(CategoryPath::parse(written).unwrap().as_str(), kept);
    }
    assert_ne!(CategoryPath::parse("Rings").unwrap(), CategoryPath::parse("rings").unwrap());
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
    assert!(Money::new(Money::MAX.cast_signed(), "USD").is_ok());
    refused(Money::new(Money::MAX.cast_signed() + 1, "USD"), "minor_units", "at most");
    refused(Money::new(-1, "USD"), "minor_units", "negative");
    refused(Money::new(1, "usd"), "currency", "ISO 4217");
}

#[test]
fn attributes_are_ordered_bounded_and_named_once() {
    let attributes = Attributes::parse([("b", " 2 "), ("a", "1")]).unwrap();
    assert_eq!(attributes.iter().collect::<Vec<_>>(), [("a", "1"), ("b", "2")]);
    assert_eq!((attributes.get("b"), attributes.get("c")), (Some("2"), None));
    refused(Attributes::parse([("a", "1"), ("a", "2")]), "attributes", "name \"a\" only once");
    refused(Attributes::parse([("caf\u{e9}", "1"), (" cafe\u{301} ", "2")]), "attributes", "only once");
    refused(Attributes::parse([(" ", "1")]), "attributes", "have a name that must not be empty");
    refused(Attributes::parse([(&*"n".repeat(65), "1")]), "attributes", "at most 64 characters");
    refused(Attributes::parse([("Size", " ")]), "attributes", "a value of \"Size\" that must not be empty");
    refused(Attributes::parse([("a", "x".repeat(1001).as_str())]), "attributes", "at most 1000");
    let texts = [("Ring size (US)", "7 1/2"), ("a.b,c=d|[e]*", "~1/"), ("\u{f6}", "\u{f6}")];
    assert_eq!(Attributes::parse(texts).unwrap().iter().collect::<Vec<_>>(), texts);
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
    let tags = Tags::parse([" New in!", "caf\u{e9}", "cafe\u{301}"]).unwrap();
    assert_eq!(tags.iter().collect::<Vec<_>>(), ["New in!", "caf\u{e9}"]);
    refused(Tags::parse(["a\tb"]), "tags", "U+0009");
    refused(Tags::parse([""]), "tags", "must not be empty");
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

/// Texts of all scripts; some full of marks that combine, joiners and what is refused.
fn any_text() -> impl Strategy<Value = String> {
    let odd = prop::collection::vec(
        prop_oneof![any::<char>(), "[a\u{e9}\u{300}-\u{340}\u{1100}-\u{1112}\u{1161}\u{11a8} /\u{200b}-\u{200d}\u{915}\u{94d}\u{627}\u{1f469}]".prop_map(|text| text.chars().next().unwrap_or('a'))],
        0..60,
    );
    prop_oneof![".{0,300}", odd.prop_map(String::from_iter)]
}

#[test]
fn what_was_written_once_is_bounded_in_length_only() {
    assert_eq!(Name::stored("a\u{200e}\u{a0}e\u{301} ").unwrap().as_str(), "a\u{200e}\u{a0}e\u{301} ");
    assert!(Name::stored(&"\u{e4}".repeat(200)).is_ok());
    refused(Name::stored(&"\u{e4}".repeat(201)), "name", "at most 200 characters, but has 201");
    assert_eq!(CategoryPath::stored("A//b\u{ad}").unwrap().as_str(), "A//b\u{ad}");
    refused(CategoryPath::stored(&"a".repeat(520)), "category", "at most 519 characters");
    assert_eq!(Tags::stored(["\u{ad}", " "]).unwrap().len(), 2);
    refused(Tags::stored([&*"a".repeat(65)]), "tags", "at most 64 characters");
    assert_eq!(Attributes::stored([("\u{ad}", " ")]).unwrap().get("\u{ad}"), Some(" "));
}

proptest! {
    #[test]
    fn any_text_is_a_value_or_an_error_and_a_value_reads_back(text in any_text()) {
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
    fn a_text_and_its_decomposed_form_are_the_same_value(text in any_text()) {
        use unicode_normalization::UnicodeNormalization as _;
        let decomposed: String = text.nfd().collect();
        prop_assert_eq!(Description::parse(&text).ok(), Description::parse(&decomposed).ok());
        if let Ok(value) = Description::parse(&text) {
            prop_assert!(unicode_normalization::is_nfc(value.as_str()));
        }
    }

    #[test]
    fn errors_never_repeat_more_than_a_character_of_the_input(text in "[a-z ]{1000,2000}") {
        for error in [Sku::parse(&text).unwrap_err(), ProductId::parse(&text).unwrap_err()] {
            prop_assert!(error.to_string().len() < 200, "{}", error);
        }
    }
}
