//! The schema registry: a server ([`HttpRegistry`]), or schemas in this process ([`LocalRegistry`]), for readers alike.
//!
//! Promises: an error says whether trying again can help; a schema that is not registered yet may come.
//!
//! Start at [`HttpRegistry`].

mod config;
mod error;
mod http;
mod local;
#[cfg(test)]
mod tests;

use contract::avro::{KnownSchema, known_schemas, subject};
use event_reader::{SchemaSource, SourceError};
use futures::FutureExt as _;
use futures::future::BoxFuture;

pub use config::RegistryConfig;
pub use error::Error;
pub use http::{BACKWARD_TRANSITIVE, Compatibility, HttpRegistry};
pub use local::LocalRegistry;

/// Where schemas are registered. Cheap to clone.
#[derive(Clone, Debug)]
pub enum Registry {
    Http(HttpRegistry),
    Local(LocalRegistry),
}

impl Registry {
    /// A server's client; connects to nothing yet.
    pub fn new(config: &RegistryConfig) -> Result<Self, Error> {
        HttpRegistry::new(config).map(Self::Http)
    }

    /// The schemas of a topic's events, as its readers and writers need them.
    pub fn of_topic(self, topic: impl Into<String>) -> TopicSchemas {
        TopicSchemas { registry: self, topic: topic.into() }
    }

    /// The id of `schema` under `subject`; [`Error::NotRegistered`] if it is not there.
    pub async fn id_of(&self, subject: &str, schema: &str) -> Result<u32, Error> {
        match self {
            Self::Http(http) => http.id_of(subject, schema).await,
            Self::Local(local) => local.id_of(subject, schema),
        }
    }

    /// The text of the schema with this id, if there is one.
    pub async fn fetch(&self, id: u32) -> Result<Option<String>, Error> {
        match self {
            Self::Http(http) => http.fetch(id).await,
            Self::Local(local) => Ok(local.fetch(id)),
        }
    }
}

/// What a registry holds for the events of one topic.
#[derive(Clone, Debug)]
pub struct TopicSchemas {
    registry: Registry,
    topic: String,
}

impl TopicSchemas {
    /// The ids of this build's schemas. All that are not registered are named at once, in [`Error::NotRegistered`].
    async fn known(&self) -> Result<Vec<(KnownSchema, u32)>, Error> {
        let mut ids = Vec::new();
        let mut missing = Vec::new();
        for known in known_schemas() {
            match self.registry.id_of(&subject(&self.topic, known.fqn), known.text).await {
                Ok(id) => ids.push((*known, id)),
                Err(Error::NotRegistered { subjects }) => missing.extend(subjects),
                Err(error) => return Err(error),
            }
        }
        if missing.is_empty() { Ok(ids) } else { Err(Error::NotRegistered { subjects: missing }) }
    }
}

impl SchemaSource for TopicSchemas {
    fn ids(&self) -> BoxFuture<'_, Result<Vec<(KnownSchema, u32)>, SourceError>> {
        async move { Ok(self.known().await?) }.boxed()
    }

    fn schema(&self, id: u32) -> BoxFuture<'_, Result<Option<String>, SourceError>> {
        async move {
            let fetched = self.registry.fetch(id).await;
            // Only a registry that says that there is none is believed: who is not let in, or asks a proxy, waits until somebody puts
            // it right. Else all that needs the schema would be taken for unreadable.
            fetched.map_err(|error| SourceError { problem: error.to_string(), transient: true })
        }
        .boxed()
    }
}

impl From<Error> for SourceError {
    fn from(error: Error) -> Self {
        // Schemas may be registered while we wait, and a password replaced.
        let transient = error.is_transient()
            || matches!(error, Error::NotRegistered { .. } | Error::Refused { code: 401 | 403, .. });
        Self { problem: error.to_string(), transient }
    }
}
