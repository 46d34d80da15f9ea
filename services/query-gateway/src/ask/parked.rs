//! What is parked in a build, as its questions are told.
//!
//! Promises: where nothing is parked nothing is asked but whether anything is, once a second at most and once for all who ask; a product's
//! mark is looked at before its rows, so that rows which lack events are never taken for whole ones because they were redriven meanwhile;
//! lists and searches are answered whether or not it can be told how much is parked, and say so if not.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use contract::ConsistencyToken;
use futures::FutureExt;
use jiff::Timestamp;
use read_models::marks::Mark;
use read_models::{ProductId, ReadModel};
use tokio::time::timeout;

use super::ApiError;
use super::flight::Flights;
use super::reader::{Build, Reader, Served};

/// How long it is believed how many products are parked, from the moment of the question.
const BELIEVED: Duration = Duration::from_secs(1);
/// How long a list or a search waits for that.
const PATIENCE: Duration = Duration::from_millis(500);

/// What was read of a product, and whether events of it are missing there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Read<T> {
    pub(crate) found: T,
    /// Later events of it are parked.
    pub(crate) stale: Option<Mark>,
}

/// What was found among many products.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed<T> {
    pub(crate) found: T,
    /// So many products are parked in the build that answered, up to [`read_models::marks::MAX_COUNTED`]; `None`: it could not be told.
    pub(crate) parked: Option<u64>,
}

/// How many products are parked in a build, as of a moment ago. Cheap to clone.
#[derive(Clone)]
pub(super) struct ParkedCount {
    flights: Flights<Result<u64, ApiError>>,
    /// And until when that is believed; or that it could not be told, so that not each question waits to be told the same.
    known: Known,
}

type Known = Arc<Mutex<Option<(Result<u64, ApiError>, Instant)>>>;

impl fmt::Debug for ParkedCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParkedCount").field("known", &self.known).finish_non_exhaustive()
    }
}

impl ParkedCount {
    /// Must be called on the runtime of the process.
    pub(super) fn of<Q: Served>(build: &Build<Q>) -> Self {
        let (build, known) = (build.clone(), Known::default());
        let told = Arc::clone(&known);
        let flights = Flights::new(move || {
            let (build, known) = (build.clone(), Arc::clone(&told));
            async move {
                let asked = Instant::now();
                let count = build.count_parked().await;
                let from = match &count {
                    Ok(_) => asked,
                    Err(error) => {
                        let read_model = Q::READ_MODEL.name();
                        tracing::warn!(%error, read_model, "it cannot be told how many products are parked");
                        Instant::now()
                    }
                };
                *known.lock().unwrap_or_else(PoisonError::into_inner) =
                    Some((count.clone(), from + BELIEVED));
                count
            }
            .boxed()
        });
        Self { flights, known }
    }

    async fn now(&self) -> Result<u64, ApiError> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((count, until)) = known
            && Instant::now() < until
        {
            return count;
        }
        let crashed = || ApiError::Internal("asking how much is parked crashed".to_owned());
        self.flights.join().await.ok_or_else(crashed)?
    }
}

impl<Q: Served> Build<Q> {
    async fn count_parked(&self) -> Result<u64, ApiError> {
        self.of_marks(self.queries.marks().count(&self.group), || 0).await
    }

    /// As they are now.
    async fn marks_now(&self, ids: &[ProductId]) -> Result<Vec<Option<Mark>>, ApiError> {
        self.of_marks(self.queries.marks().of_products(&self.group, ids), || vec![None; ids.len()]).await
    }

    async fn of_marks<T>(
        &self,
        asked: impl Future<Output = Result<T, read_models::Error>>,
        none: impl FnOnce() -> T,
    ) -> Result<T, ApiError> {
        match timeout(self.limit, asked).await {
            Ok(Ok(told)) => Ok(told),
            // A build of a release that marks nothing; or one that is dropped, which its rows tell.
            Ok(Err(error)) if error.is_missing() => Ok(none()),
            Ok(Err(error)) => Err(ApiError::of_query(self.store, error.into())),
            Err(_) => Err(ApiError::late(self.store, self.limit)),
        }
    }
}

impl<Q: Served> Reader<Q> {
    /// How many products are parked, as of a moment ago; `None`: that cannot be told soon.
    pub(super) async fn parked(&self) -> Option<u64> {
        timeout(PATIENCE, self.parked.now()).await.ok()?.ok()
    }

    /// The mark of a product, if there are any.
    pub(super) async fn mark(&self, id: &ProductId) -> Result<Option<Mark>, ApiError> {
        if self.is_nothing_parked().await { Ok(None) } else { self.mark_now(id).await }
    }

    /// The mark of a product, whatever was known a moment ago.
    pub(super) async fn mark_now(&self, id: &ProductId) -> Result<Option<Mark>, ApiError> {
        Ok(self.marks_now(std::slice::from_ref(id)).await?.pop().flatten())
    }

    /// The marks of products, if there are any; none at all if not.
    pub(super) async fn marks(&self, ids: &[ProductId]) -> Result<Vec<Option<Mark>>, ApiError> {
        if self.is_nothing_parked().await { Ok(Vec::new()) } else { self.marks_now(ids).await }
    }

    /// Where it cannot be told how much is parked, as after very many marks were removed, each product's mark is asked for.
    async fn is_nothing_parked(&self) -> bool {
        self.parked().await == Some(0)
    }
}

/// An error, if the token's write is parked: no wait ends with it.
pub(super) fn check_parked(
    read_model: ReadModel,
    token: &ConsistencyToken,
    mark: Option<Mark>,
) -> Result<(), ApiError> {
    match mark {
        // What is before it was lost, and comes again by itself.
        Some(mark) if mark.first_offset <= token.offset => {
            Err(parked_error(read_model, &token.product, mark))
        }
        Some(_) | None => Ok(()),
    }
}

/// What is answered of a product that is not there, or not any more. Of one that is parked that is not known.
pub(super) fn none_of(read_model: ReadModel, id: &ProductId, mark: Option<Mark>, none: ApiError) -> ApiError {
    mark.map_or(none, |mark| parked_error(read_model, id, mark))
}

fn parked_error(read_model: ReadModel, id: &ProductId, mark: Mark) -> ApiError {
    ApiError::Parked { model: read_model.name(), product: id.to_string(), mark }
}

/// Since when a product is parked.
pub(crate) fn since(mark: &Mark) -> Timestamp {
    Timestamp::from_millisecond(mark.since_ms).unwrap_or_default()
}
