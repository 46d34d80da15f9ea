//! Would a product that is parked be applied now? Looks, and changes nothing.
//!
//! Promise: what it decodes, loads and folds is what a redrive does; whether the store takes the rows only a redrive shows.

use std::fmt;
use std::sync::Arc;

use event_reader::{Decoder, SchemaSource, Undecoded};
use futures::FutureExt;
use futures::future::BoxFuture;
use ledger::{Partition, RecordKey};
use read_models::model::{Fold, Opens, Store, Wanted};
use read_models::projection::{Outcome, Projection};
use read_models::{Adapter, Generation, ReadModel, Visitor};
use tokio_util::sync::CancellationToken;
use toolkit::dead_letters::{DeadLetters, Kind, Outline};
use toolkit::retry::Retry;

use crate::partition::record_of;

/// Letters in memory at once.
const TOGETHER: usize = 32;
/// A few states at most are needed.
const STATES: (usize, usize) = (16, 64 << 20);

/// What a redrive of a product would come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trial {
    /// All of its letters can be decoded and folded.
    Succeeds,
    /// This letter would fail.
    Fails { offset: i64, kind: Kind, reason: String },
    /// Its rows do not fit, or it was given up: a redrive builds it again from the log.
    FromLog { reason: String },
}

/// What is asked about one product of a build.
#[derive(Debug)]
pub struct Question<'a> {
    pub generation: Generation,
    pub letters: &'a dyn DeadLetters,
    /// All letters of one product, in order.
    pub outlines: &'a [Outline],
}

/// Tries products of one read model.
pub trait Trials: fmt::Debug + Send + Sync {
    fn would<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, anyhow::Result<Trial>>;
}

/// On these stores.
pub(crate) struct TrialsOf<A, M> {
    stores: A,
    schemas: Arc<dyn SchemaSource>,
    _read_model: std::marker::PhantomData<fn() -> M>,
}

/// What tries products of a read model whose rows lie in `stores`.
pub fn trials<A: Adapter>(
    read_model: ReadModel,
    stores: A,
    schemas: Arc<dyn SchemaSource>,
) -> Arc<dyn Trials> {
    read_model.visit(Making { stores, schemas })
}

struct Making<A> {
    stores: A,
    schemas: Arc<dyn SchemaSource>,
}

impl<A: Adapter> Visitor<A> for Making<A> {
    type Output = Arc<dyn Trials>;

    fn visit<M: Fold>(self) -> Arc<dyn Trials>
    where
        A: Opens<M>,
    {
        Arc::new(TrialsOf::<A, M>::new(self.stores, self.schemas))
    }
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeds => f.write_str("would be applied now"),
            Self::Fails { offset, kind, reason } => write!(f, "would fail at {offset}: {kind}: {reason}"),
            Self::FromLog { reason } => write!(f, "would be built again from the log: {reason}"),
        }
    }
}

impl<A, M: Fold> TrialsOf<A, M> {
    pub(crate) fn new(stores: A, schemas: Arc<dyn SchemaSource>) -> Self {
        Self { stores, schemas, _read_model: std::marker::PhantomData }
    }
}

impl<A, M: Fold> fmt::Debug for TrialsOf<A, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrialsOf").field("read_model", &M::DECLARED.name).finish_non_exhaustive()
    }
}

impl<A: Opens<M>, M: Fold> Trials for TrialsOf<A, M> {
    fn would<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, anyhow::Result<Trial>> {
        async move {
            let Some(first) = question.outlines.first() else { return Ok(Trial::Succeeds) };
            if first.is_discarded {
                return Ok(Trial::FromLog { reason: "it was given up".to_owned() });
            }
            let store = self.stores.open(question.generation).await?;
            // Whoever asks waits for an answer, and not for a registry that is away.
            let soon = CancellationToken::new();
            let retry = Retry::until(soon.clone());
            let _ends = soon.clone().drop_guard();
            tokio::spawn(async move {
                tokio::time::sleep(PATIENCE).await;
                soon.cancel();
            });
            let decoder = Decoder::open(Arc::clone(&self.schemas), &retry).await;
            let decoder = decoder.map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
            tried::<M, _>(&store, &decoder, &retry, question).await
        }
        .boxed()
    }
}

/// How long schemas are waited for.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

async fn tried<M: Fold, S: Store<M>>(
    store: &S,
    decoder: &Decoder,
    retry: &Retry,
    Question { letters, outlines, .. }: Question<'_>,
) -> anyhow::Result<Trial> {
    let mut projection: Projection<M> = Projection::new(STATES.0, STATES.1);
    let mut is_loaded = false;
    for some in outlines.chunks(TOGETHER) {
        let Some(partition) = some.first().map(|it| it.partition) else { continue };
        let offsets = some.iter().map(|it| it.offset).collect();
        for letter in letters.letters(partition, offsets).await? {
            let record = record_of(&letter);
            let fails = |kind, reason| Ok(Trial::Fails { offset: letter.outline.offset, kind, reason });
            let key = match RecordKey::parse(&record.key) {
                Ok(key) => key,
                Err(error) => return fails(Kind::Undecodable, error.to_string()),
            };
            let event = match decoder.decode(Partition(partition), &key, &record, retry).await {
                Ok(event) => event,
                Err(Undecoded::Poison(reason)) => return fails(Kind::Undecodable, reason),
                Err(Undecoded::Cancelled | Undecoded::Unavailable(_)) => {
                    anyhow::bail!("the schema registry does not answer")
                }
            };
            if !std::mem::replace(&mut is_loaded, true) {
                let state = store.load(&[Wanted::from(&event)]).await?.into_iter().flatten().next();
                projection.loaded(event.product.clone(), state);
            }
            match projection.apply(&event) {
                Ok(Outcome::Applied | Outcome::AlreadyApplied) => {}
                Ok(Outcome::Gap { there }) => {
                    let reason = format!("the store holds version {there}, and this is {}", event.version);
                    return Ok(Trial::FromLog { reason });
                }
                Ok(Outcome::Diverged { there }) => {
                    let reason = format!("the store holds version {} of event {there}", event.version);
                    return Ok(Trial::FromLog { reason });
                }
                Err(error) => return fails(Kind::Unfoldable, error.to_string()),
            }
        }
        drop(projection.take_writes());
        projection.begin();
    }
    Ok(Trial::Succeeds)
}
