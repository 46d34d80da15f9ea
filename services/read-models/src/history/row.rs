//! The rows as the table holds them.

use adapter_cql::scylla::value::{CqlTimestamp, MaybeUnset};
use adapter_cql::scylla::{DeserializeRow, SerializeRow};
use contract::json::event_from_data;
use domain::{Event, ProductId, Version};
use uuid::Uuid;

use super::{Entry, EntryKey, HistoryEntry, HistoryHead, Row};
use crate::Error;
use crate::cql_time::{from_cql, to_cql};

/// The state row: the partition's static columns.
#[derive(Debug, SerializeRow)]
#[scylla(crate = adapter_cql::scylla)]
pub(super) struct HeadRow {
    product_id: String,
    head_version: i64,
    head_event_id: Uuid,
    head_appended_at: CqlTimestamp,
}

impl From<&HistoryHead> for HeadRow {
    fn from(head: &HistoryHead) -> Self {
        Self {
            product_id: head.product.to_string(),
            head_version: head.version.get() as i64,
            head_event_id: head.event_id,
            head_appended_at: to_cql(head.appended_at),
        }
    }
}

/// The state row as it is read; all `None` where only rows were written yet.
pub(super) type HeadColumns = (Option<i64>, Option<Uuid>, Option<CqlTimestamp>);

pub(super) fn head(product: &ProductId, columns: HeadColumns) -> Option<HistoryHead> {
    let (Some(version), Some(event_id), Some(appended_at)) = columns else { return None };
    Some(HistoryHead {
        product: product.clone(),
        version: Version(version as u64),
        event_id,
        appended_at: from_cql(appended_at),
    })
}

/// An event's row, as it is written.
#[derive(Debug, SerializeRow)]
#[scylla(crate = adapter_cql::scylla)]
pub(super) struct EntryRow {
    product_id: String,
    version: i64,
    event_id: Uuid,
    event_type: &'static str,
    event: String,
    /// Empty if there is none: a null would be a tombstone.
    actor: String,
    command_id: Option<Uuid>,
    /// Likewise.
    correlation_id: String,
    log_partition: i32,
    log_offset: i64,
    appended_at: CqlTimestamp,
    occurred_at: Option<CqlTimestamp>,
    /// Not written where there is none, as nearly everywhere.
    principal: MaybeUnset<String>,
}

impl EntryRow {
    pub(super) fn new(key: &EntryKey, entry: &Entry) -> serde_json::Result<Self> {
        Ok(Self {
            product_id: key.product.to_string(),
            version: key.version.get() as i64,
            event_id: entry.event_id,
            event_type: entry.event.type_name(),
            event: entry.event_text()?,
            actor: entry.meta.actor.clone().unwrap_or_default(),
            command_id: entry.meta.command_id,
            correlation_id: entry.meta.correlation_id.clone().unwrap_or_default(),
            log_partition: entry.place.partition,
            log_offset: entry.place.offset,
            appended_at: to_cql(entry.place.appended_at),
            occurred_at: entry.meta.occurred_at.map(to_cql),
            principal: entry.meta.principal.clone().map_or(MaybeUnset::Unset, MaybeUnset::Set),
        })
    }
}

/// An event's row, as it is read.
#[derive(Debug, DeserializeRow)]
#[scylla(crate = adapter_cql::scylla)]
pub(super) struct ReadRow {
    /// Null where only the static head was written.
    version: Option<i64>,
    /// The static head: the same in all rows of a product; null before it is written.
    head_version: Option<i64>,
    event_id: Option<Uuid>,
    event_type: Option<String>,
    event: Option<String>,
    actor: Option<String>,
    command_id: Option<Uuid>,
    correlation_id: Option<String>,
    log_partition: Option<i32>,
    log_offset: Option<i64>,
    appended_at: Option<CqlTimestamp>,
    occurred_at: Option<CqlTimestamp>,
    principal: Option<String>,
}

/// The columns that [`ReadRow`] reads.
pub(super) const READ_COLUMNS: &str = "version, head_version, event_id, event_type, event, actor, command_id, correlation_id, \
                                       log_partition, log_offset, appended_at, occurred_at, principal";

impl ReadRow {
    pub(super) fn parse(self, product: &ProductId) -> Row {
        let texts = [&self.event, &self.actor, &self.correlation_id, &self.principal];
        let texts = texts.map(|text| text.as_deref().unwrap_or_default());
        let version = |version: i64| Version(version as u64);
        Row {
            version: version(self.version.unwrap_or_default()),
            head: self.head_version.map(version),
            bytes: Row::size_of(texts),
            entry: self.entry(product),
        }
    }

    fn entry(self, product: &ProductId) -> Result<HistoryEntry, Error> {
        let version = self.version.unwrap_or_default();
        let corrupt = |problem: String| Error::Corrupt {
            table: "history".to_owned(),
            row: format!("{product}/{version}"),
            problem,
        };
        let (Some(event_id), Some(event_type), Some(event), Some(partition), Some(offset), Some(appended_at)) = (
            self.event_id,
            self.event_type,
            self.event,
            self.log_partition,
            self.log_offset,
            self.appended_at,
        ) else {
            return Err(corrupt("a column is null that never is".to_owned()));
        };
        Ok(HistoryEntry {
            version: Version(version as u64),
            event_id,
            event_type,
            event: serde_json::from_str(&event).map_err(|e| corrupt(e.to_string()))?,
            actor: self.actor.filter(|text| !text.is_empty()),
            principal: self.principal.filter(|text| !text.is_empty()),
            command_id: self.command_id,
            correlation_id: self.correlation_id.filter(|text| !text.is_empty()),
            partition,
            offset,
            appended_at: from_cql(appended_at),
            occurred_at: self.occurred_at.map(from_cql),
        })
    }
}

/// The entry's event as a value.
pub(super) fn event(product: &ProductId, entry: &HistoryEntry) -> Result<Event, Error> {
    event_from_data(&entry.event_type, &entry.event.to_string()).map_err(|e| Error::Corrupt {
        table: "history".to_owned(),
        row: format!("{product}/{}", entry.version),
        problem: e.to_string(),
    })
}
