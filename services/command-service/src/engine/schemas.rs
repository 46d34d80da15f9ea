//! Schema ids: those the registry gave to the schemas of this build, and those met in the log and asked for since.
//!
//! Promises: a record is called unreadable only when the registry has said so; until it answers, the record's product waits
//! and the others go on, and an id that it does not tell holds up no question for another. What the registry does not know is forgotten again ([`REFUSED_FOR`], [`MAX_REFUSED`]), and of what
//! it told the oldest is ([`MAX_LEARNED`]): however many ids a broken writer invents, the next real one is learned.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use contract::avro::{KnownSchema, SchemaError, SchemaIds, schema_id};
use domain::Event;
use event_reader::SchemaSource;
use ledger::{DecodedRecord, Decoder, LogRecord, SchemaStanding, Unreadable};
use tokio::sync::mpsc;
use toolkit::lifecycle::Dependency;
use toolkit::retry::Transient as _;

use super::encode;
use crate::catalog::Catalog;

/// Ids whose schema is kept; the one learned first is forgotten for the next, and asked for again if it is met again.
const MAX_LEARNED: usize = 1_000;
/// Ids that the registry has no schema for, and how long it is not asked again.
const MAX_REFUSED: usize = 1_000;
const REFUSED_FOR: Duration = Duration::from_mins(1);
/// Ids that may wait to be asked for; who finds no room asks again at the next tick.
const QUESTIONS: usize = 64;

/// The ids known now, for the engine's threads. Cheap to clone.
#[derive(Clone)]
pub struct Schemas {
    known: Arc<ArcSwap<Known>>,
    questions: mpsc::Sender<u32>,
}

/// One state of knowledge.
pub(super) struct Known {
    pub(super) ids: SchemaIds,
    answers: Answers,
}

/// What the registry answered, oldest first.
#[derive(Clone, Default)]
struct Answers {
    learned: VecDeque<(u32, Arc<str>)>,
    /// It has no schema that this build can use.
    refused: VecDeque<(u32, Instant)>,
}

impl Known {
    /// Whether records with this id can be read, or be called unreadable.
    pub(super) fn settles(&self, id: u32) -> bool {
        self.knows(id) || self.refuses(id)
    }

    /// Whether records with this id can be read.
    pub(super) fn knows(&self, id: u32) -> bool {
        self.ids.iter().any(|(known, _)| known == id)
    }

    /// Whether the registry said, not long ago, that it has no such schema.
    pub(super) fn refuses(&self, id: u32) -> bool {
        self.answers.refuses(id, Instant::now())
    }
}

impl Decoder<Catalog> for Known {
    fn schema_of(&self, record: &LogRecord) -> Option<u32> {
        record.value.as_deref().and_then(schema_id)
    }

    fn standing(&self, schema: u32) -> SchemaStanding {
        if self.knows(schema) {
            SchemaStanding::Known
        } else if self.refuses(schema) {
            SchemaStanding::Refused
        } else {
            SchemaStanding::Unknown
        }
    }

    fn decode(&self, record: &LogRecord) -> Result<DecodedRecord<Event>, Unreadable> {
        encode::recorded(record, &self.ids)
    }
}

impl Answers {
    fn refuses(&self, id: u32, now: Instant) -> bool {
        self.refused.iter().rev().any(|(refused, at)| *refused == id && now.duration_since(*at) < REFUSED_FOR)
    }

    fn refuse(&mut self, id: u32, now: Instant) {
        self.refused.retain(|(refused, at)| *refused != id && now.duration_since(*at) < REFUSED_FOR);
        if self.refused.len() >= MAX_REFUSED {
            self.refused.pop_front();
        }
        self.refused.push_back((id, now));
    }

    fn learn(&mut self, id: u32, text: Arc<str>) {
        if self.learned.len() >= MAX_LEARNED {
            self.learned.pop_front();
        }
        self.learned.push_back((id, text));
    }
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Schemas").field(&self.known.load().ids).finish()
    }
}

/// The questions the engine's threads have; [`refresh`] answers them.
#[derive(Debug)]
pub struct SchemaRequests {
    base: Vec<(KnownSchema, u32)>,
    known: Schemas,
    asked: mpsc::Receiver<u32>,
}

impl Schemas {
    /// Begins with the ids of this build's schemas.
    pub fn new(base: Vec<(KnownSchema, u32)>) -> Result<(Self, SchemaRequests), SchemaError> {
        let known = Known { ids: SchemaIds::new(base.iter().copied())?, answers: Answers::default() };
        let (questions, asked) = mpsc::channel(QUESTIONS);
        let schemas = Self { known: Arc::new(ArcSwap::from_pointee(known)), questions };
        Ok((schemas.clone(), SchemaRequests { base, known: schemas, asked }))
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

/// Answers the questions of the engine's threads. `changed` is called after each answer. Each is put to the source once: whoever
/// waits for an answer asks again, so that an id that is never told holds up no other.
pub async fn refresh(
    mut questions: SchemaRequests,
    source: Arc<dyn SchemaSource>,
    changed: impl Fn() + Send + 'static,
    registry: Dependency,
) -> anyhow::Result<()> {
    while let Some(id) = questions.asked.recv().await {
        let known = questions.known.known();
        if known.settles(id) {
            changed();
            continue;
        }
        let text = match source.schema(id).await {
            Ok(text) => {
                registry.up();
                text
            }
            // The service is ready without it: who waits says so.
            Err(error) if error.is_transient() => {
                tracing::debug!(schema.id = id, %error, "the registry did not tell a schema");
                registry.up_though(format!("asked for schema id {id}: {error}"));
                continue;
            }
            Err(error) => {
                tracing::error!(schema.id = id, %error, "the registry refuses to tell a schema: its records are unreadable");
                None
            }
        };
        let mut answers = known.answers.clone();
        let ids = learn(&questions.base, &mut answers, id, text)?;
        questions.known.known.store(Arc::new(Known { ids, answers }));
        changed();
    }
    Ok(())
}

fn learn(
    base: &[(KnownSchema, u32)],
    answers: &mut Answers,
    id: u32,
    text: Option<String>,
) -> Result<SchemaIds, SchemaError> {
    let usable = match text {
        // Tried on its own first: one that is no use must not cost another its place.
        Some(text) => match SchemaIds::new(base.iter().copied())?.learn(id, &text) {
            Ok(()) => Some(text),
            Err(error) => {
                tracing::error!(schema.id = id, %error, "a schema in the log is none of ours: its records are unreadable");
                None
            }
        },
        None => None,
    };
    tracing::info!(schema.id = id, usable = usable.is_some(), "a new schema id was met in the log");
    match usable {
        Some(text) => answers.learn(id, text.into()),
        None => answers.refuse(id, Instant::now()),
    }
    let mut ids = SchemaIds::new(base.iter().copied())?;
    for (id, text) in &answers.learned {
        ids.learn(*id, text)?;
    }
    Ok(ids)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_registry_does_not_know_is_forgotten_after_a_while_and_when_there_is_too_much_of_it() {
        let mut answers = Answers::default();
        let start = Instant::now();
        answers.refuse(1, start);
        assert!(answers.refuses(1, start + REFUSED_FOR / 2) && !answers.refuses(2, start));
        assert!(!answers.refuses(1, start + REFUSED_FOR), "the registry may have it by now");
        for id in 2..=MAX_REFUSED as u32 + 1 {
            answers.refuse(id, start);
        }
        assert_eq!(answers.refused.len(), MAX_REFUSED);
        assert!(!answers.refuses(1, start) && answers.refuses(2, start));
    }

    #[test]
    fn the_schema_that_was_learned_first_makes_room_for_the_next() {
        let base: Vec<_> = contract::avro::known_schemas().iter().copied().zip(1..).collect();
        let text = base[0].0.text.to_owned();
        let learned = (1_000..1_000 + MAX_LEARNED as u32).map(|id| (id, text.as_str().into())).collect();
        let mut answers = Answers { learned, ..Answers::default() };
        let ids = learn(&base, &mut answers, 7_777, Some(text)).unwrap();
        assert_eq!(answers.learned.len(), MAX_LEARNED);
        assert!(ids.iter().any(|(id, _)| id == 7_777) && ids.iter().all(|(id, _)| id != 1_000));
        learn(&base, &mut answers, 8_888, Some("{}".to_owned())).unwrap();
        assert_eq!(answers.learned.back().unwrap().0, 7_777, "what is no use costs nobody its place");
    }
}
