//! Who did it, sealed with a key of its own for each person: what the log and everything made of it hold is a pseudonym and a
//! ciphertext, and whoever drops the key has erased the person from all of it at once.
//!
//! - [`KeyRing`]: the master keys, which wrap the persons' keys and are rotated.
//! - [`Sealed`]: a name as events hold it.
//! - [`KeyStore`]: where the persons' keys lie; a port.
//! - [`Persons`]: what services seal and show names with.
//! - [`Desk`]: what operators erase persons and rewrap keys with.
//!
//! Promises: no plain name is given to a store; a person has one pseudonym, however many services meet it at once, until it is erased; keys
//! leave memory in bounded time; no error, log line or `Debug` shows a key or a name. See `docs/decisions/0022`.

mod cache;
mod config;
mod desk;
mod ring;
mod sealed;
mod store;
#[cfg(test)]
mod tests;
mod who;

pub use config::PrivacyConfig;
pub use desk::{Desk, Rewrapped};
pub use ring::{KeyRing, Lookup, RingError, Wrapped};
pub use sealed::{DataKey, Pseudonym, Sealed};
pub use store::{Erasure, KeyStore, PersonKey, StoreError, Stored};
pub use who::{Persons, Shown, Unavailable};
