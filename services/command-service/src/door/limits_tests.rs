//! The table "Limits of every field" of `docs/api.md` and the code say the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use contract::avro::MAX_RECORD_BYTES;
use contract::{FieldErrors, IdempotencyKey, MAX_TAGS_SENT};
use domain::{
    AttributeName, AttributeValue, Attributes, Brand, CategoryPath, Currency, Description, Money, Name,
    ProductId, Reason, Sku, Tag, Tags,
};

use edge::config::DoorConfig;
use edge::entity_tags::MAX_TAGS;

use super::request::MAX_ACTOR;
use crate::config::UploadsConfig;

/// The first and the last column of the table.
fn told() -> BTreeMap<String, u64> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("### Limits of every field").expect("the page has the table");
    let rows = table.lines().skip_while(|line| !line.starts_with('|')).skip(2);
    rows.take_while(|line| line.starts_with('|'))
        .map(|row| {
            let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
            let [field, _, most] = cells[..] else { panic!("a row has three columns: {row}") };
            (field.to_owned(), most.replace(',', "").parse().unwrap_or_else(|_| panic!("no number: {row}")))
        })
        .collect()
}

#[test]
fn the_page_tells_the_limit_of_every_field() {
    let (http, uploads) = (DoorConfig::default(), UploadsConfig::default());
    let limits = [
        ("`product_id`", ProductId::MAX_LEN),
        ("`sku`", Sku::MAX_LEN),
        ("`name`", Name::MAX_LEN),
        ("`description`", Description::MAX_LEN),
        ("`brand`", Brand::MAX_LEN),
        ("`category`", CategoryPath::MAX_DEPTH),
        ("segment of `category`", CategoryPath::MAX_SEGMENT_LEN),
        ("`price.minor_units`", Money::MAX as usize),
        ("`price.currency`", Currency::all().map(|it| it.as_str().len()).max().unwrap()),
        ("`attributes`", Attributes::MAX),
        ("name of an attribute", AttributeName::MAX_LEN),
        ("value of an attribute", AttributeValue::MAX_LEN),
        ("`tags`", Tags::MAX),
        ("`tags`, as they are sent", MAX_TAGS_SENT),
        ("a tag", Tag::MAX_LEN),
        ("`reason`", Reason::MAX_LEN),
        ("`expected_version`", usize::MAX),
        ("`idempotency_key`, `Idempotency-Key`", IdempotencyKey::MAX_LEN),
        ("`X-Folio-Actor`", MAX_ACTOR),
        ("tags of `If-Match` or `If-None-Match`", MAX_TAGS),
        ("body of a command, message of gRPC", http.max_body_bytes),
        ("line of an upload", uploads.max_line_bytes),
        ("record a command makes", MAX_RECORD_BYTES),
        ("faults told", FieldErrors::MAX),
    ];
    let limits: BTreeMap<_, _> =
        limits.into_iter().map(|(field, most)| (field.to_owned(), most as u64)).collect();
    assert_eq!(told(), limits);
}
