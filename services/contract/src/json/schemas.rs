//! What the OpenAPI documents say of values that are the same wherever they stand. Promises to allow what the domain
//! allows, as far as a schema can say it: the rules of texts go further (docs/api.md).

use domain::{
    Attributes, Brand, CategoryPath, Currency, Description, InitialStatus, Name, ProductId, Reason, Sku,
    Status, Version,
};
use utoipa::openapi::schema::{ArrayBuilder, Object, ObjectBuilder, Schema, Type};

use crate::{ConsistencyToken, IdempotencyKey, MAX_TAGS_SENT};

/// Characters of a tag, and of an attribute's name and value.
const MAX_TAG: usize = 64;
const MAX_VALUE: usize = 1_000;

/// One of a few texts.
pub fn one_of(values: impl IntoIterator<Item = &'static str>, description: &str) -> Object {
    let schema = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(values));
    schema.description(Some(description)).build()
}

/// A text of 1 to `longest` characters, of which one at least shows.
pub fn line(longest: usize, description: &str, example: &str) -> Object {
    let schema = ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(longest));
    schema.pattern(Some("\\S")).description(Some(description)).examples([example]).build()
}

/// The identity of a product.
pub fn product_id() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"))
        .max_length(Some(ProductId::MAX_LEN))
        .description(Some("The identity of the product."))
        .examples(["lamp-1"])
        .build()
}

/// A version of a product, from `least` on.
pub fn version(least: u64, description: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(least))
        .description(Some(description))
        .examples([3])
        .build()
}

/// The key that makes a repetition recognisable.
pub fn idempotency_key() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[!-~]+$"))
        .max_length(Some(IdempotencyKey::MAX_LEN))
        .description(Some("Makes a repetition recognisable: the first answer is given again."))
        .examples(["sale-7"])
        .build()
}

/// What a write returns and a read gives back.
pub fn consistency_token() -> Object {
    // The first record of a topic with six partitions, if it creates the product of the other examples.
    let first = ProductId::parse("lamp-1").map(|product| ConsistencyToken {
        partition: 5,
        offset: 0,
        product,
        version: Version::FIRST,
        log: None,
    });
    ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[A-Za-z0-9_-]*$"))
        .max_length(Some(ConsistencyToken::MAX_TEXT))
        .description(Some("Opaque: what a write returned. Give it to a read to see that write."))
        .examples(first.map(|token| token.encode()))
        .build()
}

/// Where a product stands in its life.
pub fn status() -> Object {
    one_of(Status::ALL.map(Status::as_str), "Where it stands in its life.")
}

/// A currency in use.
pub fn currency() -> Object {
    one_of(Currency::all().map(Currency::as_str), "A currency's code by ISO 4217.")
}

/// The category a product stands in.
pub fn category() -> Object {
    let longest = CategoryPath::MAX_DEPTH * (CategoryPath::MAX_SEGMENT_LEN + 1) - 1;
    line(longest, "1 to 8 segments, joined by `/`, each of 1 to 64 characters.", "Home & Garden/Lamps")
}

/// The maker of a product.
pub fn brand() -> Object {
    line(Brand::MAX_LEN, "Who makes it.", "Lumi\u{e8}re")
}

/// A label of a product.
pub fn tag() -> Object {
    line(MAX_TAG, "A label.", "LED")
}

pub(super) fn initial_status() -> Object {
    let all =
        Status::ALL.map(Status::as_str).into_iter().filter(|status| InitialStatus::parse(status).is_ok());
    one_of(all, "Whether it starts as a draft or on sale.")
}

pub(super) fn sku() -> Object {
    line(Sku::MAX_LEN, "The stock keeping unit. Keeps its case; need not be unique.", "LAMP 01/b")
}

pub(super) fn name() -> Object {
    line(Name::MAX_LEN, "The name shown to people.", "\u{c5}ngstr\u{f6}m desk lamp")
}

pub(super) fn description() -> Object {
    let schema = ObjectBuilder::new().schema_type(Type::String).max_length(Some(Description::MAX_LEN));
    schema.description(Some("The description shown to people: lines and tabs; may be empty.")).build()
}

pub(super) fn reason() -> Object {
    line(Reason::MAX_LEN, "Why, for people.", "sold out")
}

pub(super) fn attributes() -> Object {
    ObjectBuilder::new()
        .property_names(Some(line(MAX_TAG, "The name of an attribute.", "Farbe")))
        .additional_properties(Some(Schema::from(line(MAX_VALUE, "Its value.", "wei\u{df}"))))
        .max_properties(Some(Attributes::MAX))
        .description(Some("Further properties."))
        .examples([serde_json::json!({"Farbe": "wei\u{df}", "Watt": "7.5"})])
        .build()
}

pub(super) fn tags() -> utoipa::openapi::schema::Array {
    let schema = ArrayBuilder::new().items(tag()).max_items(Some(MAX_TAGS_SENT));
    schema
        .description(Some("Labels: at most 64, of which each counts once."))
        .examples([["B\u{fc}ro", "LED"]])
        .build()
}
