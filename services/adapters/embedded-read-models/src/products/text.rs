//! The rows of `products` as text, with the names and in the form that servers give them.

use std::collections::BTreeMap;

use read_models::products::{CategoryItem, ProductState};
use serde_json::{Map, Value, json};

/// A state row.
pub(super) fn product(state: &ProductState) -> String {
    let (stored, product) = (&state.stored, &state.stored.product);
    let attributes: Map<String, Value> =
        product.attributes.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let left: BTreeMap<&str, u64> =
        state.left.iter().map(|(category, version)| (category.as_str(), version.get())).collect();
    let row = json!({
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
        "deleted_from": product.deleted_from.map_or("", |status| status.as_str()),
        "version": product.version.get(),
        "event_id": stored.event_id,
        "updated_at": stored.updated_at.to_string(),
        "left_categories": left,
    });
    row.to_string()
}

/// A row of a list.
pub(super) fn item(category: &str, bucket: u8, item: &CategoryItem) -> String {
    let row = json!({
        "category": category,
        "bucket": bucket,
        "product_id": item.product_id.as_str(),
        "sku": item.sku.as_str(),
        "name": item.name.as_str(),
        "brand": item.brand.as_str(),
        "price_minor": item.price.minor_units(),
        "currency": item.price.currency().as_str(),
        "status": item.status.as_str(),
        "version": item.version.get(),
        "event_id": item.event_id,
        "updated_at": item.updated_at.to_string(),
    });
    row.to_string()
}
