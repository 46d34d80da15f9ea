//! Saved products in memory, which outlive the sequencers that use them: for tests of starts from a snapshot.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ledger::{ColdError, ColdProducts, Mark, Saved, Snapshot, Subject};

/// How a state becomes bytes and is read back.
#[derive(Debug)]
pub struct StateCodec<S> {
    pub encode: fn(&S, &mut Vec<u8>),
    pub decode: fn(&[u8]) -> Option<S>,
}

/// The saved products of one partition. Clones are the same place.
pub struct SimCold<S> {
    codec: StateCodec<S>,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default, Clone)]
struct Shared {
    mark: Option<Mark>,
    products: BTreeMap<Subject, Vec<u8>>,
    found: u64,
}

impl<S> SimCold<S> {
    pub fn new(codec: StateCodec<S>) -> Self {
        Self { codec, shared: Arc::default() }
    }

    /// Writes a snapshot, all of it.
    pub fn write(&self, snapshot: &Snapshot<S>) {
        let mut shared = self.shared();
        for saved in &snapshot.products {
            let encode = |state: &S, into: &mut Vec<u8>| {
                (self.codec.encode)(state, into);
                Ok::<_, std::convert::Infallible>(())
            };
            match saved.encode(encode) {
                Ok(bytes) => shared.products.insert(saved.subject().clone(), bytes),
                Err(error) => panic!("a state that was decided is saved: {error}"),
            };
        }
        shared.mark = Some(snapshot.mark.clone());
    }

    /// Where its last snapshot stands, if there is one.
    pub fn mark(&self) -> Option<Mark> {
        self.shared().mark.clone()
    }

    /// Another place with the same content: a backup, or the disk of a copied machine.
    #[must_use]
    pub fn copy(&self) -> Self {
        let codec = StateCodec { encode: self.codec.encode, decode: self.codec.decode };
        Self { codec, shared: Arc::new(Mutex::new(self.shared().clone())) }
    }

    /// Makes it the snapshot of a log that never was: another last record, and other states.
    pub fn falsify(&self) {
        let mut shared = self.shared();
        if let Some(mark) = &mut shared.mark {
            let mut key = mark.key.to_vec();
            if let Some(last) = key.last_mut() {
                *last = if *last == b'0' { b'1' } else { b'0' };
            }
            mark.key = key.into();
        }
        for bytes in shared.products.values_mut() {
            if let Some(last) = bytes.last_mut() {
                *last ^= 1;
            }
        }
    }

    /// How often a saved product was found.
    pub fn found(&self) -> u64 {
        self.shared().found
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Send> ColdProducts<S> for SimCold<S> {
    fn load(&self, subject: &Subject) -> Result<Option<Saved<S>>, ColdError> {
        let mut shared = self.shared();
        let Some(bytes) = shared.products.get(subject).cloned() else { return Ok(None) };
        shared.found += 1;
        let decode = |bytes: &[u8]| (self.codec.decode)(bytes).ok_or("it is damaged");
        Saved::decode(subject.clone(), &bytes, decode).map(Some)
    }

    fn clear(&mut self) {
        *self.shared() = Shared::default();
    }
}

impl<S> Clone for SimCold<S> {
    fn clone(&self) -> Self {
        let codec = StateCodec { encode: self.codec.encode, decode: self.codec.decode };
        Self { codec, shared: Arc::clone(&self.shared) }
    }
}

impl<S> fmt::Debug for SimCold<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimCold").field("shared", &self.shared).finish_non_exhaustive()
    }
}
