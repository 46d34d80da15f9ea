//! Golden samples: what was once written is read for ever. `UPDATE_GOLDEN=1` writes the missing ones; none is ever
//! overwritten.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_avro_fast::ser::SerializerConfig;

use super::*;
use crate::json;
use crate::samples::one_of_each;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/golden")
}

fn sample(known: &KnownSchema) -> Event {
    one_of_each().into_iter().find(|event| event.type_name() == known.event_type).unwrap()
}

fn path(known: &KnownSchema, extension: &str) -> PathBuf {
    folder().join(format!("{}.v{}.{extension}", known.event_type, known.version))
}

fn is_newest(known: &KnownSchema) -> bool {
    known_schemas().iter().all(|other| other.event_type != known.event_type || other.version <= known.version)
}

/// Reads a golden file. A missing one of the newest version is written if that was asked for.
fn golden(known: &KnownSchema, extension: &str, contents: impl FnOnce() -> Vec<u8>) -> Vec<u8> {
    let path = path(known, extension);
    if !path.exists()
        && is_newest(known)
        && std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1")
    {
        fs::write(&path, contents()).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| {
        panic!("cannot read {}: {error}; UPDATE_GOLDEN=1 writes missing samples", path.display())
    })
}

fn datum(event: &Event, known: &KnownSchema) -> Vec<u8> {
    wire::write(event, Vec::new(), &mut SerializerConfig::new(&known.text.parse().unwrap())).unwrap()
}

fn json_of(event: &Event) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(&json::event_data(event)).unwrap();
    text.push(b'\n');
    text
}

#[test]
fn every_golden_sample_decodes_to_what_it_meant() {
    let ids = SchemaIds::new((100..).zip(known_schemas()).map(|(id, known)| (*known, id))).unwrap();
    for (id, known) in (100_u32..).zip(known_schemas()) {
        let datum = golden(known, "avro", || datum(&sample(known), known));
        let meaning = golden(known, "json", || json_of(&sample(known)));
        let value = [&[0][..], &id.to_be_bytes(), &datum].concat();
        let decoded = decode(&value, &ids).unwrap_or_else(|error| panic!("{known:?}: {error}"));
        let expected =
            json::event_from_data(known.event_type, std::str::from_utf8(&meaning).unwrap()).unwrap();
        assert_eq!(decoded, expected, "{} version {}", known.event_type, known.version);
    }
}

#[test]
fn the_newest_schema_still_writes_the_same_bytes_and_the_same_json() {
    for known in known_schemas().iter().filter(|known| is_newest(known)) {
        let event = sample(known);
        assert_eq!(fs::read(path(known, "avro")).unwrap(), datum(&event, known), "{}", known.event_type);
        let text = String::from_utf8(json_of(&event)).unwrap();
        assert_eq!(fs::read_to_string(path(known, "json")).unwrap(), text);
    }
}

#[test]
fn every_golden_file_belongs_to_a_known_schema() {
    let files: BTreeSet<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let expected: BTreeSet<PathBuf> =
        known_schemas().iter().flat_map(|known| [path(known, "avro"), path(known, "json")]).collect();
    assert_eq!(files, expected);
}
