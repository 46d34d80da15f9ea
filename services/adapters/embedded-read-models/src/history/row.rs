//! The rows of `history` as bytes. An entry begins with what a head says, so that it can be read as the head it was.

use adapter_embedded::tables::Row as Stored;
use domain::{ProductId, Version};
use read_models::Error;
use read_models::history::{Entry, HistoryEntry, HistoryHead, Row};
use uuid::Uuid;

use crate::bytes::{Reader, Unreadable, Writer, version};

/// A state row.
pub(super) fn head(head: &HistoryHead) -> Writer {
    let mut row = Writer::default();
    row.uuid(head.event_id).time(head.appended_at);
    row
}

/// An event's row.
pub(super) fn entry(entry: &Entry) -> Result<Writer, Unreadable> {
    let Entry { event_id, event, place, meta } = entry;
    let text = entry.event_text().map_err(|error| Unreadable::Json(error.to_string()))?;
    let mut row = Writer::default();
    row.uuid(*event_id).time(place.appended_at);
    row.text(event.type_name()).text(&text);
    // Empty is none, as on servers.
    row.text(meta.actor.as_deref().unwrap_or_default());
    row.text(meta.correlation_id.as_deref().unwrap_or_default());
    row.number(i64::from(place.partition)).number(place.offset);
    row.is_some(meta.command_id.as_ref()).uuid(meta.command_id.unwrap_or_default());
    row.is_some(meta.occurred_at.as_ref()).time(meta.occurred_at.unwrap_or_default());
    // Rows of before end here, and so do those of nearly all events.
    if let Some(principal) = &meta.principal {
        row.text(principal);
    }
    Ok(row)
}

/// The head in a state row or, as it was then, in an event's row.
pub(super) fn read_head(id: &ProductId, row: &Stored) -> Result<HistoryHead, Unreadable> {
    let mut fields = Reader::of(row);
    let (event_id, appended_at) = (fields.uuid()?, fields.time()?);
    Ok(HistoryHead { product: id.clone(), version: version(row), event_id, appended_at })
}

/// An event's row; `head`: see [`Row::head`]; `unreadable`: what it is if it cannot be read.
pub(super) fn read_entry(
    head: Option<Version>,
    row: &Stored,
    unreadable: impl Fn(&Unreadable) -> Error,
) -> Row {
    let version = version(row);
    let (bytes, entry) = match read_texts(row) {
        Ok((texts, entry)) => (Row::size_of(texts), entry),
        Err(problem) => (row.bytes.len(), Err(problem)),
    };
    Row { version, head, bytes, entry: entry.map_err(|problem| unreadable(&problem)) }
}

/// What is made of the entry in an event's row, and of its event as it lies there.
pub(super) fn with_entry<T>(
    row: &Stored,
    make: impl FnOnce(HistoryEntry, &str) -> T,
) -> Result<T, Unreadable> {
    let ([event, ..], entry) = read_texts(row)?;
    Ok(make(entry?, event))
}

/// The texts that make an entry large, and the entry.
type Read<'a> = ([&'a str; 4], Result<HistoryEntry, Unreadable>);

fn read_texts(row: &Stored) -> Result<Read<'_>, Unreadable> {
    let mut fields = Reader::of(row);
    let (event_id, appended_at) = (fields.uuid()?, fields.time()?);
    let (event_type, event) = (fields.text()?, fields.text()?);
    let (actor, correlation_id) = (fields.text()?, fields.text()?);
    let (partition, offset) = (fields.number()? as i32, fields.number()?);
    let command_id: Option<Uuid> = some(fields.is_some()?, fields.uuid()?);
    let occurred_at = some(fields.is_some()?, fields.time()?);
    let principal = if fields.is_at_end() { "" } else { fields.text()? };
    fields.end()?;
    let text = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
    let event_data = serde_json::from_str(event).map_err(|error| Unreadable::Json(error.to_string()));
    let entry = event_data.map(|event| HistoryEntry {
        version: version(row),
        event_id,
        event_type: event_type.to_owned(),
        event,
        actor: text(actor),
        principal: text(principal),
        command_id,
        correlation_id: text(correlation_id),
        partition,
        offset,
        appended_at,
        occurred_at,
    });
    Ok(([event, actor, correlation_id, principal], entry))
}

fn some<T>(is_some: bool, value: T) -> Option<T> {
    is_some.then_some(value)
}
