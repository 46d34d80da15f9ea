//! The events of records: the schema ids of a topic, and how an unknown one is learnt.
//!
//! Promises: only a source that answers can say that there is no such schema, and what it has said it is not asked again for some
//! seconds; a source that is unavailable is waited for, or, by whoever has something else to do, for some time once: from then on
//! until it answers nobody waits for it again, and who was turned away is told when it does.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use contract::avro::{DecodeError, SchemaIds, decode};
use contract::effective::EffectiveEvent;
use ledger::{LogRecord, Partition, RecordKey};
use tokio::sync::watch;
use toolkit::retry::{GaveUp, Retry, Transient};

use crate::{SchemaSource, SourceError};

/// How often a source that answers is asked for a schema it does not have: it may be a replica that lags behind.
const ATTEMPTS: u32 = 5;
const BETWEEN: Duration = Duration::from_millis(200);
/// So long it is believed that there is no such schema: many records may name it, and each would wait.
const BELIEVED: Duration = Duration::from_secs(5);
/// Ids that are known to be unknown, at most; and so many that wait for the source to answer.
const UNKNOWN: usize = 256;

/// What decoding needs, for all partitions of a topic.
pub struct Decoder {
    ids: RwLock<SchemaIds>,
    /// Ids that the source does not know, and when it said so.
    unknown: Mutex<BTreeMap<u32, Instant>>,
    /// Ids that somebody was turned away for: the source is unavailable while there are some.
    wanted: watch::Sender<VecDeque<u32>>,
    /// How often it has come back since.
    returns: watch::Sender<u64>,
    source: Arc<dyn SchemaSource>,
}

/// Why there is no event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undecoded {
    /// The value is not an event, for good.
    Poison(String),
    /// Only the source of schemas can say, which is unavailable. To be tried again when it [returns](Decoder::returns).
    Unavailable(String),
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
        let (wanted, returns) = (watch::channel(VecDeque::new()).0, watch::channel(0).0);
        Ok(Self { ids: RwLock::new(ids), unknown: Mutex::default(), wanted, returns, source })
    }

    /// The event of an effective record; asks the source if its schema is not known yet, and waits for it.
    pub async fn decode(
        &self,
        partition: Partition,
        key: &RecordKey,
        record: &LogRecord,
        retry: &Retry,
    ) -> Result<EffectiveEvent, Undecoded> {
        self.decode_within(None, partition, key, record, retry).await
    }

    /// The same; with a `patience` a source that is unavailable for longer is not waited for, nor is one that is known to be.
    pub async fn decode_within(
        &self,
        patience: Option<Duration>,
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
                    self.learn(id, asked == ATTEMPTS, patience, retry).await?;
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

    async fn learn(
        &self,
        id: u32,
        is_last: bool,
        patience: Option<Duration>,
        retry: &Retry,
    ) -> Result<(), Undecoded> {
        let what = format!("fetch schema {id}");
        let fetch = retry.run(&what, || self.source.schema(id));
        let fetched = match patience {
            None => fetch.await,
            Some(_) if !self.wanted.borrow().is_empty() => return Err(self.turned_away(id)),
            Some(patience) => match tokio::time::timeout(patience, fetch).await {
                Ok(fetched) => fetched,
                Err(_elapsed) => return Err(self.turned_away(id)),
            },
        };
        match fetched {
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

    fn turned_away(&self, id: u32) -> Undecoded {
        self.wanted.send_if_modified(|wanted| {
            let is_new = !wanted.contains(&id) && wanted.len() < UNKNOWN;
            if is_new {
                wanted.push_back(id);
            }
            is_new
        });
        Undecoded::Unavailable(format!("schema id {id} is not known here, and the registry does not answer"))
    }

    /// Changes whenever the source answers again after somebody was turned away.
    pub fn returns(&self) -> watch::Receiver<u64> {
        self.returns.subscribe()
    }

    /// Looks whether the source answers while somebody is turned away, until told to stop by `retry`.
    pub async fn look_for_source(&self, retry: &Retry) {
        let mut wanted = self.wanted.subscribe();
        let mut waits = retry.waits();
        loop {
            // Cannot fail: the sender is ours.
            let Ok(id) = wanted.wait_for(|ids| !ids.is_empty()).await.map(|ids| ids.front().copied()) else {
                return;
            };
            let Some(id) = id else { continue };
            match self.source.schema(id).await {
                Err(error) if error.is_transient() => {
                    if waits.wait(&format!("fetch schema {id}"), error).await.is_err() {
                        return;
                    }
                    // It may be this one alone that it fails to tell.
                    self.wanted.send_if_modified(|ids| {
                        ids.rotate_left(ids.len().min(1));
                        false
                    });
                }
                // Whatever it says, it is there.
                answer => {
                    if let Ok(Some(text)) = answer {
                        // Another id may be one that it never tells: who wants this one must not have to ask again behind that. What is
                        // no schema is told to who asks for it.
                        let mut ids = self.ids.write().unwrap_or_else(PoisonError::into_inner);
                        drop(ids.learn(id, &text));
                    }
                    retry.report(Ok(()));
                    waits = retry.waits();
                    self.wanted.send_replace(VecDeque::new());
                    self.returns.send_modify(|returns| *returns += 1);
                }
            }
        }
    }
}
