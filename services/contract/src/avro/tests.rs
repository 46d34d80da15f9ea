//! Our encoding against an independent judge (apache-avro), and against bytes from anywhere.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use domain::{Attributes, Money, Tags};
use proptest::prelude::*;

use super::*;
use crate::samples;

/// The event as the schema says it, made by hand.
fn judged(event: &Event) -> Value {
    let string = |text: &str| Value::String(text.to_owned());
    let record = |fields: Vec<(&str, Value)>| {
        Value::Record(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    };
    let optional = |value: Option<Value>| match value {
        None => Value::Union(0, Box::new(Value::Null)),
        Some(value) => Value::Union(1, Box::new(value)),
    };
    let map = |attributes: &Attributes| {
        Value::Map(attributes.iter().map(|(name, value)| (name.to_owned(), string(value))).collect())
    };
    let array = |tags: &Tags| Value::Array(tags.iter().map(string).collect());
    let money = |money: Money| {
        let units = Value::Long(money.minor_units().cast_signed());
        record(vec![("minor_units", units), ("currency", string(money.currency().as_str()))])
    };
    match event {
        Event::ProductCreated(e) => record(vec![
            ("sku", string(e.sku.as_str())),
            ("name", string(e.name.as_str())),
            ("description", string(e.description.as_str())),
            ("category", string(e.category.as_str())),
            ("brand", string(e.brand.as_str())),
            ("price", money(e.price)),
            ("attributes", map(&e.attributes)),
            ("tags", array(&e.tags)),
            ("status", string(e.status.as_str())),
        ]),
        Event::DetailsRevised(e) => record(vec![
            ("sku", optional(e.sku.as_ref().map(|sku| string(sku.as_str())))),
            ("name", optional(e.name.as_ref().map(|name| string(name.as_str())))),
            ("description", optional(e.description.as_ref().map(|text| string(text.as_str())))),
            ("brand", optional(e.brand.as_ref().map(|brand| string(brand.as_str())))),
            ("attributes", optional(e.attributes.as_ref().map(map))),
            ("tags", optional(e.tags.as_ref().map(array))),
        ]),
        Event::PriceChanged(e) => record(vec![("price", money(e.price))]),
        Event::ProductMoved(e) => record(vec![("category", string(e.category.as_str()))]),
        Event::ProductListed(_) => record(vec![("status", string("listed"))]),
        Event::ProductDiscontinued(e) => {
            record(vec![("reason", optional(e.reason.as_ref().map(|reason| string(reason.as_str()))))])
        }
        Event::ProductDeleted(e) => {
            record(vec![("reason", optional(e.reason.as_ref().map(|reason| string(reason.as_str()))))])
        }
        Event::ProductRestored(e) => record(vec![("status", string(e.status.as_str()))]),
    }
}

fn schema_of(event: &Event) -> apache_avro::Schema {
    let known = known_schemas().iter().rev().find(|known| known.event_type == event.type_name()).unwrap();
    apache_avro::Schema::parse_str(known.text).unwrap()
}

proptest! {
    #[test]
    fn what_we_encode_decodes_to_the_same_event(event in samples::event()) {
        let ids = SchemaIds::without_registry();
        let value = encode(&event, &ids).unwrap();
        prop_assert_eq!(decode(&value, &ids), Ok(event.clone()));
        prop_assert_eq!(schema_id(&value), ids.id_of(event.type_name()));
    }

    #[test]
    fn the_judge_reads_what_we_write(event in samples::event()) {
        let value = encode(&event, &SchemaIds::without_registry()).unwrap();
        let schema = schema_of(&event);
        let mut datum = &value[HEADER_BYTES..];
        let read = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut datum).unwrap();
        prop_assert_eq!(read, judged(&event));
        prop_assert!(datum.is_empty());
    }

    #[test]
    fn we_read_what_the_judge_writes(event in samples::event()) {
        let ids = SchemaIds::without_registry();
        let schema = schema_of(&event);
        let mut value = vec![0];
        value.extend(ids.id_of(event.type_name()).unwrap().to_be_bytes());
        value.extend(GenericDatumWriter::builder(&schema).build().unwrap().write_value_to_vec(judged(&event)).unwrap());
        prop_assert_eq!(decode(&value, &ids), Ok(event));
    }

    #[test]
    fn any_bytes_are_an_event_or_an_error(id in 0_u32..10, datum in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut value = vec![0];
        value.extend(id.to_be_bytes());
        value.extend(&datum);
        let ids = SchemaIds::without_registry();
        if let Ok(event) = decode(&value, &ids) {
            prop_assert_eq!(decode(&encode(&event, &ids).unwrap(), &ids), Ok(event));
        }
        let _outcome = decode(&datum, &ids);
    }

    #[test]
    fn a_truncated_record_is_an_error(event in samples::event(), cut: prop::sample::Index) {
        let ids = SchemaIds::without_registry();
        let value = encode(&event, &ids).unwrap();
        prop_assert!(decode(&value[..cut.index(value.len())], &ids).is_err());
    }

    #[test]
    fn a_record_with_bytes_after_it_is_an_error(event in samples::event(), more in prop::collection::vec(any::<u8>(), 1..9)) {
        let ids = SchemaIds::without_registry();
        let mut value = encode(&event, &ids).unwrap().to_vec();
        value.extend(more);
        prop_assert!(decode(&value, &ids).is_err());
    }

    #[test]
    fn a_damaged_record_is_an_event_or_an_error(event in samples::event(), at: prop::sample::Index, to: u8) {
        let ids = SchemaIds::without_registry();
        let mut value = encode(&event, &ids).unwrap().to_vec();
        let at = at.index(value.len());
        value[at] = to;
        let _outcome = decode(&value, &ids);
    }

    /// Were memory taken for what a length claims, this would end the process: the claims go up to 2^62 bytes.
    #[test]
    fn huge_lengths_take_no_memory(
        event_type in 0_u32..8,
        before in prop::collection::vec(prop_oneof![Just(2_u8), Just(0), any::<u8>()], 0..30),
        exponent in 16_u32..62,
        is_negative: bool,
        after in prop::collection::vec(any::<u8>(), 0..30),
    ) {
        let mut value = vec![0];
        value.extend((event_type + 1).to_be_bytes());
        value.extend(before);
        let length = 1_i64 << exponent;
        value.extend(zigzag(if is_negative { -length } else { length }));
        value.extend(after);
        let _outcome = decode(&value, &SchemaIds::without_registry());
    }
}

fn zigzag(n: i64) -> Vec<u8> {
    let mut rest = ((n << 1) ^ (n >> 63)).cast_unsigned();
    let mut bytes = Vec::new();
    while rest >= 0x80 {
        bytes.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// A datum of `ProductCreated` up to its attributes, then `rest`.
fn created_with(rest: &[u8]) -> Vec<u8> {
    let mut value = vec![0, 0, 0, 0, 1];
    for text in ["A", "n", "", "c", "b"] {
        value.extend(zigzag(text.len() as i64));
        value.extend(text.as_bytes());
    }
    value.extend(zigzag(100));
    value.extend([6]);
    value.extend(b"EUR");
    value.extend(rest);
    value
}

#[test]
fn huge_counts_of_attributes_and_tags_are_errors() {
    let ids = SchemaIds::without_registry();
    let no_tags_draft = [&[0][..], &[10], b"draft"].concat();
    assert!(decode(&created_with(&[&[0][..], &no_tags_draft].concat()), &ids).is_ok());
    for count in [i64::MAX, 1 << 40, -(1 << 40), i64::MIN] {
        let attributes = [&zigzag(count)[..], &[2, b'a', 2, b'b']].concat();
        let tags = [&[0][..], &zigzag(count), &[2, b'a']].concat();
        for rest in [attributes, tags] {
            assert!(matches!(decode(&created_with(&rest), &ids), Err(DecodeError::Malformed(_))), "{count}");
        }
    }
}

#[test]
fn well_formed_values_that_the_domain_does_not_allow_are_invalid() {
    let ids = SchemaIds::without_registry();
    let draft = [&[10][..], b"draft"].concat();
    // Two attributes of the same name, a tag that is too long, such a name followed by a good one.
    let long = [&zigzag(65)[..], &[b'x'; 65]].concat();
    let twice = [&[4, 2, b'a', 2, b'1', 2, b'a', 2, b'2', 0, 0][..], &draft].concat();
    let tags = [&[0, 4][..], &long, &[2, b'b', 0], &draft].concat();
    let names = [&[4][..], &long, &[2, b'1', 2, b'a', 2, b'2', 0, 0], &draft].concat();
    for rest in [twice, tags, names] {
        let outcome = decode(&created_with(&rest), &ids);
        assert!(matches!(outcome, Err(DecodeError::Invalid(_))), "{outcome:?}");
    }
}

#[test]
fn what_is_not_framed_or_of_an_unknown_schema_says_so() {
    let ids = SchemaIds::without_registry();
    for value in [&b""[..], &[0], &[0, 0, 0, 0], &[1, 0, 0, 0, 1, 0], b"{\"json\": true}"] {
        assert_eq!(decode(value, &ids), Err(DecodeError::NotFramed));
    }
    assert_eq!(decode(&[0, 0, 0, 1, 0], &ids), Err(DecodeError::UnknownSchema(256)));
}

#[test]
fn what_was_accepted_once_is_read_as_it_was_whatever_is_refused_now() {
    let ids = SchemaIds::without_registry();
    for text in ["cafe\u{301}", "a\u{200e}\u{ad}b\u{a0}c", "a//b", "a\u{200b} b"] {
        let written = [&[0, 0, 0, 0, 4][..], &zigzag(text.len() as i64), text.as_bytes()].concat();
        let Event::ProductMoved(moved) = decode(&written, &ids).unwrap() else { panic!("it moves") };
        assert_eq!(moved.category.as_str(), text);
    }
    let kept = [&[2, 2, b'n', 2, b' ', 0, 2, 4, 0xc2, 0xad, 0, 10][..], b"draft"].concat();
    let Event::ProductCreated(created) = decode(&created_with(&kept), &ids).unwrap() else { panic!("new") };
    assert!(created.attributes.get("n") == Some(" ") && created.tags.contains("\u{ad}"));
}

#[test]
fn a_listing_says_its_status_and_nothing_else() {
    let ids = SchemaIds::without_registry();
    let listing =
        |status: &str| [&[0, 0, 0, 0, 5][..], &zigzag(status.len() as i64), status.as_bytes()].concat();
    let event = Event::ProductListed(domain::ProductListed {});
    assert_eq!(encode(&event, &ids).unwrap(), listing("listed"));
    assert_eq!(decode(&listing("listed"), &ids), Ok(event));
    assert!(matches!(decode(&listing("draft"), &ids), Err(DecodeError::Invalid(_))));
    assert!(matches!(decode(&listing("listed")[..5], &ids), Err(DecodeError::Malformed(_))));
}
