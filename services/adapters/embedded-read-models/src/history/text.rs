//! The rows of `history` as text, with the names and in the form that servers give them: each with the head of its product.

use read_models::history::{HistoryEntry, HistoryHead};
use serde_json::json;

/// An event's row; `event`: as it lies there.
pub(super) fn entry(product: &str, head: Option<&HistoryHead>, entry: &HistoryEntry, event: &str) -> String {
    let row = json!({
        "product_id": product,
        "version": entry.version.get(),
        "head_version": head.map(|head| head.version.get()),
        "head_event_id": head.map(|head| head.event_id),
        "head_appended_at": head.map(|head| head.appended_at.to_string()),
        "event_id": entry.event_id,
        "event_type": entry.event_type,
        "event": event,
        "actor": entry.actor,
        "command_id": entry.command_id,
        "correlation_id": entry.correlation_id,
        "log_partition": entry.partition,
        "log_offset": entry.offset,
        "appended_at": entry.appended_at.to_string(),
        "occurred_at": entry.occurred_at.map(|time| time.to_string()),
        "principal": entry.principal,
    });
    row.to_string()
}
