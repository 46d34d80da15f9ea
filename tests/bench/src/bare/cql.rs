//! Rows of tables.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use read_models::declared::Holds;
use read_models::model::{Fold, Opens, State as _, Store as _, Writes};
use read_models::{Generation, ProductId, Servers};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use toolkit::retry::Retry;

use super::Bare;
use super::fold::fold;
use crate::read_side::Events;

/// Products whose rows are handed over together: enough that what goes to one partition of the store travels in full batches.
const TOGETHER: usize = 5_000;

/// The rows of a read model, some products' at a time.
pub(super) struct Rows<M: Fold> {
    parts: Vec<Writes<M>>,
    rows: u64,
}

impl<M: Fold> Rows<M> {
    pub(super) fn of(events: &Events) -> anyhow::Result<Self> {
        let mut parts = Vec::new();
        for partition in events {
            fold::<M>(partition, usize::MAX, |writes| parts.extend(cut(writes)))?;
        }
        // A state is a row of its own if the first table has one for each product; else columns of the rows.
        let are_rows = M::DECLARED.tables.iter().any(|table| table.holds == Holds::Products);
        let count = |part: &Writes<M>| {
            let rows = part.rows.iter().filter(|change| change.row.is_some()).count();
            rows + if are_rows { part.states.len() } else { 0 }
        };
        let rows = parts.iter().map(count).sum::<usize>() as u64;
        Ok(Self { parts, rows })
    }
}

/// Each product's rows and state stay together.
fn cut<M: Fold>(writes: Writes<M>) -> Vec<Writes<M>> {
    let (mut parts, mut of): (Vec<Writes<M>>, HashMap<ProductId, usize>) = Default::default();
    for (number, state) in writes.states.into_iter().enumerate() {
        let part = number / TOGETHER;
        if part == parts.len() {
            parts.push(Writes { rows: Vec::new(), states: Vec::new() });
        }
        of.insert(state.product().clone(), part);
        parts[part].states.push(state);
    }
    for change in writes.rows {
        // Whatever has a changed row has a changed state.
        if let Some(part) = of.get(&change.product) {
            parts[*part].rows.push(change);
        }
    }
    parts
}

impl<M: Fold> Bare for Rows<M>
where
    Servers: Opens<M>,
{
    fn rows(&self) -> u64 {
        self.rows
    }

    fn write<'a>(
        &'a self,
        stores: &'a Servers,
        generation: Generation,
        hands: usize,
    ) -> BoxFuture<'a, anyhow::Result<Duration>> {
        async move {
            let store = Opens::<M>::open(stores, generation).await?;
            let copy = |part: &Writes<M>| Writes { rows: part.rows.clone(), states: part.states.clone() };
            let parts: Vec<Writes<M>> = self.parts.iter().map(copy).collect();
            let parts = Arc::new(Mutex::new(parts));
            let next = move || parts.lock().unwrap_or_else(PoisonError::into_inner).pop();
            let (mut writing, begun) = (JoinSet::new(), Instant::now());
            for _ in 0..hands {
                let (store, next) = (store.clone(), next.clone());
                writing.spawn(async move {
                    let retry = Retry::until(CancellationToken::new());
                    while let Some(part) = next() {
                        store.write(part, &retry).await.map_err(|error| anyhow!("{error}"))?;
                    }
                    anyhow::Ok(())
                });
            }
            while let Some(written) = writing.join_next().await {
                written??;
            }
            Ok(begun.elapsed())
        }
        .boxed()
    }
}
