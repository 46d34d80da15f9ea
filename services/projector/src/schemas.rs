//! The schema ids of this topic's events, and how an unknown one is learnt.
//!
//! Promises: a registry that is away is waited for; only a registry that answers can say that there is no such schema.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use adapter_registry::Registry;
use contract::avro::{DecodeError, SchemaIds, decode, known_schemas, subject};
use read_models::Event;
use toolkit::retry::{GaveUp, Retry};

/// What decoding needs. Shared by the partitions.
#[derive(Debug)]
pub(crate) struct Schemas {
    ids: RwLock<SchemaIds>,
    registry: Registry,
}

/// Why there is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undecoded {
    /// The value is not an event, for good.
    Poison(String),
    /// Told to stop before the registry answered.
    Cancelled,
}

/// How often a registry that answers is asked for a schema it does not have: it may be a replica that lags behind.
const ATTEMPTS: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(200);

impl Schemas {
    /// Asks the registry for the ids of the schemas this build knows, until they are all there.
    pub(crate) async fn ask(registry: Registry, topic: &str, retry: &Retry) -> anyhow::Result<Self> {
        let wanted: Vec<(String, &str)> =
            known_schemas().iter().map(|known| (subject(topic, known.fqn), known.text)).collect();
        let ids = retry
            .run("learn the ids of the schemas", || async { registry.ids_of(&wanted).await.map_err(Missing) })
            .await
            .map_err(|gave_up| anyhow::anyhow!("{gave_up}"))?;
        let ids = SchemaIds::new(known_schemas().iter().copied().zip(ids))?;
        Ok(Self { ids: RwLock::new(ids), registry })
    }

    /// Decodes the value of a record; asks the registry if its schema is not known yet.
    pub(crate) async fn decode(&self, value: &[u8], retry: &Retry) -> Result<Event, Undecoded> {
        let mut asked = 0;
        loop {
            let outcome = decode(value, &self.ids.read().unwrap_or_else(PoisonError::into_inner));
            match outcome {
                Ok(event) => return Ok(event),
                Err(DecodeError::UnknownSchema(id)) if asked < ATTEMPTS => {
                    asked += 1;
                    self.learn(id, asked == ATTEMPTS, retry).await?;
                }
                Err(error) => return Err(Undecoded::Poison(error.to_string())),
            }
        }
    }

    async fn learn(&self, id: u32, last: bool, retry: &Retry) -> Result<(), Undecoded> {
        let what = format!("fetch schema {id}");
        match retry.run(&what, || self.registry.fetch(id)).await {
            Ok(schema) => self
                .ids
                .write()
                .unwrap_or_else(PoisonError::into_inner)
                .learn(id, &schema.text)
                .map_err(|error| Undecoded::Poison(error.to_string())),
            Err(GaveUp::Cancelled { .. }) => Err(Undecoded::Cancelled),
            Err(GaveUp::Final(error)) if last => Err(Undecoded::Poison(error.to_string())),
            Err(GaveUp::Final(_)) => {
                tokio::time::sleep(BETWEEN).await;
                Ok(())
            }
        }
    }
}

/// Schemas that are not registered yet may come.
#[derive(Debug)]
struct Missing(adapter_registry::Error);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl toolkit::retry::Transient for Missing {
    fn is_transient(&self) -> bool {
        self.0.is_transient() || matches!(self.0, adapter_registry::Error::NotRegistered { .. })
    }
}
