//! The commands' fields, read.

use domain::{
    Attributes, Brand, CategoryPath, ChangePrice, Command, CreateProduct, DeleteProduct, Description,
    DetailChanges, DiscontinueProduct, InitialStatus, Money, MoveToCategory, Name, ProductId, Reason,
    ReviseDetails, Sku, Tags, Version,
};
use serde_json::{Map, Value};

use super::reader::{self, Object};
use crate::IdempotencyKey;
use crate::fields::{AddressedCommand, Faults, Path};

/// Reads the payload of the command called `name`.
pub(super) fn read(name: &str, payload: &Value, path: &Path<'_>, faults: &mut Faults) -> Option<Command> {
    let mut object = Object::open(payload, path, faults)?;
    let command = match name {
        "create_product" => create_product(&mut object, faults).map(Command::CreateProduct),
        "revise_details" => revise_details(&mut object, path, faults).map(Command::ReviseDetails),
        "change_price" => price(&mut object, faults).map(|price| Command::ChangePrice(ChangePrice { price })),
        "move_to_category" => object
            .text("category", CategoryPath::parse, faults)
            .map(|category| Command::MoveToCategory(MoveToCategory { category })),
        "list_product" => Some(Command::ListProduct),
        "discontinue_product" => object
            .optional_text("reason", Reason::parse, faults)
            .map(|reason| Command::DiscontinueProduct(DiscontinueProduct { reason })),
        "delete_product" => object
            .optional_text("reason", Reason::parse, faults)
            .map(|reason| Command::DeleteProduct(DeleteProduct { reason })),
        "restore_product" => Some(Command::RestoreProduct),
        _ => {
            faults.form(
                path,
                format!("is for no known command; the commands are {}", Command::ALL_NAMES.join(", ")),
            );
            return None;
        }
    };
    object.finish(faults);
    command
}

/// Takes what stands beside a command's fields out of a body.
pub(super) fn take_beside(body: &mut Value) -> Value {
    let mut beside = Map::new();
    if let Value::Object(fields) = body {
        for name in ["product_id", "expected_version"] {
            if let Some(value) = fields.shift_remove(name) {
                beside.insert(name.to_owned(), value);
            }
        }
    }
    Value::Object(beside)
}

/// Reads what [`take_beside`] took.
pub(super) fn read_beside(
    beside: &Value,
    faults: &mut Faults,
) -> Option<(Option<ProductId>, Option<Version>)> {
    let root = Path::ROOT;
    let mut object = Object::open(beside, &root, faults)?;
    let product_id = object.optional_text("product_id", ProductId::parse, faults);
    let expected_version = object.optional_version("expected_version", faults);
    Some((product_id?, expected_version?))
}

/// Reads a bulk line.
pub(super) fn read_bulk_line(line: &Value, faults: &mut Faults) -> Option<AddressedCommand> {
    let root = Path::ROOT;
    let mut object = Object::open(line, &root, faults)?;
    let name = object.required("command", faults);
    let product_id = object.optional_text("product_id", ProductId::parse, faults);
    let idempotency_key = object.optional_text("idempotency_key", IdempotencyKey::parse, faults);
    let expected_version = object.optional_version("expected_version", faults);
    let nothing = Value::Object(Map::new());
    let payload = object.optional("payload").unwrap_or(&nothing);
    let command = name.and_then(|name| match name.as_str() {
        Some(name) if Command::ALL_NAMES.contains(&name) => {
            if name != "create_product" && matches!(product_id, Some(None)) {
                faults.form(&object.at("product_id"), "is missing: only create_product can do without");
            }
            read(name, payload, &object.at("payload"), faults)
        }
        Some(_) | None => {
            let detail = format!("must be one of {}", Command::ALL_NAMES.join(", "));
            faults.form(&object.at("command"), detail);
            None
        }
    });
    object.finish(faults);
    Some(AddressedCommand {
        product_id: product_id?,
        command: command?,
        expected_version: expected_version?,
        idempotency_key: idempotency_key?,
    })
}

fn create_product(object: &mut Object<'_>, faults: &mut Faults) -> Option<CreateProduct> {
    let sku = object.text("sku", Sku::parse, faults);
    let name = object.text("name", Name::parse, faults);
    let description = object.optional_text("description", Description::parse, faults);
    let category = object.text("category", CategoryPath::parse, faults);
    let brand = object.text("brand", Brand::parse, faults);
    let price = price(object, faults);
    let attributes = match object.optional("attributes") {
        None => Some(Attributes::default()),
        Some(value) => reader::attributes(value, &object.at("attributes"), faults),
    };
    let tags = match object.optional("tags") {
        None => Some(Tags::default()),
        Some(value) => reader::tags(value, &object.at("tags"), faults),
    };
    let status = object.optional_text("status", InitialStatus::parse, faults);
    Some(CreateProduct {
        sku: sku?,
        name: name?,
        description: match description? {
            Some(description) => description,
            None => Description::parse("").ok()?,
        },
        category: category?,
        brand: brand?,
        price: price?,
        attributes: attributes?,
        tags: tags?,
        status: status?.unwrap_or_default(),
    })
}

fn revise_details(object: &mut Object<'_>, path: &Path<'_>, faults: &mut Faults) -> Option<ReviseDetails> {
    let before = faults.count();
    let sku = object.not_null("sku", faults);
    let name = object.not_null("name", faults);
    let description = object.not_null("description", faults);
    let brand = object.not_null("brand", faults);
    let attributes = object.not_null("attributes", faults);
    let tags = object.not_null("tags", faults);
    let changes = DetailChanges {
        sku: sku.and_then(|value| reader::text(value, &object.at("sku"), Sku::parse, faults)),
        name: name.and_then(|value| reader::text(value, &object.at("name"), Name::parse, faults)),
        description: description
            .and_then(|value| reader::text(value, &object.at("description"), Description::parse, faults)),
        brand: brand.and_then(|value| reader::text(value, &object.at("brand"), Brand::parse, faults)),
        attributes: attributes.and_then(|value| reader::attributes(value, &object.at("attributes"), faults)),
        tags: tags.and_then(|value| reader::tags(value, &object.at("tags"), faults)),
    };
    match ReviseDetails::new(changes) {
        Ok(revise) => Some(revise),
        Err(error) => {
            // If fields were there, they had faults of their own.
            if faults.count() == before {
                faults.value(path, error.problem);
            }
            None
        }
    }
}

fn price(object: &mut Object<'_>, faults: &mut Faults) -> Option<Money> {
    let value = object.required("price", faults)?;
    reader::money(value, &object.at("price"), faults)
}
