//! The headers are part of the contract: their names, order and form.

use domain::{ProductId, Version, evolve};
use proptest::prelude::*;

use super::*;
use crate::samples;

fn product() -> Product {
    let [created, ..] = samples::one_of_each();
    evolve(None, &ProductId::parse("p-1").unwrap(), Version(1), &created).unwrap()
}

fn meta() -> EventMeta<'static> {
    EventMeta {
        event_id: Uuid::from_u128(0x0123_4567_89ab_8def_8123_4567_89ab_cdef),
        time: Timestamp::from_millisecond(1_795_514_400_123).unwrap(),
        source: "/folio/command-service",
        correlation_id: Some("order-7"),
        command_id: CommandId(Uuid::from_u128(1)),
        command_hash: Some(CommandHash(*b"0123456789abcdef")),
        actor: Some("alice"),
        principal: Some("key:shop"),
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    }
}

#[test]
fn headers_are_cloud_events_in_binary_mode() {
    let headers = headers(&meta(), &product(), "ProductCreated");
    let text: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name, std::str::from_utf8(value).unwrap())).collect();
    let expected = [
        ("ce_id", "01234567-89ab-8def-8123-456789abcdef"),
        ("ce_type", "folio.catalog.product.v1.ProductCreated"),
        ("ce_source", "/folio/command-service"),
        ("ce_specversion", "1.0"),
        ("ce_time", "2026-11-24T10:00:00.123Z"),
        ("content-type", "application/avro"),
        ("ce_correlationid", "order-7"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("folio_actor", "alice"),
        ("folio_principal", "key:shop"),
        ("folio_category", "jewelry/diamonds/ideal"),
        ("folio_brand", "Br\u{fc}cke & S\u{f6}hne"),
        ("folio_command_hash", "30313233343536373839616263646566"),
        ("ce_causationid", "00000000-0000-0000-0000-000000000001"),
    ];
    assert_eq!(text, expected);
}

#[test]
fn what_headers_say_reads_back() {
    let headers = headers(&meta(), &product(), "ProductCreated");
    let read = read_meta(&headers);
    let expected = RecordMeta {
        event_id: Some(meta().event_id),
        event_type: Some("folio.catalog.product.v1.ProductCreated"),
        source: Some("/folio/command-service"),
        time: Some(meta().time),
        correlation_id: Some("order-7"),
        command_id: Some(meta().command_id),
        command_hash: meta().command_hash,
        actor: Some("alice"),
        principal: Some("key:shop"),
        traceparent: meta().traceparent,
        category: Some("jewelry/diamonds/ideal"),
        brand: Some("Br\u{fc}cke & S\u{f6}hne"),
    };
    assert_eq!(read, expected);
}

#[test]
fn what_is_not_said_has_no_header() {
    let said = meta();
    let said = EventMeta { correlation_id: None, command_hash: None, actor: None, ..said };
    let meta = EventMeta { principal: None, traceparent: None, ..said };
    let headers = headers(&meta, &product(), "ProductCreated");
    for name in
        [names::CORRELATION_ID, names::COMMAND_HASH, names::ACTOR, names::PRINCIPAL, names::TRACEPARENT]
    {
        assert_eq!(headers.get(name), None);
    }
    let read = read_meta(&headers);
    assert_eq!(
        (read.correlation_id, read.command_hash, read.actor, read.traceparent),
        (None, None, None, None)
    );
}

#[test]
fn headers_that_make_no_sense_are_as_good_as_missing() {
    let mut headers = Headers::new();
    headers.push(names::ID, b"not a uuid");
    headers.push(names::TIME, b"yesterday");
    headers.push(names::CAUSATION_ID, b"");
    headers.push(names::COMMAND_HASH, b"zz313233343536373839616263646566");
    headers.push(names::ACTOR, b"\xff\xfe");
    assert_eq!(read_meta(&headers), RecordMeta::default());
}

proptest! {
    #[test]
    fn any_header_is_read_or_ignored(value in prop::collection::vec(any::<u8>(), 0..64)) {
        let all = [
            names::ID, names::TYPE, names::SOURCE, names::TIME, names::CORRELATION_ID,
            names::CAUSATION_ID, names::COMMAND_HASH, names::ACTOR, names::PRINCIPAL, names::TRACEPARENT, names::CATEGORY,
            names::BRAND,
        ];
        let headers: Headers = all.iter().map(|name| (*name, value.as_slice())).collect();
        let _meta = read_meta(&headers);
    }

    #[test]
    fn a_command_hash_reads_back(hash: [u8; 16]) {
        prop_assert_eq!(unhex(hex(CommandHash(hash), &mut Uuid::encode_buffer())), Some(CommandHash(hash)));
    }
}
