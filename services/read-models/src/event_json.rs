//! An event as JSON and back: how `history` keeps it.
//!
//! Promise: what was written is read as the same event, in this and every later build.

use std::collections::{BTreeMap, BTreeSet};

use domain::{
    Attributes, Brand, CategoryPath, Description, DetailsRevised, Event, InitialStatus, Money, Name,
    PriceChanged, ProductCreated, ProductDeleted, ProductDiscontinued, ProductListed, ProductMoved,
    ProductRestored, Reason, Sku, Status, Tags, ValueError,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All fields that any event has. A field that an event does not have, or did not change, is left out.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Fields {
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    brand: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<Price>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<BTreeSet<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Price {
    minor_units: i64,
    currency: String,
}

/// The event's data. Its type stands beside it.
pub(crate) fn write(event: &Event) -> Value {
    let fields = fields(event);
    serde_json::to_value(fields).unwrap_or_default()
}

fn fields(event: &Event) -> Fields {
    let attributes = |a: &Attributes| a.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
    let tags = |t: &Tags| t.iter().map(str::to_owned).collect();
    let price =
        |p: Money| Price { minor_units: p.minor_units() as i64, currency: p.currency().as_str().to_owned() };
    match event {
        Event::ProductCreated(e) => Fields {
            sku: Some(e.sku.to_string()),
            name: Some(e.name.to_string()),
            description: Some(e.description.to_string()),
            category: Some(e.category.to_string()),
            brand: Some(e.brand.to_string()),
            price: Some(price(e.price)),
            attributes: Some(attributes(&e.attributes)),
            tags: Some(tags(&e.tags)),
            status: Some(e.status.to_string()),
            reason: None,
        },
        Event::DetailsRevised(e) => Fields {
            sku: e.sku.as_ref().map(ToString::to_string),
            name: e.name.as_ref().map(ToString::to_string),
            description: e.description.as_ref().map(ToString::to_string),
            brand: e.brand.as_ref().map(ToString::to_string),
            attributes: e.attributes.as_ref().map(attributes),
            tags: e.tags.as_ref().map(tags),
            ..Fields::default()
        },
        Event::PriceChanged(e) => Fields { price: Some(price(e.price)), ..Fields::default() },
        Event::ProductMoved(e) => Fields { category: Some(e.category.to_string()), ..Fields::default() },
        Event::ProductListed(ProductListed {}) => Fields::default(),
        Event::ProductDiscontinued(ProductDiscontinued { reason })
        | Event::ProductDeleted(ProductDeleted { reason }) => {
            Fields { reason: reason.as_ref().map(ToString::to_string), ..Fields::default() }
        }
        Event::ProductRestored(e) => Fields { status: Some(e.status.to_string()), ..Fields::default() },
    }
}

/// The event of this type with this data, or what is wrong with it.
pub(crate) fn read(event_type: &str, data: &Value) -> Result<Event, String> {
    let fields = Fields::deserialize(data).map_err(|e| e.to_string())?;
    event(event_type, fields).map_err(|fault| match fault {
        Fault::Missing(field) => format!("{event_type} without {field}"),
        Fault::Value(e) => format!("{event_type}: {e}"),
        Fault::Type => format!("there is no event type {event_type}"),
    })
}

enum Fault {
    Missing(&'static str),
    Value(ValueError),
    Type,
}

impl From<ValueError> for Fault {
    fn from(error: ValueError) -> Self {
        Self::Value(error)
    }
}

fn event(event_type: &str, f: Fields) -> Result<Event, Fault> {
    let reason = f.reason.as_deref().map(Reason::parse).transpose()?;
    Ok(match event_type {
        "ProductCreated" => Event::ProductCreated(ProductCreated {
            sku: Sku::parse(&needed("sku", f.sku)?)?,
            name: Name::parse(&needed("name", f.name)?)?,
            description: Description::parse(&needed("description", f.description)?)?,
            category: CategoryPath::parse(&needed("category", f.category)?)?,
            brand: Brand::parse(&needed("brand", f.brand)?)?,
            price: price(needed("price", f.price)?)?,
            attributes: attributes(&needed("attributes", f.attributes)?)?,
            tags: tags(&needed("tags", f.tags)?)?,
            status: InitialStatus::parse(&needed("status", f.status)?)?,
        }),
        "DetailsRevised" => Event::DetailsRevised(DetailsRevised {
            sku: f.sku.as_deref().map(Sku::parse).transpose()?,
            name: f.name.as_deref().map(Name::parse).transpose()?,
            description: f.description.as_deref().map(Description::parse).transpose()?,
            brand: f.brand.as_deref().map(Brand::parse).transpose()?,
            attributes: f.attributes.as_ref().map(attributes).transpose()?,
            tags: f.tags.as_ref().map(tags).transpose()?,
        }),
        "PriceChanged" => Event::PriceChanged(PriceChanged { price: price(needed("price", f.price)?)? }),
        "ProductMoved" => Event::ProductMoved(ProductMoved {
            category: CategoryPath::parse(&needed("category", f.category)?)?,
        }),
        "ProductListed" => Event::ProductListed(ProductListed {}),
        "ProductDiscontinued" => Event::ProductDiscontinued(ProductDiscontinued { reason }),
        "ProductDeleted" => Event::ProductDeleted(ProductDeleted { reason }),
        "ProductRestored" => {
            Event::ProductRestored(ProductRestored { status: Status::parse(&needed("status", f.status)?)? })
        }
        _ => return Err(Fault::Type),
    })
}

fn needed<T>(field: &'static str, value: Option<T>) -> Result<T, Fault> {
    value.ok_or(Fault::Missing(field))
}

fn price(price: Price) -> Result<Money, ValueError> {
    Money::new(price.minor_units, &price.currency)
}

fn attributes(pairs: &BTreeMap<String, String>) -> Result<Attributes, ValueError> {
    Attributes::parse(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())))
}

fn tags(tags: &BTreeSet<String>) -> Result<Tags, ValueError> {
    Tags::parse(tags.iter().map(String::as_str))
}
