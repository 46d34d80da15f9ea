//! Where the keys of persons lie: a port. Adapters are held to it by `testkit::person_keys_suite`.

use std::fmt;

use futures::future::BoxFuture;
use jiff::Timestamp;
use toolkit::retry::Transient;

use crate::ring::{Lookup, Wrapped};
use crate::sealed::Pseudonym;

/// A person, as the store knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonKey {
    pub lookup: Lookup,
    pub pseudonym: Pseudonym,
    pub wrapped: Wrapped,
    /// When it was seen first.
    pub created_at: Timestamp,
}

/// That a person was erased, and why. It names nobody but who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    pub pseudonym: Pseudonym,
    pub at: Timestamp,
    pub by: String,
    pub reason: String,
}

/// The store did not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct StoreError {
    pub problem: String,
    /// Whether the same may succeed later.
    pub transient: bool,
}

impl Transient for StoreError {
    fn is_transient(&self) -> bool {
        self.transient
    }
}

/// What a store answers.
pub type Stored<'a, T> = BoxFuture<'a, Result<T, StoreError>>;

/// Keeps the keys of persons. One person has one key, however many ask at once; what was acknowledged is there, and what was erased is not, for
/// whoever asks afterwards.
pub trait KeyStore: fmt::Debug + Send + Sync {
    /// The person whose key lies there.
    fn by_lookup(&self, lookup: Lookup) -> Stored<'_, Option<PersonKey>>;

    /// The persons of these pseudonyms, in their order; none where there is none, or none any more.
    fn by_pseudonyms<'a>(&'a self, pseudonyms: &'a [Pseudonym]) -> Stored<'a, Vec<Option<PersonKey>>>;

    /// Adds a person, if there is none of its lookup. Who is there then: it, or who was there before.
    fn create<'a>(&'a self, person: &'a PersonKey) -> Stored<'a, PersonKey>;

    /// Notes the erasure and drops the person's key and its lookup. Harmless to repeat. It is gone then.
    fn erase<'a>(&'a self, person: &'a PersonKey, erasure: &'a Erasure) -> Stored<'a, ()>;

    /// Puts `wrapped` in the place of what the person has, if that is still so. Whether it is there now.
    fn rewrap<'a>(&'a self, person: &'a PersonKey, wrapped: &'a Wrapped) -> Stored<'a, bool>;

    /// All persons, unless there are none behind `after`: up to `limit` in an order of the store's, behind the one given.
    fn page(&self, after: Option<Lookup>, limit: usize) -> Stored<'_, Vec<PersonKey>>;

    /// All erasures, in no order.
    fn erasures(&self) -> Stored<'_, Vec<Erasure>>;
}
