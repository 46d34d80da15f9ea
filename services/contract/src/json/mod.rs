//! JSON: commands as clients write them, products and events as everyone reads them.
//!
//! A command's body is read strictly: an unknown or repeated field, a wrong type, a missing field and a value that is
//! not allowed are each named with their place, all at once. Views write what they read back unchanged.

mod as_json;
mod commands;
mod events;
mod payload;
mod reader;
pub mod schemas;
mod strict;
mod views;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod view_tests;

use domain::Command;
use serde_json::{Map, Value};

use crate::fields::{AddressedCommand, Faults, FieldErrors, Path};

pub use events::{EventData, event_data, event_from_data};
pub use payload::{BulkLine, CommandPayload, bulk_line, command_payload, expected_version};
pub use views::{MoneyView, ProductView};

/// Reads the body of the command called `name` (one of [`Command::ALL_NAMES`]). An empty body is an empty object.
///
/// # Errors
/// If it is not such a command; every fault is named, with pointers into the body.
pub fn parse_command(name: &str, body: &[u8]) -> Result<Command, FieldErrors> {
    let payload = if body.trim_ascii().is_empty() { Value::Object(Map::new()) } else { parse(body)? };
    let mut faults = Faults::default();
    let command = commands::read(name, &payload, &Path::ROOT, &mut faults);
    faults.into_result(command)
}

/// Reads the body of a request with one command: the command's fields as [`parse_command`] reads them and, beside them,
/// `product_id` and `expected_version`, which may be left out. The idempotency key is not in the body.
///
/// # Errors
/// If it is not such a body; every fault is named, with pointers into the body.
pub fn parse_request(name: &str, body: &[u8]) -> Result<AddressedCommand, FieldErrors> {
    let mut payload = if body.trim_ascii().is_empty() { Value::Object(Map::new()) } else { parse(body)? };
    let mut faults = Faults::default();
    let beside = commands::take_beside(&mut payload);
    let beside = commands::read_beside(&beside, &mut faults);
    let command = commands::read(name, &payload, &Path::ROOT, &mut faults);
    let addressed = beside.zip(command).map(|((product_id, expected_version), command)| AddressedCommand {
        product_id,
        command,
        expected_version,
        idempotency_key: None,
    });
    faults.into_result(addressed)
}

/// Reads a line of a bulk request:
/// `{"command": "change_price", "product_id": ..., "idempotency_key": ..., "expected_version": ..., "payload": {...}}`.
///
/// # Errors
/// If it is not such a line; every fault is named, with pointers into the line.
pub fn parse_bulk_line(line: &[u8]) -> Result<AddressedCommand, FieldErrors> {
    let line = parse(line)?;
    let mut faults = Faults::default();
    let addressed = commands::read_bulk_line(&line, &mut faults);
    faults.into_result(addressed)
}

/// Reads one JSON value as strictly as all that is read here: a field that comes twice is an error.
///
/// # Errors
/// If it is not one: what and where.
pub fn parse_strictly(text: &[u8]) -> Result<Value, serde_json::Error> {
    strict::parse(text)
}

fn parse(text: &[u8]) -> Result<Value, FieldErrors> {
    strict::parse(text).map_err(|error| FieldErrors::of_whole(format!("must be JSON: {error}")))
}
