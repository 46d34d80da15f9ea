//! What answers look like in JSON.

use contract::json::{MoneyView, ProductView};
use read_models::StoredProduct;
use read_models::history::HistoryEntry;
use read_models::products::CategoryItem;
use read_models::search::{FacetCounts, Hit, Suggestion};
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

pub(super) fn product(stored: &StoredProduct) -> Value {
    json!(Stored {
        product: ProductView::from(&stored.product),
        event_id: stored.event_id,
        updated_at: stored.updated_at.to_string(),
    })
}

#[derive(Serialize)]
struct Stored {
    #[serde(flatten)]
    product: ProductView,
    event_id: Uuid,
    updated_at: String,
}

pub(super) fn history_entry(entry: &HistoryEntry) -> Value {
    json!({
        "version": entry.version.get(),
        "event_id": entry.event_id,
        "event_type": entry.event_type,
        "event": entry.event,
        "actor": entry.actor,
        "command_id": entry.command_id,
        "correlation_id": entry.correlation_id,
        "partition": entry.partition,
        "offset": entry.offset,
        "appended_at": entry.appended_at.to_string(),
        "occurred_at": entry.occurred_at.map(|time| time.to_string()),
    })
}

pub(super) fn category_item(item: &CategoryItem) -> Value {
    json!({
        "product_id": item.product_id.as_str(),
        "sku": item.sku.as_str(),
        "name": item.name.as_str(),
        "brand": item.brand.as_str(),
        "price": MoneyView(item.price),
        "status": item.status.as_str(),
        "version": item.version.get(),
        "updated_at": item.updated_at.to_string(),
    })
}

pub(super) fn hit(hit: &Hit) -> Value {
    let mut view = product(&hit.found);
    if let (Some(score), Value::Object(view)) = (hit.score, &mut view) {
        view.insert("score".to_owned(), score.into());
    }
    view
}

pub(super) fn facet(counts: &FacetCounts) -> Value {
    let bucket = |bucket: &read_models::search::Bucket| {
        let mut view = json!({ "value": bucket.value, "count": bucket.count });
        for (name, bound) in [("from", bucket.from), ("to", bucket.to)] {
            if let Some(bound) = bound {
                view[name] = bound.into();
            }
        }
        view
    };
    json!({
        "facet": facet_name(&counts.facet),
        "buckets": counts.buckets.iter().map(bucket).collect::<Vec<_>>(),
        "other_values": counts.other_values,
        "other_count": counts.other_count,
    })
}

/// As callers ask for it: `attributes.color` of the read model is `attr.color` here.
fn facet_name(name: &str) -> String {
    match name.strip_prefix("attributes") {
        Some(rest) => format!("attr{rest}"),
        None => name.to_owned(),
    }
}

pub(super) fn suggestion(suggestion: &Suggestion) -> Value {
    json!({
        "product_id": suggestion.product_id.as_str(),
        "sku": suggestion.sku,
        "name": suggestion.name,
        "category": suggestion.category.as_str(),
        "status": suggestion.status.as_str(),
    })
}
