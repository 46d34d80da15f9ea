//! The rows of `products` as bytes. Their versions and ids are said beside them.

use std::sync::Arc;

use adapter_embedded::tables::Row;
use domain::{
    Attributes, Brand, CategoryPath, Description, Money, Name, Product, ProductId, Sku, Status, Tags, Version,
};
use read_models::StoredProduct;
use read_models::products::{CategoryItem, ProductState};

use crate::bytes::{Reader, Unreadable, Writer, version};

/// A state row.
pub(super) fn state(state: &ProductState) -> Writer {
    let ProductState { stored, left } = state;
    let product = &stored.product;
    let mut row = item(stored);
    row.text(product.description.as_str()).text(product.category.as_str());
    row.text(product.deleted_from.map_or("", Status::as_str));
    row.count(product.attributes.iter().count());
    for (name, value) in product.attributes.iter() {
        row.text(name).text(value);
    }
    row.count(product.tags.iter().count());
    for tag in product.tags.iter() {
        row.text(tag);
    }
    row.count(left.len());
    for (category, version) in left {
        row.text(category.as_str()).number(version.get() as i64);
    }
    row
}

/// A row of a list: what it shows.
pub(super) fn item(stored: &StoredProduct) -> Writer {
    let product = &stored.product;
    let mut row = Writer::default();
    row.text(product.sku.as_str()).text(product.name.as_str()).text(product.brand.as_str());
    row.number(product.price.minor_units() as i64).text(product.price.currency().as_str());
    row.text(product.status.as_str()).uuid(stored.event_id).time(stored.updated_at);
    row
}

pub(super) fn read_state(id: &ProductId, row: &Row) -> Result<ProductState, Unreadable> {
    let mut fields = Reader::of(row);
    let shown = read_shown(id.clone(), version(row), &mut fields)?;
    let (description, category) =
        (Description::stored(fields.text()?)?, CategoryPath::stored(fields.text()?)?);
    let deleted_from = Some(fields.text()?).filter(|status| !status.is_empty());
    let deleted_from = deleted_from.map(Status::parse).transpose()?;
    let attributes = repeated(&mut fields, |fields| Ok((fields.text()?, fields.text()?)))?;
    let tags = repeated(&mut fields, Reader::text)?;
    let left = repeated(&mut fields, |fields| {
        Ok((CategoryPath::stored(fields.text()?)?, Version(fields.number()? as u64)))
    })?;
    fields.end()?;
    let product = Product {
        id: shown.product_id,
        sku: shown.sku,
        name: shown.name,
        description,
        category,
        brand: shown.brand,
        price: shown.price,
        attributes: Attributes::stored(attributes)?,
        tags: Tags::stored(tags)?,
        status: shown.status,
        deleted_from,
        version: shown.version,
    };
    let stored = StoredProduct { product, event_id: shown.event_id, updated_at: shown.updated_at };
    Ok(ProductState { stored: Arc::new(stored), left })
}

pub(super) fn read_item(id: &str, row: &Row) -> Result<CategoryItem, Unreadable> {
    let mut fields = Reader::of(row);
    let item = read_shown(ProductId::parse(id)?, version(row), &mut fields)?;
    fields.end()?;
    Ok(item)
}

fn read_shown(
    product_id: ProductId,
    version: Version,
    fields: &mut Reader<'_>,
) -> Result<CategoryItem, Unreadable> {
    Ok(CategoryItem {
        product_id,
        sku: Sku::stored(fields.text()?)?,
        name: Name::stored(fields.text()?)?,
        brand: Brand::stored(fields.text()?)?,
        price: Money::new(fields.number()?, fields.text()?)?,
        status: Status::parse(fields.text()?)?,
        version,
        event_id: fields.uuid()?,
        updated_at: fields.time()?,
    })
}

/// As many as are said to follow. (A damaged count ends with the bytes.)
fn repeated<'a, T>(
    fields: &mut Reader<'a>,
    one: impl Fn(&mut Reader<'a>) -> Result<T, Unreadable>,
) -> Result<Vec<T>, Unreadable> {
    let count = fields.count()?;
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(one(fields)?);
    }
    Ok(all)
}
