//! Events as JSON: in histories, subscriptions and stored rows alike.

use domain::{
    Attributes, Brand, CategoryPath, Description, DetailsRevised, Event, InitialStatus, Name, PriceChanged,
    ProductCreated, ProductDeleted, ProductDiscontinued, ProductListed, ProductMoved, ProductRestored,
    Reason, Sku, Status, Tags,
};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{AnyOfBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::as_json::{attributes, optional_text, tags, text};
use super::schemas;
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

/// A product came to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProductCreated)]
struct CreatedData {
    #[serde(with = "text")]
    #[schema(value_type = String)]
    sku: Sku,
    #[serde(with = "text")]
    #[schema(value_type = String)]
    name: Name,
    #[serde(with = "text")]
    #[schema(value_type = String)]
    description: Description,
    #[serde(with = "text")]
    #[schema(value_type = String)]
    category: CategoryPath,
    #[serde(with = "text")]
    #[schema(value_type = String)]
    brand: Brand,
    price: MoneyView,
    #[serde(with = "attributes")]
    #[schema(value_type = BTreeMap<String, String>)]
    attributes: Attributes,
    #[serde(with = "tags")]
    #[schema(value_type = Vec<String>)]
    tags: Tags,
    #[serde(with = "text")]
    #[schema(schema_with = schemas::initial_status)]
    status: InitialStatus,
}

/// What is not there did not change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = DetailsRevised)]
struct RevisedData {
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    sku: Option<Sku>,
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    name: Option<Name>,
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    description: Option<Description>,
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    brand: Option<Brand>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, String>>, nullable = false)]
    attributes: Option<AttributesData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<String>>, nullable = false)]
    tags: Option<TagsData>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct AttributesData(#[serde(with = "attributes")] Attributes);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct TagsData(#[serde(with = "tags")] Tags);

/// The new price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = PriceChanged)]
struct PriceData {
    price: MoneyView,
}

/// The new category.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProductMoved)]
struct MovedData {
    #[serde(with = "text")]
    #[schema(value_type = String)]
    category: CategoryPath,
}

/// Of `ProductDiscontinued` and `ProductDeleted`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = ProductEnded)]
struct ReasonData {
    #[serde(with = "optional_text", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, nullable = false)]
    reason: Option<Reason>,
}

/// Of `ProductListed` and `ProductRestored`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = StatusGiven)]
struct StatusData {
    #[serde(with = "text")]
    #[schema(schema_with = schemas::status)]
    status: Status,
}

/// Any of them: which one, the event's type says beside it.
impl PartialSchema for EventData {
    fn schema() -> RefOr<Schema> {
        let any = AnyOfBuilder::new().item(CreatedData::schema()).item(RevisedData::schema());
        let any = any.item(PriceData::schema()).item(MovedData::schema());
        let any = any.item(ReasonData::schema()).item(StatusData::schema());
        any.description(Some("What the event says; `event_type` says which of these it is.")).into()
    }
}

impl ToSchema for EventData {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((MoneyView::name().into_owned(), MoneyView::schema()));
    }
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
