//! What the read models have to hold, from an independent fold of the log, row for row; and where they differ.
//!
//! Times are left out: they are the broker's, and the fold does not know them.

use std::collections::BTreeMap;

use contract::json::event_data;
use domain::{Product, Status};
use serde_json::{Map, Value, json};

use crate::oracle::{Effective, Oracle};
use crate::rows::Rows;

/// Columns that are not compared.
const NOT_COMPARED: [&str; 7] =
    ["updated_at", "appended_at", "occurred_at", "head_appended_at", "actor", "correlation_id", "principal"];
/// Differences told in full.
const TOLD: usize = 10;

/// By table, rows by key, each its columns.
type Tables = BTreeMap<&'static str, BTreeMap<String, Value>>;

/// The first differences between what the log says and what the read models hold, and how many rows were compared.
/// `not_given_back`: see [`System::NOT_GIVEN_BACK`](crate::System::NOT_GIVEN_BACK).
///
/// # Errors
/// If a row is no JSON.
pub fn differences(
    oracle: &Oracle,
    rows: &Rows,
    not_given_back: &[&str],
) -> anyhow::Result<(usize, Vec<String>)> {
    let (mut expected, found) = (expected(oracle), found(rows)?);
    for document in expected.get_mut("search").into_iter().flat_map(BTreeMap::values_mut) {
        for field in not_given_back {
            without(&mut document["document"], field);
        }
    }
    let mut differences = Vec::new();
    for (table, expected) in &expected {
        let found = &found[table];
        for (key, row) in expected {
            match found.get(key) {
                Some(found) if found == row => {}
                Some(found) => differences.push(format!("{table} {key}: {found} and not {row}")),
                None => differences.push(format!("{table} {key} is missing: {row}")),
            }
        }
        let more = found.iter().filter(|(key, _)| !expected.contains_key(*key));
        differences.extend(more.map(|(key, row)| format!("{table} {key} should not be there: {row}")));
    }
    differences.truncate(TOLD);
    Ok((expected.values().map(BTreeMap::len).sum(), differences))
}

fn expected(oracle: &Oracle) -> Tables {
    let mut tables = empty();
    let mut put = |table, key: String, row| tables.entry(table).or_default().insert(key, row);
    for (id, history) in &oracle.products {
        let Some(head) = history.last() else { continue };
        let mut row = product(head);
        row["left_categories"] = left_categories(history);
        put("products", id.clone(), row);
        put("search", id.clone(), document(head));
        if head.after.status != Status::Deleted {
            put("products_by_category", id.clone(), listed(head));
        }
        for record in history {
            put("history", format!("{id}/{}", record.version), entry(record, head));
        }
    }
    tables
}

fn empty() -> Tables {
    ["products", "products_by_category", "history", "search"].map(|table| (table, BTreeMap::new())).into()
}

/// Everything of the product but its event and version.
fn fields(product: &Product) -> Value {
    let attributes: Map<String, Value> =
        product.attributes.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({
        "product_id": product.id.as_str(),
        "sku": product.sku.as_str(),
        "name": product.name.as_str(),
        "description": product.description.as_str(),
        "category": product.category.as_str(),
        "brand": product.brand.as_str(),
        "price_minor": product.price.minor_units(),
        "currency": product.price.currency().as_str(),
        "attributes": attributes,
        "tags": product.tags.iter().collect::<Vec<_>>(),
        "status": product.status.as_str(),
    })
}

fn product(head: &Effective) -> Value {
    let mut row = fields(&head.after);
    row["deleted_from"] = head.after.deleted_from.map_or("", Status::as_str).into();
    row["version"] = head.version.into();
    row["event_id"] = head.event_id.to_string().into();
    row
}

/// The categories a product was moved out of, with the version that moved it.
fn left_categories(history: &[Effective]) -> Value {
    let mut left: BTreeMap<&str, u64> = BTreeMap::new();
    for two in history.windows(2) {
        let (before, after) = (two[0].after.category.as_str(), two[1].after.category.as_str());
        if before != after {
            left.remove(after);
            left.insert(before, two[1].version);
        }
    }
    json!(left)
}

fn listed(head: &Effective) -> Value {
    let mut row = product(head);
    for column in ["description", "attributes", "tags", "deleted_from"] {
        without(&mut row, column);
    }
    row["bucket"] = (fnv_1a(head.after.id.as_str()) % 16).into();
    row
}

fn document(head: &Effective) -> Value {
    let product = &head.after;
    let mut row = fields(product);
    row["deleted_from"] = product.deleted_from.map_or(Value::Null, |status| status.as_str().into());
    row["version"] = head.version.into();
    row["event_id"] = head.event_id.to_string().into();
    let category = product.category.as_str();
    let ends = category.match_indices('/').map(|(at, _)| at).chain([category.len()]);
    row["categories"] = ends.map(|end| category[..end].to_owned()).collect();
    row["attribute_names"] = product.attributes.iter().map(|(name, _)| name).collect();
    row["attribute_pairs"] =
        product.attributes.iter().map(|(name, value)| format!("{name}\u{1f}{value}")).collect();
    json!({ "external_version": head.version, "document": sorted(row) })
}

fn entry(record: &Effective, head: &Effective) -> Value {
    json!({
        "product_id": record.after.id.as_str(),
        "version": record.version,
        "head_version": head.version,
        "head_event_id": head.event_id.to_string(),
        "event_id": record.event_id.to_string(),
        "event_type": record.event.type_name(),
        "event": serde_json::to_value(event_data(&record.event)).unwrap_or_default(),
        "command_id": record.command_id.map(|id| id.to_string()),
        "log_partition": record.partition,
        "log_offset": record.offset,
    })
}

fn found(rows: &Rows) -> anyhow::Result<Tables> {
    let mut tables = empty();
    for (table, found) in &mut tables {
        for row in rows.get(*table).into_iter().flatten() {
            let (key, row) = match *table {
                "search" => found_document(row)?,
                _ => found_row(table, row)?,
            };
            found.insert(key, row);
        }
    }
    Ok(tables)
}

fn found_row(table: &str, row: &str) -> anyhow::Result<(String, Value)> {
    let mut row: Value = serde_json::from_str(row)?;
    for column in NOT_COMPARED {
        without(&mut row, column);
    }
    let mut key = row["product_id"].as_str().unwrap_or_default().to_owned();
    if table == "history" {
        key = format!("{key}/{}", row["version"]);
        row["event"] = serde_json::from_str(row["event"].as_str().unwrap_or_default())?;
    }
    Ok((key, row))
}

/// `"<id>" v<version> <source>`.
fn found_document(row: &str) -> anyhow::Result<(String, Value)> {
    let mut parts = row.splitn(3, ' ');
    let (id, version, source) = (parts.next(), parts.next(), parts.next());
    let version: u64 = version.and_then(|it| it.strip_prefix('v')).unwrap_or_default().parse()?;
    let mut source: Value = serde_json::from_str(source.unwrap_or_default())?;
    for column in NOT_COMPARED {
        without(&mut source, column);
    }
    let row = json!({ "external_version": version, "document": sorted(source) });
    Ok((id.unwrap_or_default().trim_matches('"').to_owned(), row))
}

/// Some fields of a document are sets.
fn sorted(mut document: Value) -> Value {
    for field in ["tags", "categories", "attribute_names", "attribute_pairs"] {
        if let Some(values) = document.get_mut(field).and_then(Value::as_array_mut) {
            values.sort_unstable_by_key(ToString::to_string);
        }
    }
    document
}

fn without(row: &mut Value, column: &str) {
    if let Value::Object(columns) = row {
        columns.remove(column);
    }
}

fn fnv_1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
