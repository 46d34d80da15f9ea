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
        sku: "ring\t1".to_owned(),
        category: "a//b".to_owned(),
        brand: "Acme".to_owned(),
        price: Some(v1::Money { minor_units: -1, currency: "XYZ".to_owned() }),
        tags: vec!["ok".to_owned(), "not\u{202e}ok".to_owned()],
        attributes: [("Color".to_owned(), String::new()), ("a/b.c".to_owned(), " ".to_owned())].into(),
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
        "create_product.attributes.`a/b.c`",
        "create_product.tags.1",
        "create_product.status",
    ];
    assert_eq!(fields, expected);
}

#[test]
fn two_spellings_of_one_name_are_a_fault_of_the_second() {
    let attributes = [("caf\u{e9}".to_owned(), "1".to_owned()), ("cafe\u{301}".to_owned(), "2".to_owned())];
    let values = v1::Attributes { values: attributes.into() };
    let revise = v1::ReviseDetails { attributes: Some(values), ..v1::ReviseDetails::default() };
    let command = Some(Sent::ReviseDetails(revise));
    let request = v1::CommandRequest { product_id: "p".to_owned(), command, ..Default::default() };
    let errors = parse_request(&request).unwrap_err();
    let [only] = errors.as_slice() else { panic!("{errors}") };
    assert!(only.detail.contains("only once") && only.pointer.starts_with("/revise_details/attributes/caf"));
    assert_eq!(errors.code(), Code::InvalidValue);
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
fn each_service_is_described_alone_and_as_a_whole() {
    for (service, messages) in [
        ("catalog.v1.CommandService", ["CommandRequest", "CommandResult", "Money"]),
        ("catalog.v1.QueryService", ["SearchRequest", "ProductEvent", "Money"]),
    ] {
        let set = described(&[service]);
        let services = set.file.iter().flat_map(|file| &file.service).map(|it| it.name().to_owned());
        assert_eq!(services.collect::<Vec<_>>(), [service.trim_start_matches("catalog.v1.")]);
        let declared: Vec<_> = set
            .file
            .iter()
            .flat_map(|file| &file.message_type)
            .map(prost_types::DescriptorProto::name)
            .collect();
        assert!(messages.iter().all(|it| declared.contains(it)), "{service}: {declared:?}");
        for dependency in set.file.iter().flat_map(|file| &file.dependency) {
            assert!(set.file.iter().any(|file| file.name() == dependency), "{service} needs {dependency}");
        }
    }
    assert!(described(&["catalog.v1.Nothing"]).file.is_empty());
}

#[test]
fn services_of_one_server_are_described_together_and_no_file_twice() {
    let set = described(&["catalog.v1.CommandService", "catalog.v1.QueryService"]);
    let mut names: Vec<_> = set.file.iter().map(FileDescriptorProto::name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
    assert_eq!(set.file.iter().flat_map(|file| &file.service).count(), 2);
}
