//! The events of records: the schema ids of a topic, and how an unknown one is learnt.
//!
//! Promises: a source that is unavailable is waited for; only a source that answers can say that there is no such schema, and what it
//! has said it is not asked again for some seconds.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use contract::avro::{DecodeError, SchemaIds, decode};
use contract::effective::EffectiveEvent;
use ledger::{LogRecord, Partition, RecordKey};
use toolkit::retry::{GaveUp, Retry};

use crate::{SchemaSource, SourceError};

/// How often a source that answers is asked for a schema it does not have: it may be a replica that lags behind.
const ATTEMPTS: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(200);
/// So long it is believed that there is no such schema: many records may name it, and each would wait.
const BELIEVED: Duration = Duration::from_secs(5);
/// Ids that are known to be unknown, at most.
const UNKNOWN: usize = 256;

/// What decoding needs, for all partitions of a topic.
pub struct Decoder {
    ids: RwLock<SchemaIds>,
    /// Ids that the source does not know, and when it said so.
    unknown: Mutex<BTreeMap<u32, Instant>>,
    source: Arc<dyn SchemaSource>,
}

/// Why there is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undecoded {
    /// The value is not an event, for good.
    Poison(String),
    /// Told to stop before the source answered.
    Cancelled,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Decoder").field(&self.ids).finish()
    }
}

impl Decoder {
    /// Asks for the ids of the schemas this build knows, until they are all there.
    pub async fn open(source: Arc<dyn SchemaSource>, retry: &Retry) -> Result<Self, GaveUp<SourceError>> {
        let ids = retry.run("learn the ids of the schemas", || source.ids()).await?;
        let unusable = |error: contract::avro::SchemaError| {
            GaveUp::Final(SourceError { problem: error.to_string(), transient: false })
        };
        let ids = SchemaIds::new(ids).map_err(unusable)?;
        Ok(Self { ids: RwLock::new(ids), unknown: Mutex::default(), source })
    }

    /// The event of an effective record; asks the source if its schema is not known yet.
    pub async fn decode(
        &self,
        partition: Partition,
        key: &RecordKey,
        record: &LogRecord,
        retry: &Retry,
    ) -> Result<EffectiveEvent, Undecoded> {
        let Some(value) = &record.value else {
            return Err(Undecoded::Poison("there is none: a tombstone".to_owned()));
        };
        let mut asked = 0;
        loop {
            let decoded = decode(value, &self.ids.read().unwrap_or_else(PoisonError::into_inner));
            match decoded {
                Ok(event) => {
                    return EffectiveEvent::of(partition, record, key, event).map_err(Undecoded::Poison);
                }
                Err(DecodeError::UnknownSchema(id)) if asked < ATTEMPTS && !self.is_unknown(id) => {
                    if asked > 0 {
                        tokio::time::sleep(BETWEEN).await;
                    }
                    asked += 1;
                    self.learn(id, asked == ATTEMPTS, retry).await?;
                }
                Err(error) => {
                    if let (DecodeError::UnknownSchema(id), ATTEMPTS) = (&error, asked) {
                        self.believe_unknown(*id);
                    }
                    return Err(Undecoded::Poison(error.to_string()));
                }
            }
        }
    }

    fn is_unknown(&self, id: u32) -> bool {
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.get(&id).is_some_and(|said| said.elapsed() < BELIEVED)
    }

    fn believe_unknown(&self, id: u32) {
        let mut unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner);
        unknown.retain(|_, said| said.elapsed() < BELIEVED);
        if unknown.len() < UNKNOWN {
            unknown.insert(id, Instant::now());
        }
    }

    async fn learn(&self, id: u32, is_last: bool, retry: &Retry) -> Result<(), Undecoded> {
        match retry.run(&format!("fetch schema {id}"), || self.source.schema(id)).await {
            Ok(Some(text)) => {
                let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
                ids.learn(id, &text).map_err(|error| Undecoded::Poison(error.to_string()))
            }
            Err(GaveUp::Cancelled { .. }) => Err(Undecoded::Cancelled),
            Err(GaveUp::Final(error)) if is_last => Err(Undecoded::Poison(error.to_string())),
            // Asked again; what is still unknown then is named by the decoding itself.
            Ok(None) | Err(GaveUp::Final(_)) => Ok(()),
        }
    }
}
