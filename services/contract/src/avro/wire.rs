//! The records as the schemas name their fields. They borrow: from the event when it is written, from the input when
//! it is read, so that the only allocations of a decoded event are its own.

use std::io;

use domain::{
    Attributes, Brand, CategoryPath, Description, DetailsRevised, Event, InitialStatus, Money, Name,
    PriceChanged, ProductCreated, ProductDeleted, ProductDiscontinued, ProductListed, ProductMoved,
    ProductRestored, Reason, Sku, Status, ValueError,
};
use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use serde_avro_fast::ser::{SerError, SerializerConfig};

use super::DecodeError;
use super::containers::{List, Map};

#[derive(Serialize, Deserialize)]
pub(super) struct MoneyRecord<'a> {
    minor_units: i64,
    currency: &'a str,
}

#[derive(Serialize, Deserialize)]
struct CreatedRecord<'a> {
    sku: &'a str,
    name: &'a str,
    description: &'a str,
    category: &'a str,
    brand: &'a str,
    #[serde(borrow)]
    price: MoneyRecord<'a>,
    attributes: Map,
    tags: List,
    status: &'a str,
}

#[derive(Serialize, Deserialize)]
struct RevisedRecord<'a> {
    #[serde(borrow)]
    sku: Option<&'a str>,
    name: Option<&'a str>,
    description: Option<&'a str>,
    brand: Option<&'a str>,
    attributes: Option<Map>,
    tags: Option<List>,
}

#[derive(Serialize, Deserialize)]
struct PriceRecord<'a> {
    #[serde(borrow)]
    price: MoneyRecord<'a>,
}

#[derive(Serialize, Deserialize)]
struct MovedRecord<'a> {
    category: &'a str,
}

#[derive(Serialize, Deserialize)]
struct ReasonRecord<'a> {
    #[serde(borrow)]
    reason: Option<&'a str>,
}

#[derive(Serialize, Deserialize)]
struct StatusRecord<'a> {
    status: &'a str,
}

/// Roughly how many bytes the datum takes; too little costs a reallocation, no more.
pub(super) fn size_hint(event: &Event) -> usize {
    match event {
        Event::ProductCreated(e) => {
            let texts = e.sku.as_str().len() + e.name.as_str().len() + e.description.as_str().len();
            128 + texts + 32 * (e.attributes.len() + e.tags.len())
        }
        Event::DetailsRevised(e) => {
            let description = e.description.as_ref().map_or(0, |d| d.as_str().len());
            256 + description + 32 * e.attributes.as_ref().map_or(0, Attributes::len)
        }
        Event::PriceChanged(_)
        | Event::ProductMoved(_)
        | Event::ProductListed(_)
        | Event::ProductDiscontinued(_)
        | Event::ProductDeleted(_)
        | Event::ProductRestored(_) => 64,
    }
}

/// Writes the event's datum.
pub(super) fn write<W: io::Write>(
    event: &Event,
    writer: W,
    config: &mut SerializerConfig<'_>,
) -> Result<W, SerError> {
    match event {
        Event::ProductCreated(e) => {
            let record = CreatedRecord {
                sku: e.sku.as_str(),
                name: e.name.as_str(),
                description: e.description.as_str(),
                category: e.category.as_str(),
                brand: e.brand.as_str(),
                price: money_record(e.price),
                attributes: Map(Ok(e.attributes.clone())),
                tags: List(Ok(e.tags.clone())),
                status: e.status.as_str(),
            };
            serde_avro_fast::to_datum(&record, writer, config)
        }
        Event::DetailsRevised(e) => {
            let record = RevisedRecord {
                sku: e.sku.as_ref().map(Sku::as_str),
                name: e.name.as_ref().map(Name::as_str),
                description: e.description.as_ref().map(Description::as_str),
                brand: e.brand.as_ref().map(Brand::as_str),
                attributes: e.attributes.clone().map(|attributes| Map(Ok(attributes))),
                tags: e.tags.clone().map(|tags| List(Ok(tags))),
            };
            serde_avro_fast::to_datum(&record, writer, config)
        }
        Event::PriceChanged(e) => {
            serde_avro_fast::to_datum(&PriceRecord { price: money_record(e.price) }, writer, config)
        }
        Event::ProductMoved(e) => {
            serde_avro_fast::to_datum(&MovedRecord { category: e.category.as_str() }, writer, config)
        }
        // Its status goes without saying; it is there so that no value is shorter than common clients take.
        Event::ProductListed(ProductListed {}) => {
            serde_avro_fast::to_datum(&StatusRecord { status: Status::Listed.as_str() }, writer, config)
        }
        Event::ProductDiscontinued(e) => {
            serde_avro_fast::to_datum(&reason_record(e.reason.as_ref()), writer, config)
        }
        Event::ProductDeleted(e) => {
            serde_avro_fast::to_datum(&reason_record(e.reason.as_ref()), writer, config)
        }
        Event::ProductRestored(e) => {
            serde_avro_fast::to_datum(&StatusRecord { status: e.status.as_str() }, writer, config)
        }
    }
}

/// Reads the datum of an event of this type.
pub(super) fn read<'de, D: Deserializer<'de>>(event_type: &str, datum: D) -> Result<Event, DecodeError> {
    match event_type {
        "ProductCreated" => form::<CreatedRecord<'de>, D>(datum)?.into_event(),
        "DetailsRevised" => form::<RevisedRecord<'de>, D>(datum)?.into_event(),
        "PriceChanged" => {
            let price = money(&form::<PriceRecord<'de>, D>(datum)?.price);
            price.map(|price| Event::PriceChanged(PriceChanged { price }))
        }
        "ProductMoved" => CategoryPath::stored(form::<MovedRecord<'de>, D>(datum)?.category)
            .map(|category| Event::ProductMoved(ProductMoved { category })),
        "ProductListed" => match form::<StatusRecord<'de>, D>(datum)?.status {
            "listed" => Ok(Event::ProductListed(ProductListed {})),
            other => return Err(DecodeError::Invalid(format!("a product is not listed as {other:?}"))),
        },
        "ProductDiscontinued" => optional(form::<ReasonRecord<'de>, D>(datum)?.reason, Reason::stored)
            .map(|reason| Event::ProductDiscontinued(ProductDiscontinued { reason })),
        "ProductDeleted" => optional(form::<ReasonRecord<'de>, D>(datum)?.reason, Reason::stored)
            .map(|reason| Event::ProductDeleted(ProductDeleted { reason })),
        "ProductRestored" => Status::parse(form::<StatusRecord<'de>, D>(datum)?.status)
            .map(|status| Event::ProductRestored(ProductRestored { status })),
        other => return Err(DecodeError::Malformed(format!("{other} is no event type"))),
    }
    .map_err(|error| DecodeError::Invalid(error.to_string()))
}

pub(super) fn form<'de, T: Deserialize<'de>, D: Deserializer<'de>>(datum: D) -> Result<T, DecodeError> {
    T::deserialize(datum).map_err(|error| DecodeError::Malformed(error.to_string()))
}

impl CreatedRecord<'_> {
    fn into_event(self) -> Result<Event, ValueError> {
        Ok(Event::ProductCreated(ProductCreated {
            sku: Sku::stored(self.sku)?,
            name: Name::stored(self.name)?,
            description: Description::stored(self.description)?,
            category: CategoryPath::stored(self.category)?,
            brand: Brand::stored(self.brand)?,
            price: money(&self.price)?,
            attributes: self.attributes.0?,
            tags: self.tags.0?,
            status: InitialStatus::parse(self.status)?,
        }))
    }
}

impl RevisedRecord<'_> {
    fn into_event(self) -> Result<Event, ValueError> {
        Ok(Event::DetailsRevised(DetailsRevised {
            sku: optional(self.sku, Sku::stored)?,
            name: optional(self.name, Name::stored)?,
            description: optional(self.description, Description::stored)?,
            brand: optional(self.brand, Brand::stored)?,
            attributes: self.attributes.map(|map| map.0).transpose()?,
            tags: self.tags.map(|list| list.0).transpose()?,
        }))
    }
}

fn optional<T>(
    text: Option<&str>,
    parse: impl FnOnce(&str) -> Result<T, ValueError>,
) -> Result<Option<T>, ValueError> {
    text.map(parse).transpose()
}

pub(super) fn money(record: &MoneyRecord<'_>) -> Result<Money, ValueError> {
    Money::new(record.minor_units, record.currency)
}

pub(super) fn money_record(money: Money) -> MoneyRecord<'static> {
    // At most 10^15, so it fits.
    MoneyRecord { minor_units: money.minor_units().cast_signed(), currency: money.currency().as_str() }
}

fn reason_record(reason: Option<&Reason>) -> ReasonRecord<'_> {
    ReasonRecord { reason: reason.map(Reason::as_str) }
}
