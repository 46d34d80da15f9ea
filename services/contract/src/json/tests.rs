//! Commands in JSON: strict, with every fault named at once.

use domain::Command;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::code::Code;
use crate::samples;

#[track_caller]
fn faults(result: Result<impl std::fmt::Debug, FieldErrors>) -> Vec<(String, String)> {
    result.unwrap_err().into_vec().into_iter().map(|error| (error.pointer, error.detail)).collect()
}

#[track_caller]
fn one_fault(result: Result<impl std::fmt::Debug, FieldErrors>, pointer: &str, part_of_detail: &str) {
    let faults = faults(result);
    let [(at, detail)] = faults.as_slice() else { panic!("{faults:?}") };
    assert_eq!(at, pointer);
    assert!(detail.contains(part_of_detail), "{detail}");
}

proptest! {
    #[test]
    fn a_command_reads_back_from_its_payload(command in samples::command()) {
        let body = command_payload(&command).to_string();
        prop_assert_eq!(parse_command(command.name(), body.as_bytes()), Ok(command));
    }

    #[test]
    fn a_bulk_line_reads_back_and_is_one_line(addressed in samples::addressed()) {
        let line = bulk_line(&addressed);
        prop_assert!(!line.contains('\n'));
        prop_assert_eq!(parse_bulk_line(line.as_bytes()), Ok(addressed));
    }

    #[test]
    fn any_bytes_are_a_command_or_named_faults(body in prop::collection::vec(any::<u8>(), 0..100), text in ".{0,100}") {
        for name in Command::ALL_NAMES {
            for body in [body.as_slice(), text.as_bytes()] {
                if let Err(errors) = parse_command(name, body) {
                    prop_assert!(!errors.as_slice().is_empty());
                }
            }
        }
        prop_assert!(parse_bulk_line(text.as_bytes()).is_err());
    }

    #[test]
    fn a_damaged_line_is_a_command_or_named_faults(
        addressed in samples::addressed(),
        at: prop::sample::Index,
        to in "[ -~]",
    ) {
        let line = bulk_line(&addressed);
        let at = line.char_indices().nth(at.index(line.chars().count())).unwrap().0;
        let rest = line[at..].chars().next().map_or(0, char::len_utf8);
        let damaged = format!("{}{to}{}", &line[..at], &line[at + rest..]);
        if let Err(errors) = parse_bulk_line(damaged.as_bytes()) {
            prop_assert!(!errors.as_slice().is_empty());
        }
    }
}

#[test]
fn every_fault_is_named_at_once() {
    let body = json!({
        "sku": "ring\n1",
        "name": 7,
        "category": "a//b",
        "price": {"minor_units": -1, "currency": "XYZ", "tax": 19},
        "attributes": {"Color": " ", "size": 5},
        "tags": ["ok", "not\u{202e}ok", null],
        "status": "deleted",
        "colour": "red",
    });
    let errors = parse_command("create_product", body.to_string().as_bytes()).unwrap_err();
    assert_eq!(errors.code(), Code::MalformedRequest);
    let pointers: Vec<&str> = errors.as_slice().iter().map(|error| error.pointer.as_str()).collect();
    let expected = [
        "/sku",
        "/name",
        "/category",
        "/brand",
        "/price/currency",
        "/price/minor_units",
        "/price/tax",
        "/attributes/Color",
        "/attributes/size",
        "/tags/1",
        "/tags/2",
        "/status",
        "/colour",
    ];
    assert_eq!(pointers, expected);
    let text = errors.to_string();
    assert!(text.starts_with("/sku must not hold U+000A, a control character: take it out; /name must be a string, not a number; "), "{text}");
    assert!(text.contains("/brand is missing"), "{text}");
    assert!(text.contains("/colour is not a known field; the fields are sku, name, "), "{text}");
}

#[test]
fn faults_of_form_and_of_value_have_their_codes() {
    let code = |name: &str, body: &str| parse_command(name, body.as_bytes()).unwrap_err().code();
    assert_eq!(code("move_to_category", r#"{"category": "a//b"}"#), Code::InvalidValue);
    assert_eq!(code("move_to_category", r#"{"category": 1}"#), Code::MalformedRequest);
    assert_eq!(code("move_to_category", "{}"), Code::MalformedRequest);
    assert_eq!(code("move_to_category", r#"{"category": "a//b", "x": 1}"#), Code::MalformedRequest);
    assert_eq!(code("revise_details", "{}"), Code::InvalidValue);
}

#[test]
fn what_may_be_left_out_has_a_default() {
    let body = json!({
        "sku": "RING-1", "name": "Ring", "category": "rings", "brand": "Acme",
        "price": {"minor_units": 0, "currency": "EUR"}, "description": null,
    });
    let Command::CreateProduct(create) =
        parse_command("create_product", body.to_string().as_bytes()).unwrap()
    else {
        panic!()
    };
    assert_eq!((create.description.as_str(), create.status.as_str()), ("", "draft"));
    assert!(create.attributes.is_empty() && create.tags.is_empty());
    for name in ["list_product", "discontinue_product", "delete_product", "restore_product"] {
        for body in ["", " \n", "{}"] {
            assert_eq!(parse_command(name, body.as_bytes()).unwrap().name(), name);
        }
    }
}

#[test]
fn a_revision_names_what_it_changes() {
    one_fault(parse_command("revise_details", b"{}"), "", "at least one of sku, name");
    one_fault(parse_command("revise_details", br#"{"name": null}"#), "/name", "leave it out to keep it");
    one_fault(parse_command("revise_details", br#"{"name": ""}"#), "/name", "must not be empty");
    assert!(parse_command("revise_details", br#"{"description": ""}"#).is_ok());
}

#[test]
fn amounts_are_whole_minor_units() {
    let price = |amount: &str| {
        let body = format!(r#"{{"price": {{"minor_units": {amount}, "currency": "EUR"}}}}"#);
        parse_command("change_price", body.as_bytes())
    };
    assert!(price("1999").is_ok());
    for amount in ["19.99", "1e3", "99999999999999999999"] {
        one_fault(price(amount), "/price/minor_units", "whole number of minor units");
    }
    one_fault(price("1000000000000001"), "/price/minor_units", "at most 1000000000000000");
    one_fault(price("\"1999\""), "/price/minor_units", "not a string");
    one_fault(
        parse_command("change_price", br#"{"price": 1999}"#),
        "/price",
        "must be an object, not a number",
    );
}

#[test]
fn what_is_not_one_json_value_says_where() {
    for body in ["{", "{} {}", "nope", "{\"a\": }", "\u{feff}{}"] {
        one_fault(parse_command("list_product", body.as_bytes()), "", "must be JSON: ");
    }
    one_fault(parse_command("list_product", b"\xff"), "", "must be JSON: ");
    one_fault(parse_command("list_product", b"[]"), "", "must be an object, not an array");
    let twice = parse_command("move_to_category", br#"{"category": "a", "category": "b"}"#);
    one_fault(twice, "", "the field \"category\" comes twice at line 1");
    let deep = "[".repeat(10_000);
    one_fault(parse_command("list_product", deep.as_bytes()), "", "recursion limit");
}

#[test]
fn pointers_are_escaped_and_hostile_bodies_get_bounded_answers() {
    one_fault(
        parse_command("list_product", br#"{"a/b~c": 1}"#),
        "/a~1b~0c",
        "not a known field; there are none",
    );
    let fields: Vec<String> = (0..5_000).map(|i| format!("\"{i}{}\": 1", "x".repeat(500))).collect();
    let body = format!("{{{}}}", fields.join(","));
    let errors = parse_command("list_product", body.as_bytes()).unwrap_err();
    assert_eq!((errors.total(), errors.code()), (5_000, Code::MalformedRequest));
    let faults = faults(Err::<(), _>(errors));
    let (last, told) = faults.split_last().unwrap();
    assert_eq!(told.len(), FieldErrors::MAX);
    assert!(told.iter().all(|(pointer, _)| pointer.len() <= 101));
    assert_eq!(*last, (String::new(), "has 4968 more faults that are not told one by one".to_owned()));
}

#[test]
fn lists_that_are_far_too_long_are_one_fault() {
    let bad: Vec<String> = (0..100_000).map(|n| format!("\"!{n}\": 7")).collect();
    let body = format!(r#"{{"attributes": {{{}}}}}"#, bad.join(","));
    one_fault(parse_command("revise_details", body.as_bytes()), "/attributes", "at most 64, but are 100000");
    let bad = vec!["7"; 100_000].join(",");
    let body = format!(r#"{{"tags": [{bad}]}}"#);
    one_fault(parse_command("revise_details", body.as_bytes()), "/tags", "at most 64, but are 100000");
    // One that comes twice counts once.
    let same = vec!["\"ring\""; 100].join(",");
    let body = format!(r#"{{"tags": [{same}]}}"#);
    parse_command("revise_details", body.as_bytes()).unwrap();
}

#[test]
fn bulk_lines_name_their_faults_too() {
    let line = r#"{"command": "change_price", "expected_version": -1, "idempotency_key": "", "payload": {"price": {}}, "x": 1}"#;
    let pointers: Vec<String> =
        faults(parse_bulk_line(line.as_bytes())).into_iter().map(|fault| fault.0).collect();
    let expected = [
        "/idempotency_key",
        "/expected_version",
        "/product_id",
        "/payload/price/minor_units",
        "/payload/price/currency",
        "/x",
    ];
    assert_eq!(pointers, expected);
    let unknown = parse_bulk_line(br#"{"command": "explode", "product_id": "p"}"#);
    one_fault(unknown, "/command", "must be one of create_product, ");
    one_fault(parse_bulk_line(b"{}"), "/command", "is missing");
    let line = br#"{"command": "list_product", "product_id": "p-1", "idempotency_key": null}"#;
    assert_eq!(parse_bulk_line(line).unwrap().command, Command::ListProduct);
}

#[test]
fn a_request_has_its_product_and_expected_version_beside_the_fields() {
    let body = br#"{"product_id": "p-1", "expected_version": 3, "category": "rings"}"#;
    let addressed = parse_request("move_to_category", body).unwrap();
    assert_eq!(addressed.product_id.unwrap().as_str(), "p-1");
    assert_eq!(addressed.expected_version, Some(domain::Version(3)));
    let body = br#"{"product_id": "/", "expected_version": "3", "x": 1}"#;
    let pointers: Vec<String> =
        faults(parse_request("move_to_category", body)).into_iter().map(|fault| fault.0).collect();
    assert_eq!(pointers, ["/product_id", "/expected_version", "/category", "/x"]);
}

#[test]
fn a_name_of_no_command_is_a_fault() {
    one_fault(parse_command("explode", b"{}"), "", "for no known command");
}
