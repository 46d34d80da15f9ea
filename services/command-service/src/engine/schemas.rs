//! Schema ids: those the registry gave to the schemas of this build, and those met in the log and asked for since.
//!
//! Promises: a record is called unreadable only when the registry has said so; until it answers, that partition waits
//! and the others go on. At most [`MOST_LEARNED`] ids are asked for: more than that is no rollout but a broken writer.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use contract::avro::{KnownSchema, SchemaError, SchemaIds};
use futures::future::BoxFuture;
use tokio::sync::mpsc;
use toolkit::lifecycle::Dependency;
use toolkit::retry::{GaveUp, Retry, Transient};

use super::Engine;

const MOST_LEARNED: usize = 1_000;
/// Ids that may wait to be asked for; who finds no room asks again at the next tick.
const QUESTIONS: usize = 64;

/// Where schemas come from: the registry, or a fixed table for logs that have none.
pub trait SchemaSource: Send + Sync + 'static {
    /// The ids of this build's schemas.
    fn ids(&self) -> BoxFuture<'_, Result<Vec<(KnownSchema, u32)>, SourceError>>;

    /// The text of the schema with this id; `None` if there is none.
    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<String>, SourceError>>;
}

/// A source that did not answer, or will not.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub struct SourceError {
    pub problem: String,
    /// Whether the same question may be answered later.
    pub transient: bool,
}

impl Transient for SourceError {
    fn is_transient(&self) -> bool {
        self.transient
    }
}

/// The ids known now, for the engine's threads. Cheap to clone.
#[derive(Clone)]
pub struct Schemas {
    known: Arc<ArcSwap<Known>>,
    questions: mpsc::Sender<u32>,
}

/// One state of knowledge.
pub(super) struct Known {
    pub(super) ids: SchemaIds,
    /// Ids the registry was asked for: their text, or `None` if it has none that this build can use.
    learned: HashMap<u32, Option<String>>,
}

impl Known {
    /// Whether records with this id can be judged: decoded, or called unreadable.
    pub(super) fn settles(&self, id: u32) -> bool {
        self.ids.iter().any(|(known, _)| known == id)
            || self.learned.contains_key(&id)
            || self.learned.len() >= MOST_LEARNED
    }
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schemas").field(&self.known.load().ids).finish()
    }
}

/// The questions the engine's threads have; [`refresh`] answers them.
#[derive(Debug)]
pub struct Questions {
    base: Vec<(KnownSchema, u32)>,
    known: Schemas,
    asked: mpsc::Receiver<u32>,
}

impl Schemas {
    /// Begins with the ids of this build's schemas.
    pub fn new(base: Vec<(KnownSchema, u32)>) -> Result<(Self, Questions), SchemaError> {
        let known = Known { ids: SchemaIds::new(base.iter().copied())?, learned: HashMap::new() };
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let schemas = Self { known: Arc::new(ArcSwap::from_pointee(known)), questions };
        Ok((schemas.clone(), Questions { base, known: schemas, asked }))
    }

    pub(super) fn known(&self) -> Arc<Known> {
        self.known.load_full()
    }

    /// Asks for an id, unless too many wait.
    pub(super) fn ask(&self, id: u32) {
        if self.questions.try_send(id).is_err() {
            tracing::debug!(schema.id = id, "too many schema ids are asked for: the partition asks again");
        }
    }
}

/// Answers the questions of the engine's threads until `retry`'s token is cancelled.
pub async fn refresh(
    mut questions: Questions,
    source: Arc<dyn SchemaSource>,
    engine: Engine,
    registry: Dependency,
    retry: Retry,
) -> anyhow::Result<()> {
    while let Some(id) = questions.asked.recv().await {
        let known = questions.known.known();
        if known.settles(id) {
            engine.schemas_changed();
            continue;
        }
        let watched = registry.clone();
        let watching = retry.clone().watched(move |outcome| match outcome {
            Ok(()) => watched.up(),
            Err(problem) => watched.down(format!("asked for schema id {id}: {problem}")),
        });
        let text = match watching.run("ask for a schema id", || source.schema(id)).await {
            Ok(text) => text,
            Err(GaveUp::Final(error)) => {
                tracing::error!(schema.id = id, %error, "the registry refuses to tell a schema: its records are unreadable");
                None
            }
            Err(GaveUp::Cancelled { .. }) => return Ok(()),
        };
        let mut learned = known.learned.clone();
        let ids = learn(&questions.base, &mut learned, id, text)?;
        questions.known.known.store(Arc::new(Known { ids, learned }));
        engine.schemas_changed();
    }
    Ok(())
}

fn learn(
    base: &[(KnownSchema, u32)],
    learned: &mut HashMap<u32, Option<String>>,
    id: u32,
    text: Option<String>,
) -> Result<SchemaIds, SchemaError> {
    let mut ids = SchemaIds::new(base.iter().copied())?;
    for (id, text) in learned.iter().filter_map(|(id, text)| Some((*id, text.as_ref()?))) {
        ids.learn(id, text)?;
    }
    let usable = match text {
        Some(text) => match ids.learn(id, &text) {
            Ok(()) => Some(text),
            Err(error) => {
                tracing::error!(schema.id = id, %error, "a schema in the log is none of ours: its records are unreadable");
                None
            }
        },
        None => None,
    };
    tracing::info!(schema.id = id, usable = usable.is_some(), "a new schema id was met in the log");
    learned.insert(id, usable);
    Ok(ids)
}
