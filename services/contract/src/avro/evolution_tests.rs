//! Schemas are for ever: committed files never change, and a new version can read whatever an old one wrote.

use std::fs;
use std::path::{Path, PathBuf};

use apache_avro::schema_compatibility::SchemaCompatibility;
use domain::{ProductDeleted, Reason};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/events")
}

fn parse(text: &str) -> apache_avro::Schema {
    apache_avro::Schema::parse_str(text).unwrap()
}

/// Whether a reader with the new schema understands everything the old one wrote (Avro's BACKWARD).
fn is_backward_compatible(old: &str, new: &str) -> bool {
    SchemaCompatibility::can_read(&parse(old), &parse(new)).is_ok()
}

#[test]
fn committed_schemas_never_change() {
    let checksums = fs::read_to_string(folder().join("CHECKSUMS")).unwrap();
    let mut listed: Vec<String> = Vec::new();
    for line in checksums.lines() {
        let (sum, file) = line.split_once("  ").unwrap();
        let contents = fs::read(folder().join(file)).unwrap();
        let actual =
            Sha256::digest(&contents).iter().fold(String::new(), |sum, byte| format!("{sum}{byte:02x}"));
        assert_eq!(actual, sum, "{file} was changed: commit a new version instead");
        listed.push(file.to_owned());
    }
    let mut files: Vec<String> = fs::read_dir(folder().join("product"))
        .unwrap()
        .map(|entry| format!("product/{}", entry.unwrap().file_name().to_str().unwrap()))
        .collect();
    files.sort();
    listed.sort();
    assert_eq!(files, listed, "every schema stands in CHECKSUMS (sha256sum product/*.avsc)");
}

#[test]
fn every_schema_file_is_known_and_named_as_it_says() {
    let files = fs::read_dir(folder().join("product")).unwrap().count();
    assert_eq!(files, known_schemas().len());
    for known in known_schemas() {
        let file = folder().join(format!("product/{}.v{}.avsc", known.event_type, known.version));
        assert_eq!(fs::read_to_string(file).unwrap(), known.text);
        let apache_avro::Schema::Record(record) = parse(known.text) else {
            panic!("{} is no record", known.fqn)
        };
        assert_eq!(record.name.to_string(), known.fqn);
        assert!(record.doc.is_some_and(|doc| !doc.is_empty()), "{}", known.fqn);
        for field in record.fields {
            assert!(field.doc.is_some_and(|doc| !doc.is_empty()), "{}.{}", known.fqn, field.name);
        }
    }
}

#[test]
fn every_version_reads_all_versions_before_it() {
    for new in known_schemas() {
        for old in known_schemas() {
            if old.fqn == new.fqn && old.version <= new.version {
                assert!(
                    is_backward_compatible(old.text, new.text),
                    "{} {} {}",
                    new.fqn,
                    old.version,
                    new.version
                );
            }
        }
    }
}

/// The schema's fields, changed.
fn changed(text: &str, change: impl FnOnce(&mut Vec<Value>)) -> String {
    let mut schema: Value = serde_json::from_str(text).unwrap();
    change(schema["fields"].as_array_mut().unwrap());
    schema.to_string()
}

#[test]
fn a_breaking_change_of_any_schema_fails_the_check() {
    for known in known_schemas() {
        let new_field = json!({"name": "weight", "type": "long", "doc": "Grams."});
        let with_new_field = changed(known.text, |fields| fields.push(new_field));
        assert!(
            !is_backward_compatible(known.text, &with_new_field),
            "{}: a field without default",
            known.fqn
        );

        let fields = serde_json::from_str::<Value>(known.text).unwrap()["fields"].as_array().unwrap().len();
        for i in 0..fields {
            let retyped = changed(known.text, |fields| {
                fields[i]["type"] = json!("boolean");
                fields[i].as_object_mut().unwrap().remove("default");
            });
            assert!(!is_backward_compatible(known.text, &retyped), "{}: field {i} retyped", known.fqn);
            let renamed = changed(known.text, |fields| {
                fields[i]["name"] = json!("renamed");
                fields[i].as_object_mut().unwrap().remove("default");
            });
            assert!(!is_backward_compatible(known.text, &renamed), "{}: field {i} renamed", known.fqn);
        }
        let renamed = known.text.replace(known.event_type, "SomethingElse");
        assert!(!is_backward_compatible(known.text, &renamed), "{}: the record renamed", known.fqn);
    }
}

#[test]
fn a_new_optional_field_passes_the_check_in_both_directions() {
    for known in known_schemas() {
        let optional = json!({"name": "note", "type": ["null", "string"], "default": null, "doc": "A note."});
        let newer = changed(known.text, |fields| fields.push(optional));
        assert!(is_backward_compatible(known.text, &newer), "{}", known.fqn);
        assert!(is_backward_compatible(&newer, known.text), "{}", known.fqn);
    }
}

fn deleted_schema() -> &'static str {
    known_schemas().iter().find(|known| known.event_type == "ProductDeleted").unwrap().text
}

#[test]
fn a_record_of_a_newer_schema_decodes_once_its_schema_is_learned() {
    let newer = changed(deleted_schema(), |fields| {
        fields.push(json!({"name": "note", "type": ["null", "string"], "default": null}));
    });
    // Reason: "why"; note: "new".
    let value = [&[0, 0, 0, 0, 77, 2, 6][..], b"why", &[2, 6], b"new"].concat();
    let mut ids = SchemaIds::without_registry();
    assert_eq!(decode(&value, &ids), Err(DecodeError::UnknownSchema(77)));
    ids.learn(77, &newer).unwrap();
    let reason = Some(Reason::parse("why").unwrap());
    assert_eq!(decode(&value, &ids), Ok(Event::ProductDeleted(ProductDeleted { reason })));
}

#[test]
fn a_record_of_an_older_schema_without_an_optional_field_is_read_as_without_it() {
    let older = changed(deleted_schema(), Vec::clear);
    let mut ids = SchemaIds::without_registry();
    ids.learn(78, &older).unwrap();
    let decoded = decode(&[0, 0, 0, 0, 78], &ids);
    assert_eq!(decoded, Ok(Event::ProductDeleted(ProductDeleted { reason: None })));
}

#[test]
fn ids_come_from_the_registry_and_are_complete_and_unambiguous() {
    let all = || (10..).step_by(3).zip(known_schemas()).map(|(id, known)| (*known, id));
    let ids = SchemaIds::new(all()).unwrap();
    assert_eq!(ids.id_of("PriceChanged"), Some(16));
    assert_eq!(ids.iter().nth(2), Some((16, "PriceChanged")));

    let missing = SchemaIds::new(all().filter(|(known, _)| known.event_type != "ProductMoved"));
    assert!(matches!(missing, Err(SchemaError::Missing { version: 1, .. })), "{missing:?}");
    let ambiguous = SchemaIds::new(all().map(|(known, _)| (known, 1)));
    assert_eq!(ambiguous.unwrap_err(), SchemaError::Ambiguous(1));

    // The same schema under a second id is welcome, the same id for another schema is not.
    let mut ids = ids;
    ids.learn(5, deleted_schema()).unwrap();
    ids.learn(5, deleted_schema()).unwrap();
    assert_eq!(ids.learn(10, deleted_schema()), Err(SchemaError::Ambiguous(10)));
    for unusable in ["", "{}", "\"string\"", r#"{"type": "record", "name": "x.Other", "fields": []}"#] {
        assert!(matches!(ids.learn(6, unusable), Err(SchemaError::Unusable { id: 6, .. })), "{unusable}");
    }
}

#[test]
fn subjects_name_topic_and_record() {
    let fqn = known_schemas()[0].fqn;
    let expected = "catalog.product.events.v1-folio.catalog.product.v1.ProductCreated";
    assert_eq!(subject(crate::topics::EVENTS, fqn), expected);
}
