//! Each question's way to wait until its read model shows the write that its consistency token names.

use std::sync::atomic::{AtomicBool, Ordering};

use contract::ConsistencyToken;
use read_models::marks::Mark;
use read_models::{ProductId, ReadModel, StoredProduct, Version, history, products, search};

use super::freshness::{Freshness, Look, Wait};
use super::parked::check_parked;
use super::quota::Place;
use super::reader::{Reader, Served};
use super::{ApiError, Queries};

impl Queries {
    /// The product's row, once it has the version asked for, and whether it was parked just before.
    pub(super) async fn product_reached(
        &self,
        from: &Reader<products::Queries>,
        (id, asked): (&ProductId, Version),
        freshness: &Freshness,
        place: &mut Place,
    ) -> Result<(Option<StoredProduct>, Option<Mark>), ApiError> {
        let read = async || {
            let mark = from.mark(id).await?;
            Ok::<_, ApiError>((from.ask(|q| q.product(id)).await?, mark))
        };
        let Some(mut wait) = wait(freshness, place) else { return read().await };
        let (token, parked) = (wait.token(), Parked::default());
        let look = || async {
            let (found, mark) = read().await?;
            let at = found.as_ref().map_or(Version::NONE, |found| found.product.version);
            parked.check(from, token, mark, at < asked).await?;
            Ok(look_for((found, mark), at, asked))
        };
        self.metrics.waiting(wait.for_row(ReadModel::Products.name(), &from.progress.0, look)).await
    }

    /// Waits until `history` has come to the version asked for of this product. Whether it was parked just before.
    pub(super) async fn history_reached(
        &self,
        from: &Reader<history::Queries>,
        (id, asked): (&ProductId, Version),
        freshness: &Freshness,
        place: &mut Place,
    ) -> Result<Option<Mark>, ApiError> {
        let Some(mut wait) = wait(freshness, place) else { return from.mark(id).await };
        let (token, parked) = (wait.token(), Parked::default());
        let look = || async {
            let mark = from.mark(id).await?;
            let head = from.ask(|q| q.head(id)).await?;
            let at = head.map_or(Version::NONE, |head| head.version);
            parked.check(from, token, mark, at < asked).await?;
            Ok(look_for(mark, at, asked))
        };
        self.metrics.waiting(wait.for_row(ReadModel::History.name(), &from.progress.0, look)).await
    }

    /// Waits until lists of `products` show the token's write: its partition is applied, and its rows are there.
    pub(super) async fn products_reached(
        &self,
        from: &Reader<products::Queries>,
        freshness: &Freshness,
        place: &mut Place,
    ) -> Result<(), ApiError> {
        let Some(mut wait) = wait(freshness, place) else { return Ok(()) };
        let token = wait.token();
        let look = || async {
            let is_there = from.ask(|q| q.is_consistent(&token.product, token.version));
            if is_there.await? {
                return Ok(Look::Reached(()));
            }
            check_parked(ReadModel::Products, token, from.mark_now(&token.product).await?)?;
            Ok(Look::At(None))
        };
        let waited = async {
            wait.for_position(ReadModel::Products.name(), &from.progress.0).await?;
            wait.until_there(ReadModel::Products.name(), look).await?;
            Ok(())
        };
        self.metrics.waiting(waited).await
    }

    /// Waits until `search` shows the token's write.
    pub(super) async fn search_reached(
        &self,
        from: &Reader<search::Queries>,
        freshness: &Freshness,
        place: &mut Place,
    ) -> Result<(), ApiError> {
        let Some(mut wait) = wait(freshness, place) else { return Ok(()) };
        let token = wait.token();
        let version_of = || async {
            let found = from.ask(|q| q.product(&token.product)).await?;
            let at = found.map_or(Version::NONE, |found| found.product.version);
            if at < token.version {
                check_parked(ReadModel::Search, token, from.mark_now(&token.product).await?)?;
            }
            Ok(at)
        };
        let progress = &from.progress;
        let reached = self.metrics.waiting(progress.reached(&mut wait, version_of)).await;
        reached.inspect_err(|error| progress.notice(error))
    }
}

/// Whether what is waited for is parked, looked at with each look at its row.
#[derive(Debug, Default)]
struct Parked {
    /// The position of its partition was reached before the next look.
    is_reached: AtomicBool,
}

impl Parked {
    /// An error, if the row is too old and that is why. Marks are written before positions: once that is reached, what was known of marks
    /// a moment ago does not count.
    async fn check<Q: Served>(
        &self,
        from: &Reader<Q>,
        token: &ConsistencyToken,
        known: Option<Mark>,
        is_too_old: bool,
    ) -> Result<(), ApiError> {
        let is_reached = self.is_reached.swap(true, Ordering::Relaxed);
        if !is_too_old {
            return Ok(());
        }
        let mark = if known.is_none() && is_reached { from.mark_now(&token.product).await? } else { known };
        check_parked(Q::READ_MODEL, token, mark)
    }
}

/// How to wait, if there is a write to wait for.
fn wait<'a>(freshness: &'a Freshness, place: &'a mut Place) -> Option<Wait<'a>> {
    let token = freshness.token.as_ref()?;
    Some(Wait::new(token, freshness.wait, place))
}

/// The version of product `id` that the token asks for; 0 without a token.
pub(super) fn version_of(id: &ProductId, freshness: &Freshness) -> Result<Version, ApiError> {
    match &freshness.token {
        None => Ok(Version(0)),
        Some(token) if token.product == *id => Ok(token.version),
        Some(token) => Err(ApiError::BadConsistencyToken(format!(
            "the consistency token is of product {}, the question of {id}: send the token of a write to {id}, or none",
            token.product
        ))),
    }
}

fn look_for<T>(found: T, at: Version, asked: Version) -> Look<T> {
    if at >= asked { Look::Reached(found) } else { Look::At(Some(at.get())) }
}
