//! The rows as local disk holds them.

use std::collections::{BTreeMap, BTreeSet};

use domain::{CategoryPath, ProductId, Version};
use embedded_read_models::Embedded;
use read_models::history::{HistoryEntry, Order, Rows as _};
use read_models::model::{Fold, Head, Opens, Store as _, Wanted};
use read_models::products::{BUCKETS, CategoryItem, ProductState, Products, Rows as _};
use read_models::search::SearchModel;
use read_models::{Generation, StoredProduct};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Rows;
use crate::oracle::Oracle;

const GENERATION: Generation = Generation::FIRST;
/// Rows asked for at once.
const AT_ONCE: usize = 1_000;

/// Every row whose key a record of the log could have made: of each of its products, and in each list of each category that any
/// of them was ever in.
pub(crate) async fn embedded_rows(read_models: &Embedded, oracle: &Oracle) -> anyhow::Result<Rows> {
    let ids: Vec<ProductId> =
        oracle.products.keys().map(|id| ProductId::parse(id)).collect::<Result<_, _>>()?;
    let histories = oracle.products.values().flatten();
    let categories: BTreeSet<&CategoryPath> = histories.map(|it| &it.after.category).collect();
    let products: Vec<ProductState> = states::<Products>(read_models, &ids).await?;
    let documents: Vec<StoredProduct> = states::<SearchModel>(read_models, &ids).await?;
    let mut rows = Rows::from([
        ("products".to_owned(), products.iter().map(product).collect()),
        ("products_by_category".to_owned(), listed(read_models, &categories).await?),
        ("history".to_owned(), entries(read_models, &ids).await?),
        ("search".to_owned(), documents.iter().map(document).collect()),
    ]);
    for rows in rows.values_mut() {
        rows.sort_unstable();
    }
    Ok(rows)
}

/// The state rows that are there.
async fn states<M: Fold>(read_models: &Embedded, ids: &[ProductId]) -> anyhow::Result<Vec<M::State>>
where
    Embedded: Opens<M>,
{
    let store = Opens::<M>::open(read_models, GENERATION).await?;
    let newest = |product: &ProductId| Wanted {
        product: product.clone(),
        version: Version(i64::MAX as u64),
        event_id: Uuid::nil(),
    };
    let mut states = Vec::new();
    for some in ids.chunks(AT_ONCE) {
        let wanted: Vec<Wanted> = some.iter().map(newest).collect();
        states.extend(store.load(&wanted).await?.into_iter().flatten());
    }
    Ok(states)
}

/// Everything of the product but its event and version.
fn fields(stored: &StoredProduct) -> Value {
    let product = &stored.product;
    let attributes: Map<String, Value> =
        product.attributes.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    json!({
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
        "version": product.version.get(),
        "event_id": stored.event_id.to_string(),
        "updated_at": stored.updated_at.to_string(),
    })
}

fn product(state: &ProductState) -> String {
    let left: BTreeMap<&str, u64> =
        state.left.iter().map(|(category, version)| (category.as_str(), version.get())).collect();
    let mut row = fields(&state.stored);
    row["deleted_from"] = state.stored.product.deleted_from.map_or("", |status| status.as_str()).into();
    row["left_categories"] = json!(left);
    row.to_string()
}

fn document(stored: &StoredProduct) -> String {
    let mut source = fields(stored);
    source["deleted_from"] = stored.product.deleted_from.map_or(Value::Null, |status| status.as_str().into());
    format!("{} v{} {source}", json!(stored.product.id.as_str()), stored.product.version)
}

async fn listed(read_models: &Embedded, categories: &BTreeSet<&CategoryPath>) -> anyhow::Result<Vec<String>> {
    let rows = read_models.product_rows(GENERATION).await?;
    let mut listed = Vec::new();
    for category in categories {
        for bucket in 0..BUCKETS {
            let mut after = None;
            loop {
                let some = rows.in_bucket(category, bucket, after.as_ref(), AT_ONCE).await?;
                listed.extend(some.iter().map(|item| item_row(category, bucket, item)));
                match some.last() {
                    Some(last) if some.len() == AT_ONCE => after = Some(last.product_id.clone()),
                    _ => break,
                }
            }
        }
    }
    Ok(listed)
}

fn item_row(category: &CategoryPath, bucket: u8, item: &CategoryItem) -> String {
    let row = json!({
        "category": category.as_str(),
        "bucket": bucket,
        "product_id": item.product_id.as_str(),
        "sku": item.sku.as_str(),
        "name": item.name.as_str(),
        "brand": item.brand.as_str(),
        "price_minor": item.price.minor_units(),
        "currency": item.price.currency().as_str(),
        "status": item.status.as_str(),
        "version": item.version.get(),
        "event_id": item.event_id.to_string(),
        "updated_at": item.updated_at.to_string(),
    });
    row.to_string()
}

async fn entries(read_models: &Embedded, ids: &[ProductId]) -> anyhow::Result<Vec<String>> {
    let rows = read_models.history_rows(GENERATION).await?;
    let mut entries = Vec::new();
    for id in ids {
        let head = rows.head(id).await?;
        let mut after = None;
        loop {
            let some = rows.entries(id, Order::OldestFirst, after, AT_ONCE).await?;
            let (is_end, last) = (some.len() < AT_ONCE, some.last().map(|row| row.version));
            for row in some {
                entries.push(entry_row(id, head.as_ref(), &row.entry?));
            }
            if is_end {
                break;
            }
            after = last;
        }
    }
    Ok(entries)
}

fn entry_row(id: &ProductId, head: Option<&Head>, entry: &HistoryEntry) -> String {
    let row = json!({
        "product_id": id.as_str(),
        "version": entry.version.get(),
        "head_version": head.map(|head| head.version.get()),
        "head_event_id": head.map(|head| head.event_id.to_string()),
        "event_id": entry.event_id.to_string(),
        "event_type": entry.event_type,
        "event": entry.event.to_string(),
        "actor": entry.actor,
        "command_id": entry.command_id.map(|id| id.to_string()),
        "correlation_id": entry.correlation_id,
        "log_partition": entry.partition,
        "log_offset": entry.offset,
        "appended_at": entry.appended_at.to_string(),
        "occurred_at": entry.occurred_at.map(|time| time.to_string()),
    });
    row.to_string()
}
