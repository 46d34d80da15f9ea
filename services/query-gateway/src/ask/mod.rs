//! The questions of the read side, whichever API they come by: wait as the token asks, ask the read model, judge.
//!
//! Promises: never silently stale; a deleted product is gone by id, and its history stays.

mod error;
pub(crate) mod facets;
mod freshness;
mod metrics;
mod stores;

use std::sync::Arc;
use std::time::{Duration, Instant};

use contract::ConsistencyToken;
use read_models::history::{HistoryEntry, Order, Past};
use read_models::products::CategoryItem;
use read_models::search::{SearchRequest, SearchResponse, Suggestion};
use read_models::{
    CategoryPath, Page, PageRequest, ProductId, Status, StoredProduct, Version, group_id, history, products,
    search,
};

use tokio::sync::Semaphore;

pub(crate) use error::{AskError, Fault};
pub(crate) use freshness::Freshness;
pub(crate) use metrics::Metrics;
pub(crate) use stores::Stores;

use crate::config::QueriesConfig;
use error::Unit;
use freshness::{Look, Waited, wait_until};

/// The most products one question can name.
pub(crate) const MOST_IDS: usize = 100;
/// The largest page: asking for more gives this many.
pub(crate) const MOST_ITEMS: u32 = 200;
/// The most completions of one prefix.
pub(crate) const MOST_SUGGESTIONS: u32 = 20;
/// How many there are when nobody says.
const SUGGESTIONS: u32 = 10;

/// Asks the read models. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Questions {
    stores: Stores,
    config: QueriesConfig,
    metrics: Metrics,
    room: Arc<Semaphore>,
}

/// A product among several: there, deleted, or never heard of.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Here(Box<StoredProduct>),
    Gone(ProductId),
    Missing(ProductId),
}

impl Questions {
    pub(crate) fn new(stores: Stores, config: QueriesConfig, metrics: Metrics) -> Self {
        let room = Arc::new(Semaphore::new(config.max_in_flight));
        Self { stores, config, metrics, room }
    }

    /// What a caller asks of freshness. Without a preference the configured wait holds; no wait is longer than the longest.
    pub(crate) fn freshness(
        &self,
        token: Option<&str>,
        wait: Option<Duration>,
    ) -> Result<Freshness, AskError> {
        let token = token.map(ConsistencyToken::decode).transpose().map_err(|error| {
            AskError::BadConsistencyToken(format!("the consistency token cannot be read: {error}"))
        })?;
        let wait = wait.unwrap_or_else(|| self.config.default_wait()).min(self.config.longest_wait());
        Ok(Freshness { token, wait })
    }

    /// A product as it is now.
    pub(crate) async fn product(
        &self,
        id: &ProductId,
        freshness: &Freshness,
    ) -> Result<StoredProduct, AskError> {
        self.counted("product", async {
            let asked = version_of(id, freshness)?;
            let look = || async {
                let found = self.stores.products.ask(|q| q.product(id)).await?;
                let at = found.as_ref().map_or(Version(0), |found| found.product.version);
                Ok(if at >= asked { Look::Reached(found) } else { Look::At(at.get() as i64) })
            };
            let found =
                self.waited(freshness, products::NAME, Unit::Version, asked.get() as i64, look).await?;
            let found = found.ok_or_else(|| AskError::NotFound { product: id.to_string(), version: None })?;
            if found.product.status == Status::Deleted {
                return Err(AskError::Gone { product: id.to_string(), version: found.product.version.get() });
            }
            Ok(found)
        })
        .await
    }

    /// A product as it was, also when it was deleted.
    pub(crate) async fn product_at(
        &self,
        id: &ProductId,
        past: Past,
        freshness: &Freshness,
    ) -> Result<StoredProduct, AskError> {
        self.counted("product_at", async {
            self.history_reached(id, freshness).await?;
            let version = match past {
                Past::Version(version) => Some(version.get()),
                Past::Time(_) => None,
            };
            let found = self.stores.history.ask(|q| q.product_at(id, past)).await?;
            found.ok_or_else(|| AskError::NotFound { product: id.to_string(), version })
        })
        .await
    }

    /// Several products, in the order asked for.
    pub(crate) async fn products(
        &self,
        ids: &[ProductId],
        freshness: &Freshness,
    ) -> Result<Vec<Found>, AskError> {
        self.counted("products", async {
            self.products_position(freshness).await?;
            let found = self.stores.products.ask(|q| q.products(ids)).await?;
            Ok(ids
                .iter()
                .zip(found)
                .map(|(id, found)| match found {
                    None => Found::Missing(id.clone()),
                    Some(found) if found.product.status == Status::Deleted => Found::Gone(id.clone()),
                    Some(found) => Found::Here(Box::new(found)),
                })
                .collect())
        })
        .await
    }

    /// The products of a category.
    pub(crate) async fn category(
        &self,
        category: &CategoryPath,
        page: &PageRequest,
        freshness: &Freshness,
    ) -> Result<Page<CategoryItem>, AskError> {
        self.counted("category", async {
            self.products_position(freshness).await?;
            self.stores.products.ask(|q| q.list_category(category, page)).await
        })
        .await
    }

    /// What happened to a product.
    pub(crate) async fn history(
        &self,
        id: &ProductId,
        order: Order,
        page: &PageRequest,
        freshness: &Freshness,
    ) -> Result<Page<HistoryEntry>, AskError> {
        self.counted("history", async {
            self.history_reached(id, freshness).await?;
            let found = self.stores.history.ask(|q| q.history(id, order, page)).await?;
            if found.items.is_empty() && page.token.is_none() {
                return Err(AskError::NotFound { product: id.to_string(), version: None });
            }
            Ok(found)
        })
        .await
    }

    pub(crate) async fn search(
        &self,
        request: &SearchRequest,
        freshness: &Freshness,
    ) -> Result<SearchResponse, AskError> {
        self.counted("search", async {
            self.search_position(freshness).await?;
            self.stores.search.ask(|q| q.search(request)).await
        })
        .await
    }

    /// Products whose name begins with `prefix`.
    pub(crate) async fn suggest(
        &self,
        prefix: &str,
        size: u32,
        freshness: &Freshness,
    ) -> Result<Vec<Suggestion>, AskError> {
        let size = if size == 0 { SUGGESTIONS } else { size.min(MOST_SUGGESTIONS) };
        self.counted("suggest", async {
            self.search_position(freshness).await?;
            self.stores.search.ask(|q| q.suggest(prefix, size)).await
        })
        .await
    }

    /// Waits until `history` has come to the token's version of this product.
    async fn history_reached(&self, id: &ProductId, freshness: &Freshness) -> Result<(), AskError> {
        let asked = version_of(id, freshness)?;
        if asked == Version(0) {
            return Ok(());
        }
        let look = || async {
            let head = self.stores.history.ask(|q| q.head(id)).await?;
            let at = head.map_or(Version(0), |head| head.version);
            Ok(if at >= asked { Look::Reached(()) } else { Look::At(at.get() as i64) })
        };
        self.waited(freshness, history::NAME, Unit::Version, asked.get() as i64, look).await
    }

    async fn products_position(&self, freshness: &Freshness) -> Result<(), AskError> {
        let Some(token) = &freshness.token else { return Ok(()) };
        let group = group_id(&self.config.group_prefix, products::NAME);
        let look = || async {
            let position = self.stores.products.ask(|q| q.position(&group, token.partition)).await?;
            Ok(if token.is_reached_at(position) { Look::Reached(()) } else { Look::At(position) })
        };
        self.waited(freshness, products::NAME, Unit::Position, token.offset + 1, look).await
    }

    /// Waits until `search` has applied the token's record, and makes what is applied searchable.
    async fn search_position(&self, freshness: &Freshness) -> Result<(), AskError> {
        let Some(token) = &freshness.token else { return Ok(()) };
        let group = group_id(&self.config.group_prefix, search::NAME);
        let look = || async {
            let position = self.stores.search.ask(|q| q.position(&group, token.partition)).await?;
            Ok(if token.is_reached_at(position) { Look::Reached(()) } else { Look::At(position) })
        };
        self.waited(freshness, search::NAME, Unit::Position, token.offset + 1, look).await?;
        self.stores.search.ask(search::Queries::refresh).await
    }

    async fn waited<T, F>(
        &self,
        freshness: &Freshness,
        model: &'static str,
        unit: Unit,
        asked: i64,
        look: impl FnMut() -> F,
    ) -> Result<T, AskError>
    where
        F: Future<Output = Result<Look<T>, AskError>>,
    {
        let started = Instant::now();
        let waited = wait_until(freshness.wait, look).await?;
        if freshness.token.is_some() {
            self.metrics.waited(started);
        }
        match waited {
            Waited::Reached(answer) => Ok(answer),
            Waited::StillAt(at) => Err(AskError::Behind { model, unit, at, asked }),
        }
    }

    async fn counted<T>(
        &self,
        query: &'static str,
        answer: impl Future<Output = Result<T, AskError>>,
    ) -> Result<T, AskError> {
        let started = Instant::now();
        let answer = match self.room.try_acquire() {
            Ok(_place) => answer.await,
            Err(_) => Err(AskError::Overloaded(self.config.max_in_flight)),
        };
        self.metrics.answered(query, started, &answer);
        answer
    }
}

/// The version of product `id` that the token asks for; 0 without a token.
fn version_of(id: &ProductId, freshness: &Freshness) -> Result<Version, AskError> {
    match &freshness.token {
        None => Ok(Version(0)),
        Some(token) if token.product == *id => Ok(token.version),
        Some(token) => Err(AskError::BadConsistencyToken(format!(
            "the consistency token is of product {}, the question of {id}: send the token of a write to {id}, or none",
            token.product
        ))),
    }
}
