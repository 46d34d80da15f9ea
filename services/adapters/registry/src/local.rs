//! A registry in this process, for a log in this process. Promises what a server does: one id for one schema of a subject.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use contract::avro::{known_schemas, subject};

use crate::Error;

/// Schemas in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct LocalRegistry {
    schemas: Arc<RwLock<BTreeMap<u32, Held>>>,
}

#[derive(Debug)]
struct Held {
    subject: String,
    text: String,
}

impl LocalRegistry {
    /// Holds the schemas of this build for the events of `topic`, with the ids 1, 2, 3 and so on.
    pub fn knowing(topic: &str) -> Self {
        let local = Self::default();
        for (known, id) in known_schemas().iter().zip(1..) {
            local.hold(id, subject(topic, known.fqn), known.text);
        }
        local
    }

    /// Holds a schema from now on.
    pub fn hold(&self, id: u32, subject: impl Into<String>, text: impl Into<String>) {
        let held = Held { subject: subject.into(), text: text.into() };
        self.schemas.write().unwrap_or_else(PoisonError::into_inner).insert(id, held);
    }

    pub(crate) fn id_of(&self, subject: &str, text: &str) -> Result<u32, Error> {
        let schemas = self.schemas.read().unwrap_or_else(PoisonError::into_inner);
        let found = schemas.iter().find(|(_, held)| held.subject == subject && held.text == text);
        found.map(|(id, _)| *id).ok_or_else(|| Error::NotRegistered { subjects: vec![subject.to_owned()] })
    }

    pub(crate) fn fetch(&self, id: u32) -> Option<String> {
        let schemas = self.schemas.read().unwrap_or_else(PoisonError::into_inner);
        schemas.get(&id).map(|held| held.text.clone())
    }
}
