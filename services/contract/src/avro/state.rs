//! A product's state as bytes, for caches: an Avro datum without frame, of a schema that is nobody's contract.
//!
//! Promises: what was encoded decodes to an equal product; any bytes give a product or an error.

use std::sync::LazyLock;

use domain::{Brand, CategoryPath, Description, Name, Product, ProductId, Sku, Status, ValueError, Version};
use serde::{Deserialize, Serialize};
use serde_avro_fast::Schema;
use serde_avro_fast::ser::SerializerConfig;

use super::containers::{List, Map};
use super::wire::{MoneyRecord, form, money, money_record};
use super::{DecodeError, EncodeError, read_whole};

/// The layout below and what its texts may be. States of another number are not read but made again.
pub const STATE_FORMAT: u32 = 2;

const TEXT: &str = r#"{"type": "record", "name": "Product", "fields": [
    {"name": "sku", "type": "string"},
    {"name": "name", "type": "string"},
    {"name": "description", "type": "string"},
    {"name": "category", "type": "string"},
    {"name": "brand", "type": "string"},
    {"name": "price", "type": {"type": "record", "name": "Money", "fields": [
        {"name": "minor_units", "type": "long"}, {"name": "currency", "type": "string"}]}},
    {"name": "attributes", "type": {"type": "map", "values": "string"}},
    {"name": "tags", "type": {"type": "array", "items": "string"}},
    {"name": "status", "type": "string"},
    {"name": "deleted_from", "type": ["null", "string"]},
    {"name": "version", "type": "long"}
]}"#;

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| TEXT.parse().expect("the text above is a schema"));

#[derive(Serialize, Deserialize)]
struct StateRecord<'a> {
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
    deleted_from: Option<&'a str>,
    version: i64,
}

/// Writes the state, but for the product's id, to the end of `into`.
///
/// # Errors
/// If it does not fit its schema: a bug.
pub fn encode_state(product: &Product, into: &mut Vec<u8>) -> Result<(), EncodeError> {
    let record = StateRecord {
        sku: product.sku.as_str(),
        name: product.name.as_str(),
        description: product.description.as_str(),
        category: product.category.as_str(),
        brand: product.brand.as_str(),
        price: money_record(product.price),
        attributes: Map(Ok(product.attributes.clone())),
        tags: List(Ok(product.tags.clone())),
        status: product.status.as_str(),
        deleted_from: product.deleted_from.map(Status::as_str),
        version: product.version.get().cast_signed(),
    };
    serde_avro_fast::to_datum(&record, into, &mut SerializerConfig::new(&SCHEMA))
        .map(|_| ())
        .map_err(|error| EncodeError::Schema(error.to_string()))
}

/// Reads what [`encode_state`] wrote for the product `id`.
///
/// # Errors
/// If the bytes are no such state.
pub fn decode_state(id: &str, bytes: &[u8]) -> Result<Product, DecodeError> {
    let record: StateRecord<'_> = read_whole(bytes, &SCHEMA, |datum| form(datum))?;
    record.into_product(id).map_err(|error| DecodeError::Invalid(error.to_string()))
}

impl StateRecord<'_> {
    fn into_product(self, id: &str) -> Result<Product, ValueError> {
        Ok(Product {
            id: ProductId::parse(id)?,
            sku: Sku::stored(self.sku)?,
            name: Name::stored(self.name)?,
            description: Description::stored(self.description)?,
            category: CategoryPath::stored(self.category)?,
            brand: Brand::stored(self.brand)?,
            price: money(&self.price)?,
            attributes: self.attributes.0?,
            tags: self.tags.0?,
            status: Status::parse(self.status)?,
            deleted_from: self.deleted_from.map(Status::parse).transpose()?,
            version: Version(self.version.cast_unsigned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::samples;

    proptest! {
        #[test]
        fn a_state_is_read_back_and_a_shortened_one_is_an_error(product in samples::product(), cut in any::<prop::sample::Index>()) {
            let mut bytes = Vec::new();
            encode_state(&product, &mut bytes).unwrap();
            prop_assert_eq!(&decode_state(product.id.as_str(), &bytes).unwrap(), &product);
            prop_assert!(decode_state("p", &bytes[..cut.index(bytes.len())]).is_err());
            bytes.push(0);
            prop_assert!(decode_state("p", &bytes).is_err(), "a byte too many");
        }

        #[test]
        fn a_state_of_texts_that_are_refused_now_is_read_back(product in samples::product(), name in ".{1,200}", tag in ".{1,64}") {
            let mut product = product;
            product.name = Name::stored(&name).unwrap();
            product.tags = domain::Tags::stored([tag.as_str()]).unwrap();
            let mut bytes = Vec::new();
            encode_state(&product, &mut bytes).unwrap();
            prop_assert_eq!(&decode_state(product.id.as_str(), &bytes).unwrap(), &product);
        }

        #[test]
        fn any_bytes_give_a_state_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            drop(decode_state("p", &bytes));
        }
    }
}
