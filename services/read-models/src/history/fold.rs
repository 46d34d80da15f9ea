//! The pure part of `history`.

use contract::json::event_data;
use domain::{Event, FoldError, ProductId, Version};
use jiff::Timestamp;
use uuid::Uuid;

use super::{HISTORY, SCHEMA};
use crate::declared::{Declared, On};
use crate::model::{EffectiveEvent, Fold, Folded, Head, LogPosition, Meta, RowChange, State};

/// The read model `history`.
#[derive(Debug, Clone, Copy)]
pub enum HistoryModel {}

/// The state row: the newest event that the rows hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryHead {
    pub product: ProductId,
    pub version: Version,
    pub event_id: Uuid,
    /// When it was appended; never before the event before it.
    pub appended_at: Timestamp,
}

/// The key of an event's row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryKey {
    pub product: ProductId,
    pub version: Version,
}

/// An event's row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub event_id: Uuid,
    pub event: Event,
    /// `appended_at` is at least that of the event before: brokers' clocks may differ, histories must not run backwards.
    pub place: LogPosition,
    pub meta: Meta,
}

impl Entry {
    /// The event's data as a row holds it: the contract's JSON view.
    pub fn event_text(&self) -> serde_json::Result<String> {
        serde_json::to_string(&event_data(&self.event))
    }
}

impl State for HistoryHead {
    fn product(&self) -> &ProductId {
        &self.product
    }

    fn head(&self) -> Head {
        Head { version: self.version, event_id: self.event_id }
    }

    fn size(&self) -> usize {
        self.product.as_str().len() + 100
    }
}

impl Fold for HistoryModel {
    const DECLARED: &'static Declared =
        &Declared { name: "history", format: 1, tables: &[HISTORY], on: On::Cql(SCHEMA) };
    #[cfg(test)]
    const TOLD_BY: Option<crate::model::ToldBy<Self>> = Some(|key, row| HistoryHead {
        product: key.product.clone(),
        version: key.version,
        event_id: row.event_id,
        appended_at: row.place.appended_at,
    });
    type State = HistoryHead;
    type Key = EntryKey;
    type Row = Entry;
    /// An event, and what it is written as.
    const ROW_BYTES: usize = 3_000;

    /// Every event is kept, whatever it says: history does not judge.
    fn fold(state: Option<HistoryHead>, record: &EffectiveEvent) -> Result<Folded<Self>, FoldError> {
        let expected = state.as_ref().map_or(Version::FIRST, |head| head.version.next());
        if record.version != expected {
            return Err(FoldError::OutOfTurn { expected, actual: record.version });
        }
        let appended_at =
            state.map_or(record.place.appended_at, |head| head.appended_at.max(record.place.appended_at));
        let key = EntryKey { product: record.product.clone(), version: record.version };
        let entry = Entry {
            event_id: record.event_id,
            event: record.event.clone(),
            place: LogPosition { appended_at, ..record.place },
            meta: record.meta.clone(),
        };
        let state = HistoryHead {
            product: record.product.clone(),
            version: record.version,
            event_id: record.event_id,
            appended_at,
        };
        Ok(Folded { state, changes: vec![(key, Some(entry))] })
    }

    /// None: the store gives the state before a record, so that a record that comes again is folded again.
    fn again(_state: &HistoryHead, _record: &EffectiveEvent) -> Vec<RowChange<Self>> {
        Vec::new()
    }
}
