//! The domain's values as protobuf messages, for answers; commands too, for clients written in Rust.

use std::collections::BTreeMap;

use domain::{Attributes, Command, Event, Money, Product, Status, Tags};

use super::catalog::v1;
use super::catalog::v1::command_request::Command as Sent;
use super::catalog::v1::product_event::Event as Happened;
use crate::fields::AddressedCommand;

/// The status as protobuf numbers it.
pub fn status(status: Status) -> v1::Status {
    match status {
        Status::Draft => v1::Status::Draft,
        Status::Listed => v1::Status::Listed,
        Status::Discontinued => v1::Status::Discontinued,
        Status::Deleted => v1::Status::Deleted,
    }
}

/// The status with this number; `None` if it is unspecified or unknown.
pub fn status_from(number: i32) -> Option<Status> {
    match v1::Status::try_from(number) {
        Ok(v1::Status::Draft) => Some(Status::Draft),
        Ok(v1::Status::Listed) => Some(Status::Listed),
        Ok(v1::Status::Discontinued) => Some(Status::Discontinued),
        Ok(v1::Status::Deleted) => Some(Status::Deleted),
        Ok(v1::Status::Unspecified) | Err(_) => None,
    }
}

impl From<Money> for v1::Money {
    fn from(money: Money) -> Self {
        // At most 10^15, so it fits.
        let minor_units = money.minor_units().cast_signed();
        Self { minor_units, currency: money.currency().as_str().to_owned() }
    }
}

impl From<&Attributes> for v1::Attributes {
    fn from(attributes: &Attributes) -> Self {
        Self { values: pairs(attributes) }
    }
}

impl From<&Tags> for v1::Tags {
    fn from(tags: &Tags) -> Self {
        Self { values: list(tags) }
    }
}

impl From<&Product> for v1::Product {
    fn from(product: &Product) -> Self {
        Self {
            product_id: product.id.as_str().to_owned(),
            sku: product.sku.as_str().to_owned(),
            name: product.name.as_str().to_owned(),
            description: product.description.as_str().to_owned(),
            category: product.category.as_str().to_owned(),
            brand: product.brand.as_str().to_owned(),
            price: Some(product.price.into()),
            attributes: pairs(&product.attributes),
            tags: list(&product.tags),
            status: status(product.status).into(),
            deleted_from: product.deleted_from.map_or(v1::Status::Unspecified, status).into(),
            version: product.version.get(),
        }
    }
}

impl From<&Event> for v1::ProductEvent {
    fn from(event: &Event) -> Self {
        let happened = match event {
            Event::ProductCreated(e) => Happened::ProductCreated(v1::ProductCreated {
                sku: e.sku.as_str().to_owned(),
                name: e.name.as_str().to_owned(),
                description: e.description.as_str().to_owned(),
                category: e.category.as_str().to_owned(),
                brand: e.brand.as_str().to_owned(),
                price: Some(e.price.into()),
                attributes: pairs(&e.attributes),
                tags: list(&e.tags),
                status: status(e.status.into()).into(),
            }),
            Event::DetailsRevised(e) => Happened::DetailsRevised(v1::DetailsRevised {
                sku: owned(e.sku.as_ref()),
                name: owned(e.name.as_ref()),
                description: owned(e.description.as_ref()),
                brand: owned(e.brand.as_ref()),
                attributes: e.attributes.as_ref().map(Into::into),
                tags: e.tags.as_ref().map(Into::into),
            }),
            Event::PriceChanged(e) => {
                Happened::PriceChanged(v1::PriceChanged { price: Some(e.price.into()) })
            }
            Event::ProductMoved(e) => {
                Happened::ProductMoved(v1::ProductMoved { category: e.category.as_str().to_owned() })
            }
            Event::ProductListed(_) => {
                Happened::ProductListed(v1::ProductListed { status: status(Status::Listed).into() })
            }
            Event::ProductDiscontinued(e) => {
                Happened::ProductDiscontinued(v1::ProductDiscontinued { reason: owned(e.reason.as_ref()) })
            }
            Event::ProductDeleted(e) => {
                Happened::ProductDeleted(v1::ProductDeleted { reason: owned(e.reason.as_ref()) })
            }
            Event::ProductRestored(e) => {
                Happened::ProductRestored(v1::ProductRestored { status: status(e.status).into() })
            }
        };
        Self { event: Some(happened) }
    }
}

/// Writes what [`super::parse_request`] reads.
impl From<&AddressedCommand> for v1::CommandRequest {
    fn from(addressed: &AddressedCommand) -> Self {
        Self {
            product_id: addressed.product_id.as_ref().map_or_else(String::new, |id| id.as_str().to_owned()),
            expected_version: addressed.expected_version.map(Into::into),
            idempotency_key: addressed.idempotency_key.as_ref().map_or_else(String::new, ToString::to_string),
            command: Some(sent(&addressed.command)),
        }
    }
}

fn sent(command: &Command) -> Sent {
    match command {
        Command::CreateProduct(c) => Sent::CreateProduct(v1::CreateProduct {
            sku: c.sku.as_str().to_owned(),
            name: c.name.as_str().to_owned(),
            description: c.description.as_str().to_owned(),
            category: c.category.as_str().to_owned(),
            brand: c.brand.as_str().to_owned(),
            price: Some(c.price.into()),
            attributes: pairs(&c.attributes),
            tags: list(&c.tags),
            status: status(c.status.into()).into(),
        }),
        Command::ReviseDetails(c) => {
            let c = c.changes();
            Sent::ReviseDetails(v1::ReviseDetails {
                sku: owned(c.sku.as_ref()),
                name: owned(c.name.as_ref()),
                description: owned(c.description.as_ref()),
                brand: owned(c.brand.as_ref()),
                attributes: c.attributes.as_ref().map(Into::into),
                tags: c.tags.as_ref().map(Into::into),
            })
        }
        Command::ChangePrice(c) => Sent::ChangePrice(v1::ChangePrice { price: Some(c.price.into()) }),
        Command::MoveToCategory(c) => {
            Sent::MoveToCategory(v1::MoveToCategory { category: c.category.as_str().to_owned() })
        }
        Command::ListProduct => Sent::ListProduct(v1::ListProduct {}),
        Command::DiscontinueProduct(c) => Sent::DiscontinueProduct(v1::DiscontinueProduct {
            reason: owned(c.reason.as_ref()).unwrap_or_default(),
        }),
        Command::DeleteProduct(c) => {
            Sent::DeleteProduct(v1::DeleteProduct { reason: owned(c.reason.as_ref()).unwrap_or_default() })
        }
        Command::RestoreProduct => Sent::RestoreProduct(v1::RestoreProduct {}),
    }
}

fn pairs(attributes: &Attributes) -> BTreeMap<String, String> {
    attributes.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn list(tags: &Tags) -> Vec<String> {
    tags.iter().map(str::to_owned).collect()
}

fn owned<T: AsRef<str>>(text: Option<&T>) -> Option<String> {
    text.map(|text| text.as_ref().to_owned())
}
