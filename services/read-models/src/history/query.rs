//! The questions `history` answers: what happened to a product, and what it was at a version or a time.

use domain::{ProductId, Version};
use jiff::Timestamp;
use uuid::Uuid;

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

/// The newest event of a product that `history` knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub version: Version,
    pub event_id: Uuid,
}

/// Which past of a product is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Past {
    Version(Version),
    /// The state after the last event appended at or before this time.
    Time(Timestamp),
}

// pub struct Queries (Clone):
//   async fn open(cql: &Cql) -> Result<Queries, QueryError>
//   async fn head(&self, id: &ProductId) -> Result<Option<Head>, QueryError>
//   async fn history(&self, id: &ProductId, order: Order, page: &PageRequest) -> Result<Page<HistoryEntry>, QueryError>
//   async fn entry(&self, id: &ProductId, version: Version) -> Result<Option<HistoryEntry>, QueryError>
//   async fn product_at(&self, id: &ProductId, past: Past) -> Result<Option<StoredProduct>, QueryError>   (by folding)
//   async fn position(&self, prefix: &str, partition: i32) -> Result<i64, QueryError>
