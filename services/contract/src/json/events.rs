//! Events as JSON: in histories, subscriptions and stored rows alike.

use domain::{
    Attributes, Brand, CategoryPath, Description, DetailsRevised, Event, InitialStatus, Name, PriceChanged,
    ProductCreated, ProductDeleted, ProductDiscontinued, ProductListed, ProductMoved, ProductRestored,
    Reason, Sku, Status, Tags,
};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use super::as_json::{attributes, optional_text, tags, text};
use super::views::MoneyView;

/// What an event says, without its type: the type stands beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct EventData(Data);

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
enum Data {
    Created(CreatedData),
    Revised(RevisedData),
    Price(PriceData),
    Moved(MovedData),
    Reason(ReasonData),
    Status(StatusData),
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CreatedData {
    #[serde(with = "text")]
    sku: Sku,
    #[serde(with = "text")]
    name: Name,
    #[serde(with = "text")]
    description: Description,
    #[serde(with = "text")]
    category: CategoryPath,
    #[serde(with = "text")]
    brand: Brand,
    price: MoneyView,
    #[serde(with = "attributes")]
    attributes: Attributes,
    #[serde(with = "tags")]
    tags: Tags,
    #[serde(with = "text")]
    status: InitialStatus,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct RevisedData {
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    sku: Option<Sku>,
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    name: Option<Name>,
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    description: Option<Description>,
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    brand: Option<Brand>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attributes: Option<AttributesData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tags: Option<TagsData>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AttributesData(#[serde(with = "attributes")] Attributes);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TagsData(#[serde(with = "tags")] Tags);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PriceData {
    price: MoneyView,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct MovedData {
    #[serde(with = "text")]
    category: CategoryPath,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ReasonData {
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StatusData {
    #[serde(with = "text")]
    status: Status,
}

/// What the event says, to be written as JSON: `{"price": {"minor_units": 1999, "currency": "EUR"}}`.
pub fn event_data(event: &Event) -> EventData {
    EventData(match event.clone() {
        Event::ProductCreated(ProductCreated {
            sku,
            name,
            description,
            category,
            brand,
            price,
            attributes,
            tags,
            status,
        }) => Data::Created(CreatedData {
            sku,
            name,
            description,
            category,
            brand,
            price: MoneyView(price),
            attributes,
            tags,
            status,
        }),
        Event::DetailsRevised(DetailsRevised { sku, name, description, brand, attributes, tags }) => {
            let (attributes, tags) = (attributes.map(AttributesData), tags.map(TagsData));
            Data::Revised(RevisedData { sku, name, description, brand, attributes, tags })
        }
        Event::PriceChanged(PriceChanged { price }) => Data::Price(PriceData { price: MoneyView(price) }),
        Event::ProductMoved(ProductMoved { category }) => Data::Moved(MovedData { category }),
        Event::ProductListed(ProductListed {}) => Data::Status(StatusData { status: Status::Listed }),
        Event::ProductDiscontinued(ProductDiscontinued { reason })
        | Event::ProductDeleted(ProductDeleted { reason }) => Data::Reason(ReasonData { reason }),
        Event::ProductRestored(ProductRestored { status }) => Data::Status(StatusData { status }),
    })
}

/// Reads what [`event_data`] wrote for an event of this type (see [`Event::type_name`]).
///
/// # Errors
/// If the type is unknown or the data is not that of such an event.
pub fn event_from_data(event_type: &str, data: &str) -> Result<Event, serde_json::Error> {
    Ok(match event_type {
        "ProductCreated" => {
            let d: CreatedData = serde_json::from_str(data)?;
            Event::ProductCreated(ProductCreated {
                sku: d.sku,
                name: d.name,
                description: d.description,
                category: d.category,
                brand: d.brand,
                price: d.price.0,
                attributes: d.attributes,
                tags: d.tags,
                status: d.status,
            })
        }
        "DetailsRevised" => {
            let d: RevisedData = serde_json::from_str(data)?;
            Event::DetailsRevised(DetailsRevised {
                sku: d.sku,
                name: d.name,
                description: d.description,
                brand: d.brand,
                attributes: d.attributes.map(|attributes| attributes.0),
                tags: d.tags.map(|tags| tags.0),
            })
        }
        "PriceChanged" => {
            Event::PriceChanged(PriceChanged { price: serde_json::from_str::<PriceData>(data)?.price.0 })
        }
        "ProductMoved" => {
            Event::ProductMoved(ProductMoved { category: serde_json::from_str::<MovedData>(data)?.category })
        }
        "ProductListed" => match serde_json::from_str::<StatusData>(data)?.status {
            Status::Listed => Event::ProductListed(ProductListed {}),
            Status::Draft | Status::Discontinued | Status::Deleted => {
                return Err(serde_json::Error::custom("a product that was listed has the status listed"));
            }
        },
        "ProductDiscontinued" => Event::ProductDiscontinued(ProductDiscontinued {
            reason: serde_json::from_str::<ReasonData>(data)?.reason,
        }),
        "ProductDeleted" => {
            Event::ProductDeleted(ProductDeleted { reason: serde_json::from_str::<ReasonData>(data)?.reason })
        }
        "ProductRestored" => Event::ProductRestored(ProductRestored {
            status: serde_json::from_str::<StatusData>(data)?.status,
        }),
        other => return Err(serde_json::Error::custom(format_args!("{other:?} is not an event type"))),
    })
}
