//! How far groups have come with any build of the read model.

use std::collections::BTreeMap;
use std::fmt;

use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::model::{Fold, Opens, Position, Positions, Store};
use read_models::{Error, Generation};
use tokio::sync::Mutex;

/// A position, or that none was ever written.
pub(crate) type Positioned<'a> = BoxFuture<'a, Result<Option<Position>, Error>>;

/// Reads the positions that lie beside the rows of any build.
pub(crate) trait Reached: fmt::Debug + Send + Sync {
    fn position<'a>(&'a self, generation: Generation, group: &'a str, partition: i32) -> Positioned<'a>;
}

/// What a store tells of how far groups have come.
type PositionsOf<A, M> = <<A as Opens<M>>::Store as Store<M>>::Positions;

/// The builds of one read model, each opened when it is asked for; no more of it than its positions, as it may be of another format.
pub(crate) struct OpenBuilds<A: Opens<M>, M: Fold> {
    stores: A,
    opened: Mutex<BTreeMap<Generation, PositionsOf<A, M>>>,
}

impl<A: Opens<M>, M: Fold> OpenBuilds<A, M> {
    pub(crate) fn new(stores: A) -> Self {
        Self { stores, opened: Mutex::default() }
    }

    async fn positions(&self, generation: Generation) -> Result<PositionsOf<A, M>, Error> {
        let mut opened = self.opened.lock().await;
        if let Some(positions) = opened.get(&generation) {
            return Ok(positions.clone());
        }
        let positions = self.stores.positions(generation).await?;
        opened.insert(generation, positions.clone());
        Ok(positions)
    }
}

impl<A: Opens<M>, M: Fold> fmt::Debug for OpenBuilds<A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenBuilds").field("read_model", &M::DECLARED.name).finish_non_exhaustive()
    }
}

impl<A: Opens<M>, M: Fold> Reached for OpenBuilds<A, M> {
    fn position<'a>(&'a self, generation: Generation, group: &'a str, partition: i32) -> Positioned<'a> {
        async move {
            let read = self.positions(generation).await?.read(group, partition).await;
            if read.as_ref().is_err_and(Error::is_missing) {
                // It may be made again.
                self.opened.lock().await.remove(&generation);
            }
            read
        }
        .boxed()
    }
}
