//! A service's connection to the keys, which may come and go.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use adapter_cql::CqlConfig;
use futures::FutureExt;
use persons::{
    Erasure, KeyStore, Lookup, PersonKey, Persons, PrivacyConfig, Pseudonym, StoreError, Stored, Wrapped,
};
use toolkit::lifecycle::{Dependency, Lifecycle};

use crate::CqlKeys;

/// How often the store is asked whether it is there, and how long a connection that failed is left alone.
const EVERY: Duration = Duration::from_secs(2);

/// What a service seals and shows names with, by its configuration. Connects under `lifecycle`; readiness waits for the first connection,
/// and only remarks it when the store is away later: who was seen already goes on.
///
/// # Errors
/// If the master keys cannot be read.
pub fn start(privacy: &PrivacyConfig, cql: &CqlConfig, lifecycle: &Lifecycle) -> Result<Persons, String> {
    if !privacy.enabled {
        return Ok(Persons::off());
    }
    let keys = Keys::default();
    let persons = Persons::on(privacy, Arc::new(keys.clone()))?;
    let dependency = lifecycle.readiness().dependency("person keys");
    // Until the work ends, and not before: requests that drain still need the keys.
    let stop = lifecycle.drained();
    let (cql, stopping) = (cql.clone(), stop.clone());
    lifecycle.spawn_support("person keys", async move {
        tokio::select! {
            () = keys.keep(&cql, &dependency) => {}
            () = stopping.cancelled() => {}
        }
        Ok(())
    });
    let looked_after = persons.clone();
    lifecycle.spawn_support("person keys in memory", async move {
        looked_after.look_after(stop).await;
        Ok(())
    });
    Ok(persons)
}

/// The keys, as soon as there is a connection.
#[derive(Clone, Debug, Default)]
struct Keys(Arc<OnceLock<CqlKeys>>);

impl Keys {
    async fn keep(&self, config: &CqlConfig, dependency: &Dependency) {
        loop {
            match CqlKeys::connect(config).await {
                Ok(keys) => {
                    // Nobody else sets it.
                    self.0.get_or_init(|| keys);
                    break;
                }
                Err(error) => dependency.down(error.to_string()),
            }
            tokio::time::sleep(EVERY).await;
        }
        loop {
            match self.by_lookup(Lookup([0; 32])).await {
                Ok(_) => dependency.up(),
                Err(error) => dependency.up_though(format!("away: {error}")),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    fn asked<'a, T: Send + 'a>(&'a self, ask: impl FnOnce(&'a CqlKeys) -> Stored<'a, T>) -> Stored<'a, T> {
        if let Some(keys) = self.0.get() {
            return ask(keys);
        }
        let problem = "there is no connection yet".to_owned();
        std::future::ready(Err(StoreError { problem, transient: true })).boxed()
    }
}

impl KeyStore for Keys {
    fn by_lookup(&self, lookup: Lookup) -> Stored<'_, Option<PersonKey>> {
        self.asked(|keys| keys.by_lookup(lookup))
    }

    fn by_pseudonyms<'a>(&'a self, pseudonyms: &'a [Pseudonym]) -> Stored<'a, Vec<Option<PersonKey>>> {
        self.asked(|keys| keys.by_pseudonyms(pseudonyms))
    }

    fn create<'a>(&'a self, person: &'a PersonKey) -> Stored<'a, PersonKey> {
        self.asked(|keys| keys.create(person))
    }

    fn erase<'a>(&'a self, person: &'a PersonKey, erasure: &'a Erasure) -> Stored<'a, ()> {
        self.asked(|keys| keys.erase(person, erasure))
    }

    fn rewrap<'a>(&'a self, person: &'a PersonKey, wrapped: &'a Wrapped) -> Stored<'a, bool> {
        self.asked(|keys| keys.rewrap(person, wrapped))
    }

    fn page(&self, after: Option<Lookup>, limit: usize) -> Stored<'_, Vec<PersonKey>> {
        self.asked(|keys| keys.page(after, limit))
    }

    fn erasures(&self) -> Stored<'_, Vec<Erasure>> {
        self.asked(|keys| keys.erasures())
    }
}
