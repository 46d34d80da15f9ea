//! The questions `history` answers: what happened to a product, and what it was at a version or a time; and the rows they ask
//! for.
//!
//! Promise: versions have no gaps, and neither has an answer: where rows are missing that once were there, it is an error.

use std::fmt::Debug;
use std::sync::Arc;

use domain::{ProductId, Version};
use jiff::Timestamp;
use uuid::Uuid;

use super::row::event;
use super::stretch::Stretch;
use crate::marks::Marks;
use crate::model::{EffectiveEvent, Head, LogPosition, Meta, Position};
use crate::page::{self, Page, PageRequest};
use crate::{Answer, Asked, Error, QueryError, ReadModel, StoredProduct};

/// One event of a product's history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    pub version: Version,
    pub event_id: Uuid,
    /// `ProductCreated`, `PriceChanged`, ...
    pub event_type: String,
    /// The event's data as the contract's JSON view shows it.
    pub event: serde_json::Value,
    pub actor: Option<String>,
    /// Who gave the command, if that was on behalf of the actor.
    pub principal: Option<String>,
    pub command_id: Option<Uuid>,
    pub correlation_id: Option<String>,
    pub partition: i32,
    pub offset: i64,
    /// The broker's append time.
    pub appended_at: Timestamp,
    /// `ce_time`: the writer's clock, information only.
    pub occurred_at: Option<Timestamp>,
}

/// The order of a history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Order {
    #[default]
    NewestFirst,
    OldestFirst,
}

/// Which past of a product is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    Version(Version),
    /// The state after the last event appended at or before this time.
    Time(Timestamp),
}

/// The rows of `history`, wherever they lie.
pub trait Rows: Debug + Send + Sync {
    /// The newest event that all rows up to are written of.
    fn head<'a>(&'a self, id: &'a ProductId) -> Answer<'a, Option<Head>>;

    /// Up to `limit` rows behind version `after`, or from the beginning.
    fn entries<'a>(
        &'a self,
        id: &'a ProductId,
        order: Order,
        after: Option<Version>,
        limit: usize,
    ) -> Answer<'a, Vec<Row>>;

    /// See [`Asked::position`].
    fn position<'a>(&'a self, group: &'a str, partition: i32) -> Answer<'a, Position>;

    /// See [`Asked::marks`].
    fn marks(&self) -> &dyn Marks;
}

/// A row of an event.
#[derive(Debug)]
pub struct Row {
    pub version: Version,
    /// The product's head as the store had it with this row; none before it is written.
    pub head: Option<Version>,
    /// About how many bytes the entry takes in an answer.
    pub bytes: usize,
    /// What the row says: of interest only where it is answered.
    pub entry: Result<HistoryEntry, Error>,
}

impl Row {
    /// About how many bytes an entry with these texts (event, actor, correlation id, principal) takes in an answer.
    pub fn size_of(texts: [&str; 4]) -> usize {
        400 + texts.map(str::len).iter().sum::<usize>()
    }
}

/// Asks `history`. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Queries {
    pub(super) rows: Arc<dyn Rows>,
}

/// Events read at once at most while a past is folded.
const FOLD_PAGE: usize = 200;

impl Queries {
    pub fn new(rows: impl Rows + 'static) -> Self {
        Self { rows: Arc::new(rows) }
    }

    /// The newest event that `history` holds of the product.
    pub async fn head(&self, id: &ProductId) -> Result<Option<Head>, QueryError> {
        self.rows.head(id).await
    }

    /// What happened to the product. A page ends early where events are large.
    pub async fn history(
        &self,
        id: &ProductId,
        order: Order,
        page: &PageRequest,
    ) -> Result<Page<HistoryEntry>, QueryError> {
        let question = format!("history of {id}, {order:?}");
        let after = page.token.as_ref().map(|token| page::decode::<u64>(&question, token)).transpose()?;
        let Stretch { items, more } =
            self.stretch(id, order, after.map(Version), page.effective_size()).await?;
        let next = match items.last() {
            Some(last) if more => Some(page::encode(&question, last.version.get())?),
            _ => None,
        };
        Ok(Page { items, next })
    }

    /// The product as it was, by folding its events; also when it was deleted then. `None`: it was not there yet, or the
    /// version is not there (yet): compare with [`Self::head`].
    pub async fn product_at(&self, id: &ProductId, past: Past) -> Result<Option<StoredProduct>, QueryError> {
        let mut state: Option<StoredProduct> = None;
        loop {
            let after = state.as_ref().map(|s| s.product.version);
            let wanted = match past {
                // Not further than is asked for: what is missing behind it does not matter.
                Past::Version(version) => version.get() - after.map_or(0, Version::get),
                Past::Time(_) => u64::MAX,
            };
            let limit = FOLD_PAGE.min(usize::try_from(wanted).unwrap_or(FOLD_PAGE));
            let Stretch { items, more } = self.stretch(id, Order::OldestFirst, after, limit).await?;
            for entry in &items {
                let beyond = match past {
                    Past::Version(version) => entry.version > version,
                    Past::Time(time) => entry.appended_at > time,
                };
                if beyond {
                    return Ok(state);
                }
                state = Some(fold_entry(id, state, entry)?);
            }
            let reached = state.as_ref().map(|s| s.product.version);
            if !more || past == Past::Version(reached.unwrap_or(Version::NONE)) {
                return Ok(match past {
                    Past::Version(version) if reached != Some(version) => None,
                    Past::Version(_) | Past::Time(_) => state,
                });
            }
        }
    }
}

impl Asked for Queries {
    const READ_MODEL: ReadModel = ReadModel::History;

    fn position<'a>(&'a self, group: &'a str, partition: i32) -> Answer<'a, Position> {
        self.rows.position(group, partition)
    }

    fn marks(&self) -> &dyn Marks {
        self.rows.marks()
    }
}

fn fold_entry(
    id: &ProductId,
    state: Option<StoredProduct>,
    entry: &HistoryEntry,
) -> Result<StoredProduct, QueryError> {
    let record = EffectiveEvent {
        product: id.clone(),
        version: entry.version,
        event_id: entry.event_id,
        event: event(id, entry)?,
        place: LogPosition {
            partition: entry.partition,
            offset: entry.offset,
            appended_at: entry.appended_at,
        },
        meta: Meta::default(),
    };
    StoredProduct::fold(state, &record).map_err(|e| {
        QueryError::Internal(format!("folding history of {id} at version {}: {e}", entry.version))
    })
}
