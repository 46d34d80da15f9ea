//! Protobuf that may not break: what `buf` would look at. Promises that whatever a client was compiled from goes on meaning the
//! same (nothing is removed, renumbered, renamed or of another type: JSON knows names, so these count too), that names have
//! their form, that packages carry their version, and that everything public says what it is.
//!
//! `schemas/proto/catalog.v1.txt` is what there is: a line for each message, field, value and call. `UPDATE_GOLDEN=1` adds the
//! lines of what is new, and takes none away.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::path::Path;

use prost_types::field_descriptor_proto::Label;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, ServiceDescriptorProto,
};

use super::*;

/// Our own files, not those of Google.
fn files() -> Vec<FileDescriptorProto> {
    let all = FileDescriptorSet::decode(FILE_DESCRIPTOR_SET).unwrap();
    all.file.into_iter().filter(|file| !file.package().starts_with("google.")).collect()
}

/// Every message of a file with its full name, those inside others too, but for the entries of maps.
fn messages(file: &FileDescriptorProto) -> Vec<(String, &DescriptorProto)> {
    fn walk<'a>(outer: &str, all: &'a [DescriptorProto], found: &mut Vec<(String, &'a DescriptorProto)>) {
        for message in all.iter().filter(|message| !is_map_entry(message)) {
            let name = format!("{outer}.{}", message.name());
            walk(&name, &message.nested_type, found);
            found.push((name, message));
        }
    }
    let mut found = Vec::new();
    walk(file.package(), &file.message_type, &mut found);
    found
}

fn enums(file: &FileDescriptorProto) -> Vec<(String, &EnumDescriptorProto)> {
    let inside = messages(file).into_iter().flat_map(|(outer, message)| {
        message.enum_type.iter().map(move |it| (format!("{outer}.{}", it.name()), it))
    });
    let outside = file.enum_type.iter().map(|it| (format!("{}.{}", file.package(), it.name()), it));
    outside.chain(inside).collect()
}

fn is_map_entry(message: &DescriptorProto) -> bool {
    message.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry)
}

/// A field's type, as the file spells it.
fn type_of(message: &DescriptorProto, field: &FieldDescriptorProto) -> String {
    let entry = field.type_name().rsplit('.').next().unwrap_or_default();
    let entry = message.nested_type.iter().find(|it| is_map_entry(it) && it.name() == entry);
    let plain = |field: &FieldDescriptorProto| match field.type_name() {
        "" => field.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase(),
        name => name.trim_start_matches('.').to_owned(),
    };
    match (entry, field.label()) {
        (Some(entry), _) => format!("map<{}, {}>", plain(&entry.field[0]), plain(&entry.field[1])),
        (None, Label::Repeated) => format!("repeated {}", plain(field)),
        (None, _) if field.proto3_optional() => format!("optional {}", plain(field)),
        (None, _) => plain(field),
    }
}

/// What there is, a line each.
fn lines() -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for file in &files() {
        for (name, message) in messages(file) {
            lines.insert(format!("message {name}"));
            for field in &message.field {
                let oneof = match field.oneof_index {
                    Some(at) if !field.proto3_optional() => {
                        format!(" oneof {}", message.oneof_decl[at as usize].name())
                    }
                    _ => String::new(),
                };
                let kind = type_of(message, field);
                lines.insert(format!("field {name}.{} = {} {kind}{oneof}", field.name(), field.number()));
            }
        }
        for (name, it) in enums(file) {
            lines.insert(format!("enum {name}"));
            lines.extend(
                it.value.iter().map(|it_is| format!("value {name}.{} = {}", it_is.name(), it_is.number())),
            );
        }
        for service in &file.service {
            for call in &service.method {
                let stream = |streams: bool| if streams { "stream " } else { "" };
                lines.insert(format!(
                    "rpc {}.{}.{} ({}{}) returns ({}{})",
                    file.package(),
                    service.name(),
                    call.name(),
                    stream(call.client_streaming()),
                    call.input_type().trim_start_matches('.'),
                    stream(call.server_streaming()),
                    call.output_type().trim_start_matches('.'),
                ));
            }
        }
    }
    lines
}

/// What those miss in `there` who were compiled from `before`.
fn breaks(before: &BTreeSet<String>, there: &BTreeSet<String>) -> Vec<String> {
    before.difference(there).cloned().collect()
}

#[test]
fn what_a_client_was_compiled_from_still_holds() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas/proto/catalog.v1.txt");
    let there = lines();
    let before: BTreeSet<String> =
        fs::read_to_string(&path).unwrap_or_default().lines().map(str::to_owned).collect();
    let broken = breaks(&before, &there);
    assert!(
        broken.is_empty(),
        "clients were compiled from these lines, which schemas/proto does not have any more:\n{}\nBring them back, and \
         declare what is new beside them, or in catalog.v2",
        broken.join("\n")
    );
    if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
        let lines: Vec<&str> = there.iter().map(String::as_str).collect();
        fs::write(&path, lines.join("\n") + "\n").unwrap();
        return;
    }
    let new: Vec<_> = there.difference(&before).map(String::as_str).collect();
    assert!(
        new.is_empty(),
        "these lines are new; from the next release on they stay for ever. If that is meant, UPDATE_GOLDEN=1 cargo test -p \
         contract adds them to {}:\n{}",
        path.display(),
        new.join("\n")
    );
}

#[test]
fn a_change_that_breaks_a_client_is_seen() {
    let there = lines();
    let field = "field catalog.v1.Money.minor_units = 1 int64";
    let changed = |line: &str| {
        let mut changed = there.clone();
        assert!(changed.remove(field));
        changed.insert(line.to_owned());
        changed
    };
    for line in [
        "field catalog.v1.Money.minor_units = 3 int64",
        "field catalog.v1.Money.minor_units = 1 uint64",
        "field catalog.v1.Money.minor_units = 1 repeated int64",
        "field catalog.v1.Money.minor_units = 1 int64 oneof amount",
        "field catalog.v1.Money.cents = 1 int64",
    ] {
        assert_eq!(breaks(&there, &changed(line)), [field], "{line}");
    }
    let mut more = there.clone();
    more.insert("field catalog.v1.Money.exponent = 3 uint32".to_owned());
    assert!(breaks(&there, &more).is_empty());
}

fn is_pascal(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase()) && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn is_snake(name: &str) -> bool {
    let plain = name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    plain
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.contains("__")
        && !name.ends_with('_')
}

/// `ProductStatus` as `PRODUCT_STATUS`.
fn screaming(name: &str) -> String {
    let mut words = String::new();
    for c in name.chars() {
        if c.is_ascii_uppercase() && !words.is_empty() {
            words.push('_');
        }
        words.push(c.to_ascii_uppercase());
    }
    words
}

fn faults_of_enum(name: &str, it: &EnumDescriptorProto, faults: &mut Vec<String>) {
    let prefix = screaming(it.name()) + "_";
    if !is_pascal(it.name()) {
        faults.push(format!("{name}: an enum is called LikeThis"));
    }
    for value in &it.value {
        let rest = value.name().strip_prefix(&prefix).unwrap_or_default().to_lowercase();
        if !is_snake(&rest) {
            faults.push(format!("{name}.{}: a value begins with {prefix}", value.name()));
        }
    }
    if it.value.first().is_none_or(|zero| zero.number() != 0 || zero.name() != prefix + "UNSPECIFIED") {
        faults.push(format!("{name}: the value 0 says that nothing was said: _UNSPECIFIED"));
    }
}

fn faults_of_service(service: &ServiceDescriptorProto, faults: &mut Vec<String>) {
    if !is_pascal(service.name()) || !service.name().ends_with("Service") {
        faults.push(format!("{}: a service is called LikeThisService", service.name()));
    }
    for call in service.method.iter().filter(|call| !is_pascal(call.name())) {
        faults.push(format!("{}.{}: a call is called LikeThis", service.name(), call.name()));
    }
}

#[test]
fn names_and_packages_have_their_form() {
    let mut faults = Vec::new();
    for file in &files() {
        let folder = file.name().rsplit_once('/').map_or("", |(folder, _)| folder);
        let version = file.package().rsplit('.').next().unwrap_or_default();
        let is_version = version.strip_prefix('v').is_some_and(|number| number.parse::<u32>().is_ok());
        if !is_version || folder != file.package().replace('.', "/") {
            faults.push(format!("{}: the package {} is no folder/v1", file.name(), file.package()));
        }
        if file.syntax() != "proto3" {
            faults.push(format!("{}: is not proto3", file.name()));
        }
        for (name, message) in messages(file) {
            if !is_pascal(message.name()) {
                faults.push(format!("{name}: a message is called LikeThis"));
            }
            let oneofs = message.oneof_decl.iter().map(|oneof| oneof.name().trim_start_matches('_'));
            for part in message.field.iter().map(FieldDescriptorProto::name).chain(oneofs) {
                if !is_snake(part) {
                    faults.push(format!("{name}.{part}: a field is called like_this"));
                }
            }
        }
        for (name, it) in enums(file) {
            faults_of_enum(&name, it, &mut faults);
        }
        for service in &file.service {
            faults_of_service(service, &mut faults);
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn everything_public_says_what_it_is() {
    // Numbers of the fields of a FileDescriptorProto: its messages, enums and services; a service's calls are its 2.
    const KINDS: [i32; 3] = [4, 5, 6];
    let mut faults = Vec::new();
    for file in &files() {
        let info = file.source_code_info.clone().unwrap_or_default();
        let said: HashSet<Vec<i32>> = info
            .location
            .into_iter()
            .filter(|location| location.leading_comments.as_ref().is_some_and(|text| text.trim().len() > 5))
            .map(|location| location.path)
            .collect();
        let names = [
            file.message_type.iter().map(|it| it.name().to_owned()).collect::<Vec<_>>(),
            file.enum_type.iter().map(|it| it.name().to_owned()).collect(),
            file.service.iter().map(|it| it.name().to_owned()).collect(),
        ];
        for (kind, names) in KINDS.into_iter().zip(names) {
            for (at, name) in (0..).zip(names) {
                if !said.contains(&vec![kind, at]) {
                    faults.push(format!("{}: {name} has no comment", file.name()));
                }
            }
        }
        for (at, service) in (0..).zip(&file.service) {
            for (call_at, call) in (0..).zip(&service.method) {
                if !said.contains(&vec![6, at, 2, call_at]) {
                    faults.push(format!(
                        "{}: {}.{} has no comment",
                        file.name(),
                        service.name(),
                        call.name()
                    ));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
