//! What answers look like in protobuf.

use contract::proto::catalog::v1;
use contract::{json, proto};
use jiff::Timestamp;
use prost_types::Timestamp as ProtoTimestamp;
use read_models::StoredProduct;
use read_models::marks::Mark;
use read_models::products::CategoryItem;
use read_models::search::{FacetCounts, Hit, Matched, SearchResponse, Suggestion};

use crate::ask::{ApiError, Listed, NamedEntry, since};

pub(super) fn time(time: Timestamp) -> ProtoTimestamp {
    ProtoTimestamp { seconds: time.as_second(), nanos: time.subsec_nanosecond() }
}

pub(super) fn stored_product(stored: &StoredProduct) -> v1::StoredProduct {
    v1::StoredProduct {
        product: Some((&stored.product).into()),
        event_id: stored.event_id.to_string(),
        updated_at: Some(time(stored.updated_at)),
    }
}

/// Says that later events of a product are parked.
pub(super) fn stale(mark: Mark) -> v1::Stale {
    v1::Stale {
        since: Some(time(since(&mark))),
        kind: mark.kind.name().to_owned(),
        is_discarded: mark.is_discarded,
    }
}

pub(super) fn category_item(item: &CategoryItem) -> v1::CategoryItem {
    v1::CategoryItem {
        product_id: item.product_id.to_string(),
        sku: item.sku.to_string(),
        name: item.name.to_string(),
        brand: item.brand.to_string(),
        price: Some(item.price.into()),
        status: proto::status(item.status).into(),
        version: item.version.get(),
        event_id: item.event_id.to_string(),
        updated_at: Some(time(item.updated_at)),
    }
}

/// An error if the stored event is not one this build knows.
pub(super) fn history_entry(
    NamedEntry { entry, actor_erased }: NamedEntry,
) -> Result<v1::HistoryEntry, ApiError> {
    let event = json::event_from_data(&entry.event_type, &entry.event.to_string()).map_err(|error| {
        ApiError::Internal(format!("cannot read the stored {} {}: {error}", entry.event_type, entry.event_id))
    })?;
    Ok(v1::HistoryEntry {
        version: entry.version.get(),
        event_id: entry.event_id.to_string(),
        event: Some((&event).into()),
        appended_at: Some(time(entry.appended_at)),
        occurred_at: entry.occurred_at.map(time),
        actor: entry.actor.unwrap_or_default(),
        principal: entry.principal.unwrap_or_default(),
        command_id: entry.command_id.map(|id| id.to_string()).unwrap_or_default(),
        correlation_id: entry.correlation_id.unwrap_or_default(),
        partition: entry.partition,
        offset: entry.offset,
        actor_erased,
    })
}

pub(super) fn found(Listed { found, parked }: Listed<SearchResponse>) -> v1::SearchResponse {
    let hit = |hit: &Hit| v1::Hit { found: Some(stored_product(&hit.found)), score: hit.score };
    v1::SearchResponse {
        hits: found.hits.iter().map(hit).collect(),
        total: found.total,
        facets: found.facets.into_iter().map(facet).collect(),
        next_page_token: found.next.unwrap_or_default(),
        matched: match found.matched {
            Matched::Exact => v1::Matched::Exact,
            Matched::Similar => v1::Matched::Similar,
        }
        .into(),
        parked: parked.unwrap_or_default(),
        parked_unknown: parked.is_none(),
    }
}

fn facet(counts: FacetCounts) -> v1::FacetCounts {
    let buckets = counts.buckets.into_iter().map(|bucket| v1::Bucket {
        value: bucket.value,
        count: bucket.count,
        from: bucket.from,
        to: bucket.to,
    });
    v1::FacetCounts {
        field: counts.facet,
        buckets: buckets.collect(),
        other_values: counts.other_values,
        other_count: counts.other_count,
    }
}

pub(super) fn suggestion(suggestion: Suggestion) -> v1::Suggestion {
    v1::Suggestion {
        product_id: suggestion.product_id.to_string(),
        name: suggestion.name,
        category: suggestion.category.to_string(),
        sku: suggestion.sku,
        status: proto::status(suggestion.status).into(),
    }
}
