//! Requests over protobuf: the same strictness as JSON, and nothing lost on the way.

use domain::Status;
use proptest::prelude::*;
use prost::Message as _;

use super::catalog::v1;
use super::catalog::v1::command_request::Command as Sent;
use super::*;
use crate::code::Code;
use crate::samples;

proptest! {
    #[test]
    fn a_request_reads_back_from_its_bytes(addressed in samples::addressed()) {
        let bytes = v1::CommandRequest::from(&addressed).encode_to_vec();
        let request = v1::CommandRequest::decode(bytes.as_slice()).unwrap();
        prop_assert_eq!(parse_request(&request), Ok(addressed));
    }

    #[test]
    fn any_bytes_are_a_request_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(request) = v1::CommandRequest::decode(bytes.as_slice()) {
            let _outcome = parse_request(&request);
        }
    }

    #[test]
    fn a_product_says_the_same_over_protobuf(product in samples::product()) {
        let message = v1::Product::from(&product);
        prop_assert_eq!(message.product_id, product.id.as_str());
        prop_assert_eq!(message.price, Some(product.price.into()));
        prop_assert_eq!(status_from(message.status), Some(product.status));
        prop_assert_eq!(status_from(message.deleted_from), product.deleted_from);
        prop_assert_eq!(message.version, product.version.get());
        prop_assert_eq!(message.tags.len(), product.tags.len());
    }

    #[test]
    fn every_event_has_a_message(event in samples::event()) {
        prop_assert!(v1::ProductEvent::from(&event).event.is_some());
    }
}

#[test]
fn every_fault_is_named_at_once() {
    let create = v1::CreateProduct {
        sku: "ring-1".to_owned(),
        category: "a//b".to_owned(),
        brand: "Acme".to_owned(),
        price: Some(v1::Money { minor_units: -1, currency: "XYZ".to_owned() }),
        tags: vec!["ok".to_owned(), "NOT OK".to_owned()],
        attributes: [("Color".to_owned(), "red".to_owned())].into(),
        status: v1::Status::Deleted.into(),
        ..v1::CreateProduct::default()
    };
    let request = v1::CommandRequest {
        product_id: "/".to_owned(),
        idempotency_key: "with space".to_owned(),
        command: Some(Sent::CreateProduct(create)),
        ..v1::CommandRequest::default()
    };
    let errors = parse_request(&request).unwrap_err();
    assert_eq!(errors.code(), Code::InvalidValue);
    let fields: Vec<String> = errors.as_slice().iter().map(crate::FieldError::field_path).collect();
    let expected = [
        "product_id",
        "idempotency_key",
        "create_product.sku",
        "create_product.name",
        "create_product.category",
        "create_product.price.currency",
        "create_product.price.minor_units",
        "create_product.attributes.Color",
        "create_product.tags.1",
        "create_product.status",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn lists_that_are_far_too_long_are_one_fault() {
    let attributes = (0..100_000).map(|n| (format!("!{n}"), String::new())).collect();
    let revise = v1::ReviseDetails {
        attributes: Some(v1::Attributes { values: attributes }),
        tags: Some(v1::Tags { values: vec!["!".to_owned(); 100_000] }),
        ..v1::ReviseDetails::default()
    };
    let request = v1::CommandRequest {
        product_id: "p-1".to_owned(),
        command: Some(v1::command_request::Command::ReviseDetails(revise)),
        ..v1::CommandRequest::default()
    };
    let errors = parse_request(&request).unwrap_err();
    let fields: Vec<String> = errors.as_slice().iter().map(crate::FieldError::field_path).collect();
    assert_eq!(fields, ["revise_details.attributes", "revise_details.tags"]);
}

#[test]
fn a_request_needs_a_command_and_a_product() {
    let errors = parse_request(&v1::CommandRequest::default()).unwrap_err();
    assert_eq!((errors.code(), errors.as_slice()[0].pointer.as_str()), (Code::MalformedRequest, "/command"));
    let command = Some(Sent::ChangePrice(v1::ChangePrice { price: None }));
    let errors = parse_request(&v1::CommandRequest { command, ..Default::default() }).unwrap_err();
    let pointers: Vec<&str> = errors.as_slice().iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(pointers, ["/product_id", "/change_price/price"]);
    let command = Some(Sent::ReviseDetails(v1::ReviseDetails::default()));
    let request = v1::CommandRequest { product_id: "p".to_owned(), command, ..Default::default() };
    assert_eq!(parse_request(&request).unwrap_err().as_slice()[0].pointer, "/revise_details");
}

#[test]
fn statuses_have_numbers_both_ways() {
    for known in Status::ALL {
        assert_eq!(status_from(status(known).into()), Some(known));
    }
    assert_eq!((status_from(0), status_from(99)), (None, None));
}

#[test]
fn the_descriptors_hold_both_services() {
    let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    let services: Vec<String> = set
        .file
        .iter()
        .flat_map(|file| file.service.iter().map(|service| format!("{}.{}", file.package(), service.name())))
        .collect();
    assert_eq!(services, ["catalog.v1.CommandService", "catalog.v1.QueryService"]);
}
