//! Requests as clients send them over gRPC, read into the domain's values. Every fault is named, all at once.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    AttributeName, AttributeValue, Attributes, Brand, CategoryPath, ChangePrice, Command, CreateProduct,
    Currency, DeleteProduct, Description, DetailChanges, DiscontinueProduct, InitialStatus, Money,
    MoveToCategory, Name, ProductId, Reason, ReviseDetails, Sku, Status, Tag, Tags, ValueError, Version,
};

use super::catalog::v1;
use super::catalog::v1::command_request::Command as Sent;
use crate::IdempotencyKey;
use crate::fields::{AddressedCommand, Faults, FieldErrors, MAX_TAGS_SENT, Path};

/// Reads a command request.
///
/// # Errors
/// If it is not one; every fault is named, see [`crate::FieldError::field_path`].
pub fn parse_request(request: &v1::CommandRequest) -> Result<AddressedCommand, FieldErrors> {
    let mut faults = Faults::default();
    let addressed = read(request, &mut faults);
    faults.into_result(addressed)
}

fn read(request: &v1::CommandRequest, faults: &mut Faults) -> Option<AddressedCommand> {
    let root = Path::ROOT;
    let product_id = unless_empty(&request.product_id, &root.at("product_id"), ProductId::parse, faults);
    let idempotency_key =
        unless_empty(&request.idempotency_key, &root.at("idempotency_key"), IdempotencyKey::parse, faults);
    let Some(sent) = &request.command else {
        faults.form(&root.at("command"), "is missing: set one of the commands");
        return None;
    };
    if request.product_id.is_empty() && !matches!(sent, Sent::CreateProduct(_)) {
        faults.form(&root.at("product_id"), "is missing: only create_product can do without");
    }
    let command = command(sent, &root, faults);
    Some(AddressedCommand {
        product_id: product_id?,
        command: command?,
        expected_version: request.expected_version.map(Version),
        idempotency_key: idempotency_key?,
    })
}

fn command(sent: &Sent, root: &Path<'_>, faults: &mut Faults) -> Option<Command> {
    Some(match sent {
        Sent::CreateProduct(create) => {
            Command::CreateProduct(create_product(create, &root.at("create_product"), faults)?)
        }
        Sent::ReviseDetails(revise) => {
            Command::ReviseDetails(revise_details(revise, &root.at("revise_details"), faults)?)
        }
        Sent::ChangePrice(change) => {
            let path = root.at("change_price");
            let price = money(change.price.as_ref(), &path.at("price"), faults)?;
            Command::ChangePrice(ChangePrice { price })
        }
        Sent::MoveToCategory(to) => {
            let path = root.at("move_to_category");
            let category = faults.keep(&path.at("category"), CategoryPath::parse(&to.category))?;
            Command::MoveToCategory(MoveToCategory { category })
        }
        Sent::ListProduct(v1::ListProduct {}) => Command::ListProduct,
        Sent::DiscontinueProduct(discontinue) => {
            let path = root.at("discontinue_product");
            let reason = unless_empty(&discontinue.reason, &path.at("reason"), Reason::parse, faults)?;
            Command::DiscontinueProduct(DiscontinueProduct { reason })
        }
        Sent::DeleteProduct(delete) => {
            let path = root.at("delete_product");
            let reason = unless_empty(&delete.reason, &path.at("reason"), Reason::parse, faults)?;
            Command::DeleteProduct(DeleteProduct { reason })
        }
        Sent::RestoreProduct(v1::RestoreProduct {}) => Command::RestoreProduct,
    })
}

fn create_product(create: &v1::CreateProduct, path: &Path<'_>, faults: &mut Faults) -> Option<CreateProduct> {
    let sku = faults.keep(&path.at("sku"), Sku::parse(&create.sku));
    let name = faults.keep(&path.at("name"), Name::parse(&create.name));
    let description = faults.keep(&path.at("description"), Description::parse(&create.description));
    let category = faults.keep(&path.at("category"), CategoryPath::parse(&create.category));
    let brand = faults.keep(&path.at("brand"), Brand::parse(&create.brand));
    let price = money(create.price.as_ref(), &path.at("price"), faults);
    let attributes = attributes(&create.attributes, &path.at("attributes"), faults);
    let tags = tags(&create.tags, &path.at("tags"), faults);
    let status = initial_status(create.status, &path.at("status"), faults);
    Some(CreateProduct {
        sku: sku?,
        name: name?,
        description: description?,
        category: category?,
        brand: brand?,
        price: price?,
        attributes: attributes?,
        tags: tags?,
        status: status?,
    })
}

fn revise_details(revise: &v1::ReviseDetails, path: &Path<'_>, faults: &mut Faults) -> Option<ReviseDetails> {
    let sku = if_set(revise.sku.as_ref(), &path.at("sku"), Sku::parse, faults);
    let name = if_set(revise.name.as_ref(), &path.at("name"), Name::parse, faults);
    let description =
        if_set(revise.description.as_ref(), &path.at("description"), Description::parse, faults);
    let brand = if_set(revise.brand.as_ref(), &path.at("brand"), Brand::parse, faults);
    let attributes = match &revise.attributes {
        None => Some(None),
        Some(sent) => attributes(&sent.values, &path.at("attributes"), faults).map(Some),
    };
    let tags = match &revise.tags {
        None => Some(None),
        Some(sent) => tags(&sent.values, &path.at("tags"), faults).map(Some),
    };
    let changes = DetailChanges {
        sku: sku?,
        name: name?,
        description: description?,
        brand: brand?,
        attributes: attributes?,
        tags: tags?,
    };
    faults.keep(path, ReviseDetails::new(changes))
}

fn money(money: Option<&v1::Money>, path: &Path<'_>, faults: &mut Faults) -> Option<Money> {
    let Some(v1::Money { minor_units, currency }) = money else {
        faults.form(path, "is missing");
        return None;
    };
    let currency = faults.keep(&path.at("currency"), Currency::parse(currency));
    // The amount is checked also when the currency is not valid, so that both faults are named.
    let amount = currency
        .or_else(|| Currency::all().next())
        .and_then(|any| faults.keep(&path.at("minor_units"), Money::of(*minor_units, any)));
    currency.and(amount)
}

fn attributes(sent: &BTreeMap<String, String>, path: &Path<'_>, faults: &mut Faults) -> Option<Attributes> {
    if sent.len() > Attributes::MAX {
        faults.value(path, Attributes::too_many(sent.len()).problem);
        return None;
    }
    let mut pairs = BTreeMap::new();
    let mut complete = true;
    for (name, value) in sent {
        let path = path.at(name);
        let name = faults.keep(&path, AttributeName::parse(name));
        let value = faults.keep(&path, AttributeValue::parse(value));
        match name.zip(value) {
            Some((name, value)) => {
                // Two spellings of one name: other case is another name, other accents are not.
                if pairs.contains_key(&name) {
                    faults.value(&path, Attributes::named_twice(&name).problem);
                    complete = false;
                }
                pairs.insert(name, value);
            }
            None => complete = false,
        }
    }
    faults.keep(path, Attributes::new(pairs)).filter(|_| complete)
}

fn tags(sent: &[String], path: &Path<'_>, faults: &mut Faults) -> Option<Tags> {
    if sent.len() > MAX_TAGS_SENT {
        faults.value(path, Tags::too_many(sent.len()).problem);
        return None;
    }
    let mut parsed = BTreeSet::new();
    let mut complete = true;
    for (i, tag) in sent.iter().enumerate() {
        let index = i.to_string();
        match faults.keep(&path.at(&index), Tag::parse(tag)) {
            Some(tag) => {
                parsed.insert(tag);
            }
            None => complete = false,
        }
    }
    faults.keep(path, Tags::new(parsed)).filter(|_| complete)
}

fn initial_status(sent: i32, path: &Path<'_>, faults: &mut Faults) -> Option<InitialStatus> {
    match super::status_from(sent) {
        None if sent == v1::Status::Unspecified as i32 => Some(InitialStatus::Draft),
        Some(Status::Draft) => Some(InitialStatus::Draft),
        Some(Status::Listed) => Some(InitialStatus::Listed),
        Some(Status::Discontinued | Status::Deleted) | None => {
            faults.value(path, "must be STATUS_DRAFT or STATUS_LISTED");
            None
        }
    }
}

/// A text whose absence is written as the empty text. The outer option is `None` after a fault.
#[expect(clippy::option_option, reason = "a fault is not the same as a field that was left out")]
fn unless_empty<T>(
    text: &str,
    path: &Path<'_>,
    parse: fn(&str) -> Result<T, ValueError>,
    faults: &mut Faults,
) -> Option<Option<T>> {
    if text.is_empty() { Some(None) } else { faults.keep(path, parse(text)).map(Some) }
}

/// A text that may be unset. The outer option is `None` after a fault.
#[expect(clippy::option_option, reason = "a fault is not the same as a field that was left out")]
fn if_set<T>(
    text: Option<&String>,
    path: &Path<'_>,
    parse: fn(&str) -> Result<T, ValueError>,
    faults: &mut Faults,
) -> Option<Option<T>> {
    match text {
        None => Some(None),
        Some(text) => faults.keep(path, parse(text)).map(Some),
    }
}
