//! A row as a command: every field by the map, checked by the very rules of the command service. Promises that all faults
//! of a row are told at once, each with its column, and that what has none is accepted.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use contract::AddressedCommand;
use contract::avro::{SchemaIds, encode};
use contract::json::{command_payload, parse_bulk_line};
use contract::{FieldError, FieldErrors, IdempotencyKey};
use domain::{Command, Currency, Decision};
use serde_json::{Value as JsonValue, json};
use uuid::Uuid;

use super::ids;
use super::map::Map;
use super::price::DecimalMark;
use super::problem::Problem;
use super::reading::Reading;
use super::row::Row;

/// Never changes: it is part of what a key means.
const KEYS: Uuid = Uuid::from_u128(0x5b0f_6f3e_0d2a_5e0c_9a64_3a0c_7c1f_a204);

/// Tells how large an event will be: the same whatever the ids are.
static SCHEMAS: LazyLock<SchemaIds> = LazyLock::new(SchemaIds::without_registry);

/// What is said on the command line rather than in the map.
#[derive(Clone, Debug, Default)]
pub struct Requested {
    /// The currency of prices that name none.
    pub currency: Option<Currency>,
    /// The file's decimal mark.
    pub decimal: Option<DecimalMark>,
}

/// What was done to rows that are accepted, to be told once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// Texts that had characters taken out, by field.
    pub cleaned: BTreeMap<&'static str, u64>,
    /// Rows that got the map's default, by field and default.
    pub defaults: BTreeMap<(&'static str, String), u64>,
}

/// Makes the command of a row, with what its parent adds; notes what was done to it.
///
/// # Errors
/// Every fault of the row.
pub(crate) fn command(
    row: &Row,
    parent: Option<&Row>,
    map: &Map,
    requested: &Requested,
    notes: &mut Notes,
) -> Result<AddressedCommand, Vec<Problem>> {
    let mut with_this = notes.clone();
    let mut reading = Reading::new(row, map, &mut with_this);
    reading.bytes();
    if row.fault.is_some() {
        // Its cells are not where they should be: there is nothing more to say of them.
        return Err(reading.problems);
    }
    let id = reading.id();
    let payload = reading.payload(id.as_deref(), parent, requested);
    let command = reading.checked(id.as_deref(), &payload)?;
    *notes = with_this;
    Ok(command)
}

/// The command that creates what a line of Folio's own form says: the body of `POST /v1/products`.
///
/// # Errors
/// Every fault of the line; the columns are JSON pointers.
pub(crate) fn own(row: &Row) -> Result<AddressedCommand, Vec<Problem>> {
    let text = row.json.as_deref().unwrap_or_default();
    let Ok(JsonValue::Object(mut payload)) = serde_json::from_str::<JsonValue>(text) else {
        return Err(vec![Problem::of_row(row.line, "json", "must be one JSON object")]);
    };
    for added in super::rejected::ADDED {
        payload.shift_remove(added);
    }
    let id = match payload.shift_remove("product_id") {
        Some(JsonValue::String(id)) => Some(id),
        None | Some(JsonValue::Null) => {
            payload.get("sku").and_then(JsonValue::as_str).and_then(ids::product_id)
        }
        Some(_) => return Err(vec![Problem::of_cell(row.line, "/product_id", "product_id", "must be text")]),
    };
    addressed(id.as_deref(), &JsonValue::Object(payload)).map_err(|errors| {
        let pointer =
            |error: &FieldError| error.pointer.strip_prefix("/payload").unwrap_or(&error.pointer).to_owned();
        let problem = |error: &FieldError| {
            let pointer = pointer(error);
            let kind = kind_of(&pointer);
            Problem {
                line: row.line,
                column: Some(pointer).filter(|it| !it.is_empty()),
                kind,
                detail: error.detail.clone(),
            }
        };
        errors.iter().map(problem).collect()
    })
}

/// The line, as the command service reads it, and what that says.
pub(super) fn addressed(id: Option<&str>, payload: &JsonValue) -> Result<AddressedCommand, Vec<FieldError>> {
    let line = json!({ "command": "create_product", "product_id": id, "payload": payload }).to_string();
    let mut addressed = parse_bulk_line(line.as_bytes()).map_err(FieldErrors::into_vec)?;
    let fault = |pointer: &str, detail: String| {
        vec![FieldError { pointer: pointer.to_owned(), detail, fault: contract::Fault::Value }]
    };
    let Some(id) = &addressed.product_id else {
        return Err(fault("/product_id", "is missing, and so is a sku to make it of".to_owned()));
    };
    match domain::decide(None, &addressed.command) {
        Decision::Rejected(rejection) => return Err(fault("/payload/price", rejection.to_string())),
        Decision::Event(event) => {
            if let Err(error) = encode(&event, &SCHEMAS) {
                return Err(fault("", format!("is too large: {error}; shorten its texts")));
            }
        }
        Decision::NoEffect => {}
    }
    let key = key(id.as_str(), &addressed.command);
    addressed.idempotency_key = IdempotencyKey::parse(&key).ok();
    Ok(addressed)
}

/// The same command for the same product has the same key, however the row was written.
fn key(id: &str, command: &Command) -> String {
    let name = format!("{id}\n{}\n{}", command.name(), command_payload(command));
    format!("import-{}", Uuid::new_v5(&KEYS, name.as_bytes()))
}

/// What a pointer is about: `sku`, `attributes`, ...
pub(super) fn kind_of(pointer: &str) -> String {
    let kind = pointer.trim_start_matches('/').split('/').next().unwrap_or_default();
    if kind.is_empty() { "row".to_owned() } else { kind.to_owned() }
}

#[cfg(test)]
mod tests;
