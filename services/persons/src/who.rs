//! What services seal and show the names of persons with.
//!
//! A command service asks for what to write: one text for each person, made once and remembered for `privacy.cache_ms`, so that a command
//! costs a look into a map. It keeps no key. While the store is away, persons that were seen within `privacy.outage_ms` go on: what they
//! write can be opened if the key is there, and by nobody if it was erased meanwhile. Others are told to try again; nothing is ever
//! written plain instead.
//!
//! A query gateway asks for what to show. It keeps keys, for no longer than `privacy.cache_ms`, whether it is asked or not
//! ([`Persons::look_after`]), and never beyond that, whether the store is there or not.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::config::PrivacyConfig;
use crate::ring::{KeyRing, RingError};
use crate::sealed::{DataKey, Pseudonym, Sealed};
use crate::store::{KeyStore, PersonKey, StoreError, Stored};

/// How often the file of master keys is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// After a store failed it is left alone for so long by those who can do without.
const LEFT_ALONE: Duration = Duration::from_secs(1);

/// Seals and shows names. Cheap to clone. The default leaves names as they are.
#[derive(Clone, Debug, Default)]
pub struct Persons(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn KeyStore>,
    config: PrivacyConfig,
    ring: ArcSwap<KeyRing>,
    /// What to write, by name.
    sealed: Mutex<Cache<Box<str>, Arc<str>>>,
    /// The keys of persons; none of those who have none.
    keys: Mutex<Cache<Pseudonym, Option<DataKey>>>,
    failed: Mutex<Option<(Instant, StoreError)>>,
}

/// A name as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// The name: what was sealed, or what was never.
    Name(String),
    /// The pseudonym of a person who was erased.
    Erased(Pseudonym),
}

/// Names cannot be sealed or shown now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    #[error("the keys of persons cannot be reached: {0}")]
    Store(#[from] StoreError),
    #[error("the keys of persons cannot be used: {0}")]
    Ring(#[from] RingError),
}

impl Persons {
    /// Leaves names as they are.
    pub fn off() -> Self {
        Self(None)
    }

    /// Seals names with keys out of `store`.
    ///
    /// # Errors
    /// If the master keys cannot be read.
    pub fn on(config: &PrivacyConfig, store: Arc<dyn KeyStore>) -> Result<Self, String> {
        let most = config.cache_persons;
        Ok(Self(Some(Arc::new(Inner {
            store,
            ring: ArcSwap::from_pointee(config.ring()?),
            config: config.clone(),
            sealed: Mutex::new(Cache::of(most)),
            keys: Mutex::new(Cache::of(most)),
            failed: Mutex::default(),
        }))))
    }

    /// Whether names are sealed.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// What is written in the place of a person's name.
    ///
    /// # Errors
    /// If the person's key is neither remembered nor to be had.
    pub async fn seal(&self, name: &str) -> Result<Arc<str>, Unavailable> {
        let Some(inner) = &self.0 else { return Ok(name.into()) };
        let now = Instant::now();
        let remembered = lock(&inner.sealed).get(name).map(|(at, sealed)| (*at, Arc::clone(sealed)));
        let passes = |within: Duration| move |(at, _): &(Instant, _)| now.duration_since(*at) <= within;
        if let Some((_, sealed)) = remembered.as_ref().filter(|it| passes(inner.config.cache())(it)) {
            return Ok(Arc::clone(sealed));
        }
        match inner.make(name).await {
            Ok(sealed) => {
                lock(&inner.sealed).put(name.into(), now, Arc::clone(&sealed));
                Ok(sealed)
            }
            Err(Unavailable::Store(error)) => match remembered.filter(passes(inner.config.outage())) {
                Some((_, sealed)) => Ok(sealed),
                None => Err(error.into()),
            },
            Err(error) => Err(error),
        }
    }

    /// What is shown in the place of each of what events hold, in their order.
    ///
    /// # Errors
    /// If it cannot be told of one whether there is a key.
    pub async fn show(&self, held: &[&str]) -> Result<Vec<Shown>, Unavailable> {
        let plain = |text: &str| Shown::Name(text.to_owned());
        let Some(inner) = &self.0 else { return Ok(held.iter().map(|text| plain(text)).collect()) };
        let sealed: Vec<_> = held.iter().map(|text| Sealed::parse(text)).collect();
        let mut persons: Vec<_> = sealed.iter().flatten().map(|sealed| sealed.pseudonym).collect();
        persons.sort_unstable();
        persons.dedup();
        let keys = inner.keys_of(&persons).await?;
        let shown = held.iter().zip(sealed).map(|(text, sealed)| {
            let Some(sealed) = sealed else { return plain(text) };
            let key = persons.binary_search(&sealed.pseudonym).ok().and_then(|at| keys[at].as_ref());
            let name = key.and_then(|key| {
                let name = sealed.open(key);
                if name.is_none() {
                    tracing::warn!(person = %sealed.pseudonym, "a name cannot be opened with its person's key: it is shown as erased");
                }
                name
            });
            name.map_or(Shown::Erased(sealed.pseudonym), Shown::Name)
        });
        Ok(shown.collect())
    }

    /// Forgets keys and names when their time is over, and follows the file of master keys, until `stop` is cancelled.
    pub async fn look_after(self, stop: CancellationToken) {
        let Some(inner) = self.0 else { return };
        let every = LOOK_EVERY.min(inner.config.cache());
        let mut told = None;
        loop {
            tokio::select! {
                () = tokio::time::sleep(every) => {}
                () = stop.cancelled() => return,
            }
            inner.forget(Instant::now());
            if inner.config.keys_file.is_some() {
                inner.read_keys(&mut told).await;
            }
        }
    }

    /// How many keys are in memory.
    #[cfg(test)]
    pub(crate) fn keys_in_memory(&self) -> usize {
        self.0.as_ref().map_or(0, |inner| lock(&inner.keys).len())
    }

    #[cfg(test)]
    pub(crate) fn forget(&self, now: Instant) {
        if let Some(inner) = &self.0 {
            inner.forget(now);
        }
    }
}

impl Inner {
    /// What is written for a person: of the key that it has, or of a new one.
    async fn make(&self, name: &str) -> Result<Arc<str>, Unavailable> {
        let ring = self.ring.load_full();
        let lookup = ring.lookup(name);
        let found = self.asked(self.store.by_lookup(lookup)).await?;
        let person = if let Some(person) = found {
            person
        } else {
            let pseudonym = Pseudonym::random();
            let key = DataKey::random().ok_or(RingError::NoRandom)?;
            let wrapped = ring.wrap(pseudonym, &key)?;
            let person = PersonKey { lookup, pseudonym, wrapped, created_at: Timestamp::now() };
            self.asked(self.store.create(&person)).await?
        };
        let key = ring.unwrap(person.pseudonym, &person.wrapped)?;
        let sealed = Sealed::seal(name, person.pseudonym, &key).ok_or(RingError::NoRandom)?;
        Ok(sealed.to_string().into())
    }

    /// The keys of these persons, in their order.
    async fn keys_of(&self, persons: &[Pseudonym]) -> Result<Vec<Option<DataKey>>, Unavailable> {
        let now = Instant::now();
        let mut found: Vec<Option<Option<DataKey>>> = {
            let keys = lock(&self.keys);
            let fresh = |(at, _): &&(Instant, _)| now.duration_since(*at) <= self.config.cache();
            persons.iter().map(|it| keys.get(it).filter(fresh).map(|(_, key)| key.clone())).collect()
        };
        let missing: Vec<_> = (0..persons.len()).filter(|at| found[*at].is_none()).collect();
        if !missing.is_empty() {
            let ring = self.ring.load_full();
            let asked: Vec<_> = missing.iter().map(|at| persons[*at]).collect();
            let answered = self.asked(self.store.by_pseudonyms(&asked)).await?;
            for (at, person) in missing.into_iter().zip(answered) {
                let key = person.map(|it| ring.unwrap(it.pseudonym, &it.wrapped)).transpose()?;
                lock(&self.keys).put(persons[at], now, key.clone());
                found[at] = Some(key);
            }
        }
        Ok(found.into_iter().map(Option::flatten).collect())
    }

    /// What the store answers in time. One that failed a moment ago is not asked again yet: it would keep everybody waiting.
    async fn asked<T>(&self, question: Stored<'_, T>) -> Result<T, StoreError> {
        if let Some((at, error)) = &*lock(&self.failed)
            && at.elapsed() < LEFT_ALONE
        {
            return Err(error.clone());
        }
        let limit = self.config.timeout();
        let late =
            || StoreError { problem: format!("no answer within {} ms", limit.as_millis()), transient: true };
        let answer = tokio::time::timeout(limit, question).await.unwrap_or_else(|_| Err(late()));
        *lock(&self.failed) = answer.as_ref().err().map(|error| (Instant::now(), error.clone()));
        answer
    }

    fn forget(&self, now: Instant) {
        // A monotonic clock may begin when the machine does.
        if let Some(time) = now.checked_sub(self.config.cache()) {
            lock(&self.keys).forget_before(time);
        }
        if let Some(time) = now.checked_sub(self.config.outage()) {
            lock(&self.sealed).forget_before(time);
        }
    }

    async fn read_keys(&self, told: &mut Option<String>) {
        let config = self.config.clone();
        let read = tokio::task::spawn_blocking(move || config.ring()).await;
        match read.unwrap_or_else(|error| Err(error.to_string())) {
            Ok(ring) => {
                if ring.current() != self.ring.load().current() {
                    tracing::info!(current = ring.current(), "master keys were read again");
                }
                self.ring.store(Arc::new(ring));
                *told = None;
            }
            Err(problem) if told.as_ref() == Some(&problem) => {}
            Err(problem) => {
                let path = self.config.keys_file.clone().unwrap_or_default();
                tracing::warn!(file = %path.display(), problem, "master keys cannot be read again: the old ones stay in use");
                *told = Some(problem);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
