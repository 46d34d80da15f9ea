//! What operators do with the keys of persons: erase somebody, and wrap all keys anew.
//!
//! Promises: nothing is changed before it is clear what; both are harmless to repeat; what is kept of an erasure does not name who was erased.

use std::sync::Arc;

use jiff::Timestamp;

use crate::ring::KeyRing;
use crate::sealed::Pseudonym;
use crate::store::{Erasure, KeyStore, PersonKey, StoreError};
use crate::who::Unavailable;

/// Persons asked for at once.
const PAGE: usize = 500;

/// Works on the keys of persons.
#[derive(Debug)]
pub struct Desk {
    ring: KeyRing,
    store: Arc<dyn KeyStore>,
}

/// What a rewrapping came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Keys that the current master key wraps now, and did not before; in a dry run those that it would wrap.
    pub changed: u64,
    /// Keys that it wrapped already.
    pub already: u64,
    /// Keys that were erased or rewrapped by somebody else meanwhile.
    pub gone: u64,
}

impl Desk {
    pub fn new(ring: KeyRing, store: Arc<dyn KeyStore>) -> Self {
        Self { ring, store }
    }

    /// The id of the master key that wraps.
    pub fn current(&self) -> &str {
        self.ring.current()
    }

    /// Who has this name, if anybody ever did something under it and was not erased.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn find(&self, name: &str) -> Result<Option<PersonKey>, StoreError> {
        self.store.by_lookup(self.ring.lookup(name)).await
    }

    /// Who has this pseudonym.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn find_pseudonym(&self, pseudonym: Pseudonym) -> Result<Option<PersonKey>, StoreError> {
        Ok(self.store.by_pseudonyms(&[pseudonym]).await?.into_iter().next().flatten())
    }

    /// Drops the key of a person for ever.
    ///
    /// # Errors
    /// If the store does not answer: then it is not known whether it is done, and may be repeated.
    pub async fn erase(&self, person: &PersonKey, by: &str, reason: &str) -> Result<Erasure, StoreError> {
        let (by, reason) = (by.to_owned(), reason.to_owned());
        let erasure = Erasure { pseudonym: person.pseudonym, at: Timestamp::now(), by, reason };
        self.store.erase(person, &erasure).await?;
        Ok(erasure)
    }

    /// Wraps with the current master key what another one wraps.
    ///
    /// # Errors
    /// If the store does not answer, or a key cannot be unwrapped. What was done stays; it may be repeated.
    pub async fn rewrap(&self, is_dry: bool) -> Result<Rewrapped, Unavailable> {
        let (mut after, mut done) = (None, Rewrapped::default());
        loop {
            let page = self.store.page(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(done) };
            after = Some(last.lookup);
            for person in &page {
                if person.wrapped.master == self.ring.current() {
                    done.already += 1;
                    continue;
                }
                let key = self.ring.unwrap(person.pseudonym, &person.wrapped)?;
                let wrapped = self.ring.wrap(person.pseudonym, &key)?;
                if is_dry || self.store.rewrap(person, &wrapped).await? {
                    done.changed += 1;
                } else {
                    done.gone += 1;
                }
            }
        }
    }

    /// All erasures, the latest first.
    ///
    /// # Errors
    /// If the store does not answer.
    pub async fn erasures(&self) -> Result<Vec<Erasure>, StoreError> {
        let mut erasures = self.store.erasures().await?;
        erasures.sort_by_key(|erasure| std::cmp::Reverse((erasure.at, erasure.pseudonym)));
        Ok(erasures)
    }
}
