//! The schemas this build knows, and the ids a registry gave them.
//!
//! Promise: every event type has a schema to be written with, or there are no [`SchemaIds`].

use std::fmt;

use domain::Event;
use serde_avro_fast::Schema;

/// A committed schema. The files never change; a change is a new version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownSchema {
    /// The event's type, as [`Event::type_name`] says it.
    pub event_type: &'static str,
    /// The version of the schema, from 1.
    pub version: u32,
    /// The record's full name, which is also the CloudEvents type.
    pub fqn: &'static str,
    /// The schema as JSON.
    pub text: &'static str,
}

macro_rules! known {
    ($($event_type:literal v $version:literal),* $(,)?) => {
        &[$(KnownSchema {
            event_type: $event_type,
            version: $version,
            fqn: concat!("folio.catalog.product.v1.", $event_type),
            text: include_str!(concat!(
                "../../../../schemas/events/product/", $event_type, ".v", $version, ".avsc"
            )),
        }),*]
    };
}

/// Ordered by type, in the order of [`Event::ALL_TYPES`], then by version.
const KNOWN: &[KnownSchema] = known![
    "ProductCreated" v 1,
    "DetailsRevised" v 1,
    "PriceChanged" v 1,
    "ProductMoved" v 1,
    "ProductListed" v 1,
    "ProductDiscontinued" v 1,
    "ProductDeleted" v 1,
    "ProductRestored" v 1,
];

/// Every schema ever committed, ordered by type and version.
pub fn known_schemas() -> &'static [KnownSchema] {
    KNOWN
}

/// The registry's subject of a schema on a topic (`TopicRecordNameStrategy`).
pub fn subject(topic: &str, fqn: &str) -> String {
    format!("{topic}-{fqn}")
}

/// The full name of an event's type, which is also its CloudEvents type.
pub(crate) fn fqn_of(event_type: &str) -> Option<&'static str> {
    KNOWN.iter().find(|schema| schema.event_type == event_type).map(|schema| schema.fqn)
}

/// Why schema ids cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SchemaError {
    /// No id was given for the newest schema of a type, so its events could not be written.
    #[error("no schema id for {fqn} version {version}: register the schemas first (folio schemas register)")]
    Missing {
        /// The full name of the schema.
        fqn: &'static str,
        /// The version that has no id.
        version: u32,
    },
    /// One id was given to two schemas.
    #[error("schema id {0} stands for two schemas")]
    Ambiguous(u32),
    /// The text is not a schema of a known event type.
    #[error("schema id {id} is not a schema of a known event type: {problem}")]
    Unusable {
        /// The id in question.
        id: u32,
        /// What is wrong.
        problem: String,
    },
}

struct Entry {
    id: u32,
    /// Index into [`Event::ALL_TYPES`].
    event_type: usize,
    schema: Schema,
}

/// Schema ids and their parsed schemas, for both directions. Made once at start-up, from what the registry says.
pub struct SchemaIds {
    /// Ordered by id.
    entries: Vec<Entry>,
    /// For each of [`Event::ALL_TYPES`], the id and schema to write with.
    newest: Vec<(u32, Schema)>,
}

impl SchemaIds {
    /// Makes the table of the ids a registry gave to known schemas. A schema may have several ids.
    pub fn new(ids: impl IntoIterator<Item = (KnownSchema, u32)>) -> Result<Self, SchemaError> {
        let ids: Vec<(KnownSchema, u32)> = ids.into_iter().collect();
        let mut table = Self { entries: Vec::with_capacity(ids.len()), newest: Vec::new() };
        for (known, id) in &ids {
            let event_type = type_index(known.event_type).ok_or_else(|| SchemaError::Unusable {
                id: *id,
                problem: format!("{} is no event type", known.event_type),
            })?;
            table.insert(*id, event_type, known.text)?;
        }
        for event_type in Event::ALL_TYPES {
            let Some(newest) = KNOWN.iter().rev().find(|known| known.event_type == event_type) else {
                continue;
            };
            let Some((_, id)) =
                ids.iter().find(|(known, _)| known.fqn == newest.fqn && known.version == newest.version)
            else {
                return Err(SchemaError::Missing { fqn: newest.fqn, version: newest.version });
            };
            table.newest.push((*id, parse(*id, newest.text)?));
        }
        Ok(table)
    }

    /// The table of ids 1, 2, 3, ... in the order of [`known_schemas`], for logs that have no registry.
    pub fn without_registry() -> Self {
        Self::new((1..).zip(KNOWN).map(|(id, known)| (*known, id)))
            .expect("the committed schemas parse: a test reads each of them")
    }

    /// Adds a schema that this build does not ship, as the registry returned it: a newer writer is at work.
    /// Its events decode as far as this build understands them.
    pub fn learn(&mut self, id: u32, text: &str) -> Result<(), SchemaError> {
        let unusable = |problem: &str| SchemaError::Unusable { id, problem: problem.to_owned() };
        let json: serde_json::Value = serde_json::from_str(text).map_err(|e| unusable(&e.to_string()))?;
        let name = json["name"].as_str().unwrap_or_default();
        let fqn = match json["namespace"].as_str() {
            Some(namespace) if !name.contains('.') => format!("{namespace}.{name}"),
            Some(_) | None => name.to_owned(),
        };
        let known = KNOWN
            .iter()
            .find(|known| known.fqn == fqn)
            .ok_or_else(|| unusable(&format!("its name is {fqn:?}")))?;
        let event_type = type_index(known.event_type).ok_or_else(|| unusable("its type is unknown"))?;
        self.insert(id, event_type, text)
    }

    /// Every id in the table with the event type it stands for, ordered by id.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u32, &'static str)> {
        self.entries.iter().map(|entry| (entry.id, Event::ALL_TYPES[entry.event_type]))
    }

    /// The id that events of this type are written with.
    pub fn id_of(&self, event_type: &str) -> Option<u32> {
        type_index(event_type).map(|index| self.newest[index].0)
    }

    pub(super) fn newest(&self, event: &Event) -> (u32, &Schema) {
        let (id, schema) = &self.newest[index_of(event)];
        (*id, schema)
    }

    pub(super) fn by_id(&self, id: u32) -> Option<(&'static str, &Schema)> {
        let at = self.entries.binary_search_by_key(&id, |entry| entry.id).ok()?;
        let entry = &self.entries[at];
        Some((Event::ALL_TYPES[entry.event_type], &entry.schema))
    }

    fn insert(&mut self, id: u32, event_type: usize, text: &str) -> Result<(), SchemaError> {
        let schema = parse(id, text)?;
        match self.entries.binary_search_by_key(&id, |entry| entry.id) {
            Err(at) => self.entries.insert(at, Entry { id, event_type, schema }),
            // The same schema again, with the same id: nothing to learn.
            Ok(at) if self.entries[at].schema.json() == schema.json() => {}
            Ok(_) => return Err(SchemaError::Ambiguous(id)),
        }
        Ok(())
    }
}

impl fmt::Debug for SchemaIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

fn parse(id: u32, text: &str) -> Result<Schema, SchemaError> {
    text.parse().map_err(|error: serde_avro_fast::schema::SchemaError| SchemaError::Unusable {
        id,
        problem: error.to_string(),
    })
}

fn type_index(event_type: &str) -> Option<usize> {
    Event::ALL_TYPES.iter().position(|known| *known == event_type)
}

/// The event's place in [`Event::ALL_TYPES`].
fn index_of(event: &Event) -> usize {
    match event {
        Event::ProductCreated(_) => 0,
        Event::DetailsRevised(_) => 1,
        Event::PriceChanged(_) => 2,
        Event::ProductMoved(_) => 3,
        Event::ProductListed(_) => 4,
        Event::ProductDiscontinued(_) => 5,
        Event::ProductDeleted(_) => 6,
        Event::ProductRestored(_) => 7,
    }
}
