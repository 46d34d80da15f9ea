//! Each question's way to wait until its read model shows the write that its consistency token names.

use read_models::{ProductId, ReadModel, StoredProduct, Version, history, products, search};

use super::freshness::{Freshness, Look, Wait};
use super::quota::Place;
use super::reader::Reader;
use super::{ApiError, Queries};

impl Queries {
    /// The product's row, once it has the version asked for.
    pub(super) async fn product_reached(
        &self,
        from: &Reader<products::Queries>,
        (id, asked): (&ProductId, Version),
        freshness: &Freshness,
        place: &mut Place,
    ) -> Result<Option<StoredProduct>, ApiError> {
        let Some(mut wait) = wait(freshness, place) else {
            return from.ask(|q| q.product(id)).await;
        };
        let look = || async {
            let found = from.ask(|q| q.product(id)).await?;
            let at = found.as_ref().map_or(Version::NONE, |found| found.product.version);
            Ok(look_for(found, at, asked))
        };
        self.metrics.waiting(wait.for_row(ReadModel::Products.name(), &from.progress.0, look)).await
    }

    /// Waits until `history` has come to the version asked for of this product.
    pub(super) async fn history_reached(
        &self,
        from: &Reader<history::Queries>,
        (id, asked): (&ProductId, Version),
        freshness: &Freshness,
        place: &mut Place,
    ) -> Result<(), ApiError> {
        let Some(mut wait) = wait(freshness, place) else { return Ok(()) };
        let look = || async {
            let head = from.ask(|q| q.head(id)).await?;
            Ok(look_for((), head.map_or(Version::NONE, |head| head.version), asked))
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
            Ok(if is_there.await? { Look::Reached(()) } else { Look::At(None) })
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
            Ok(found.map_or(Version::NONE, |found| found.product.version))
        };
        let progress = &from.progress;
        let reached = self.metrics.waiting(progress.reached(&mut wait, version_of)).await;
        reached.inspect_err(|error| progress.notice(error))
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
