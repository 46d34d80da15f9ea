//! The questions of the read side, whichever API they come by: wait as the token asks, ask the read model, judge.
//!
//! Promises: never silently stale; a deleted product is gone by id, and its history stays; of a product that is parked it is never said that
//! it is not there.

mod batch;
mod error;
pub(crate) mod facets;
mod faults;
mod flight;
mod freshness;
mod handle;
pub(crate) mod limits;
mod metrics;
mod moment;
mod named;
mod other_log;
mod others;
mod pages;
mod parked;
mod progress;
mod quota;
mod reached;
mod reader;
mod stores;
mod terms;
mod watcher;

use std::time::{Duration, Instant};

use contract::ConsistencyToken;
use read_models::history::{Order, Past};
use read_models::products::CategoryItem;
use read_models::search::{SearchRequest, SearchResponse, SuggestRequest, Suggestion};
use read_models::{
    CategoryPath, Page, PageRequest, ProductId, QueryError, ReadModel, Status, StoredProduct, Version,
};

pub(crate) use batch::{Batch, Found};
pub(crate) use error::ApiError;
pub(crate) use faults::{Fault, Faults};
pub(crate) use freshness::Freshness;
pub use handle::{Pace, ReadModelHandle};
pub(crate) use metrics::Metrics;
pub(crate) use moment::Moment;
pub(crate) use named::NamedEntry;
pub(crate) use parked::{Listed, Read, since};
pub use stores::Stores;
pub(crate) use terms::{Answer, Named, Terms};

use toolkit::telemetry::{TRACES_ONLY, is_traced};
use tracing::{Instrument, Span};

use crate::config::QueriesConfig;
use limits::MAX_SUGGESTIONS;
use parked::none_of;
use quota::{Place, Quotas};
use reached::version_of;
use reader::{Reader, Served};

/// How many completions there are when nobody says.
const SUGGESTIONS: u32 = 10;

/// Asks the read models. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Queries {
    stores: Stores,
    config: QueriesConfig,
    metrics: Metrics,
    quotas: Quotas,
}

impl Queries {
    pub(crate) fn new(stores: Stores, config: QueriesConfig, metrics: Metrics) -> Self {
        let quotas = Quotas::new(&config);
        Self { stores, config, metrics, quotas }
    }

    /// What a caller asks of freshness. Without a preference the configured wait holds; no wait is longer than the longest.
    pub(crate) fn freshness(
        &self,
        token: Option<&str>,
        wait: Option<Duration>,
    ) -> Result<Freshness, ApiError> {
        let token = token.map(ConsistencyToken::decode).transpose().map_err(|error| {
            ApiError::BadConsistencyToken(format!("the consistency token cannot be read: {error}"))
        })?;
        let wait = wait.unwrap_or_else(|| self.config.default_wait()).min(self.config.max_wait());
        Ok(Freshness { token, wait })
    }

    /// A product as it is now.
    pub(crate) async fn product(
        &self,
        id: &ProductId,
        terms: &Terms,
    ) -> Result<Answer<Read<StoredProduct>>, ApiError> {
        self.counted(("product", terms), async |place| {
            let asked = version_of(id, &terms.freshness)?;
            let question = async |from: &Reader<_>| {
                let (found, stale) = self.product_reached(from, (id, asked), &terms.freshness, place).await?;
                let product = id.to_string();
                let none = match found {
                    Some(found) if found.product.status != Status::Deleted => {
                        return Ok(Read { found, stale });
                    }
                    Some(gone) => ApiError::Gone { product, version: gone.product.version.get() },
                    None => ApiError::NotFound { product, version: None },
                };
                Err(none_of(ReadModel::Products, id, stale, none))
            };
            self.stores.products.ask(terms, question).await
        })
        .await
    }

    /// A product as it was, also when it was deleted.
    pub(crate) async fn product_at(
        &self,
        id: &ProductId,
        past: Past,
        terms: &Terms,
    ) -> Result<Answer<Read<StoredProduct>>, ApiError> {
        self.counted(("product_at", terms), async |place| {
            let asked = version_of(id, &terms.freshness)?;
            let question = async |from: &Reader<_>| {
                let mark = self.history_reached(from, (id, asked), &terms.freshness, place).await?;
                let head = match mark {
                    None => Version::NONE,
                    Some(_) => from.ask(|q| q.head(id)).await?.map_or(Version::NONE, |head| head.version),
                };
                let found = from.ask(|q| q.product_at(id, past)).await?;
                // Up to the head all is there: what was then was so, whatever is parked.
                let (version, is_beyond) = match past {
                    Past::Version(version) => (Some(version.get()), found.is_none() && version > head),
                    Past::Time(_) => {
                        (None, found.as_ref().map_or(Version::NONE, |it| it.product.version) == head)
                    }
                };
                let stale = mark.filter(|_| is_beyond);
                let none = ApiError::NotFound { product: id.to_string(), version };
                found
                    .map(|found| Read { found, stale })
                    .ok_or_else(|| none_of(ReadModel::History, id, stale, none))
            };
            self.stores.history.ask(terms, question).await
        })
        .await
    }

    /// Several products, in the order asked for, as many as an answer has room for.
    pub(crate) async fn products(
        &self,
        ids: &[ProductId],
        terms: &Terms,
    ) -> Result<Answer<Listed<Batch>>, ApiError> {
        self.counted(("products", terms), async |place| {
            let question = async |from: &Reader<_>| {
                self.products_reached(from, &terms.freshness, place).await?;
                let (parked, marks) = (self.parked(from).await, from.marks(ids).await?);
                let found = Batch::read(ids, |ids| from.ask(move |q| q.products(ids))).await?;
                Ok(Listed { found: found.marked(marks), parked })
            };
            self.stores.products.ask(terms, question).await
        })
        .await
    }

    /// The products of a category that have one of these statuses; none: all but deleted ones.
    pub(crate) async fn category(
        &self,
        category: &CategoryPath,
        statuses: &[Status],
        page: &PageRequest,
        terms: &Terms,
    ) -> Result<Answer<Listed<Page<CategoryItem>>>, ApiError> {
        page.check().map_err(of_the_request)?;
        self.counted(("category", terms), async |place| {
            let question = async |from: &Reader<_>| {
                self.products_reached(from, &terms.freshness, place).await?;
                let parked = self.parked(from).await;
                let found = from.ask(|q| q.list_category(category, statuses, page)).await?;
                Ok(Listed { found, parked })
            };
            self.stores.products.ask(terms, question).await
        })
        .await
    }

    /// What happened to a product.
    pub(crate) async fn history(
        &self,
        id: &ProductId,
        order: Order,
        page: &PageRequest,
        terms: &Terms,
    ) -> Result<Answer<Read<Page<NamedEntry>>>, ApiError> {
        page.check().map_err(of_the_request)?;
        self.counted(("history", terms), async |place| {
            let asked = version_of(id, &terms.freshness)?;
            let question = async |from: &Reader<_>| {
                let stale = self.history_reached(from, (id, asked), &terms.freshness, place).await?;
                let found = from.ask(|q| q.history(id, order, page)).await?;
                if found.items.is_empty() && page.token.is_none() {
                    let none = ApiError::NotFound { product: id.to_string(), version: None };
                    return Err(none_of(ReadModel::History, id, stale, none));
                }
                Ok(Read { found, stale })
            };
            let answer = self.stores.history.ask(terms, question).await?;
            named::named(&self.stores.persons, answer).await
        })
        .await
    }

    pub(crate) async fn search(
        &self,
        mut request: SearchRequest,
        terms: &Terms,
    ) -> Result<Answer<Listed<SearchResponse>>, ApiError> {
        let came_from = pages::unbound(&mut request.page);
        request.check().map_err(of_the_request)?;
        let request = &request;
        self.counted(("search", terms), async |place| {
            let question = async |from: &Reader<_>| {
                let build = terms.build.as_ref().map(|_| from.generation);
                pages::goes_on(&request.page, came_from, build)?;
                self.search_reached(from, &terms.freshness, place).await?;
                let parked = self.parked(from).await;
                let found = from.ask(|q| q.search(request)).await;
                let mut found = found.inspect_err(|error| from.progress.notice(error))?;
                if let (Some(next), Some(build)) = (&mut found.next, build) {
                    *next = pages::bound(next, build);
                }
                Ok(Listed { found, parked })
            };
            self.stores.search.ask(terms, question).await
        })
        .await
    }

    /// Products whose name or SKU begins so.
    pub(crate) async fn suggest(
        &self,
        mut request: SuggestRequest,
        terms: &Terms,
    ) -> Result<Answer<Listed<Vec<Suggestion>>>, ApiError> {
        request.size = if request.size == 0 { SUGGESTIONS } else { request.size.min(MAX_SUGGESTIONS) };
        let request = &request;
        self.counted(("suggest", terms), async |place| {
            let question = async |from: &Reader<_>| {
                self.search_reached(from, &terms.freshness, place).await?;
                let parked = self.parked(from).await;
                let found = from.ask(|q| q.suggest(request)).await;
                let found = found.inspect_err(|error| from.progress.notice(error))?;
                Ok(Listed { found, parked })
            };
            self.stores.search.ask(terms, question).await
        })
        .await
    }

    /// How many products are parked. That it cannot be told is no reason not to answer: what was found is what is there.
    async fn parked<Q: Served>(&self, from: &Reader<Q>) -> Option<u64> {
        let parked = from.parked().await;
        if parked.is_none() {
            self.metrics.uncounted(Q::READ_MODEL);
        }
        parked
    }

    async fn counted<T>(
        &self,
        (query, terms): (&'static str, &Terms),
        answer: impl AsyncFnOnce(&mut Place) -> Result<T, ApiError>,
    ) -> Result<T, ApiError> {
        let (started, span) = (Instant::now(), span_of(query));
        let answer = match self.quotas.enter(&terms.account) {
            Ok(mut place) => answer(&mut place).instrument(span.clone()).await,
            Err(full) => Err(full),
        };
        if !span.is_disabled() {
            let outcome = answer.as_ref().map_or_else(|error| error.code().name(), |_| "answered");
            span.record("folio.outcome", outcome);
        }
        self.metrics.answered(query, started, &answer);
        if let Err(error) = &answer {
            self.stores.other_logs.notice(error);
        }
        answer
    }
}

/// Of a question that is sampled.
fn span_of(query: &'static str) -> Span {
    if !is_traced() {
        return Span::none();
    }
    tracing::info_span!(
        target: TRACES_ONLY,
        "query",
        otel.name = query,
        folio.query = query,
        folio.outcome = tracing::field::Empty
    )
}

/// What a read model finds wrong with a question before any store is asked.
fn of_the_request(error: QueryError) -> ApiError {
    ApiError::of_query("request", error)
}
