//! Tokens that were judged good, so that a signature is checked once and not with every request.
//!
//! Promises: what is remembered counts only while the very keys count that it was judged by, so that a key that was withdrawn takes its
//! tokens with it; tokens are not kept, only their hashes; memory is bounded.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sha2::{Digest, Sha256};

use super::key_set::KeySet;
use super::principal::Principal;

/// The most tokens that are remembered. When there are more, all are forgotten: they are judged again.
const MAX: usize = 8_192;

/// What is remembered.
#[derive(Default)]
pub(super) struct Judged(Mutex<Remembered>);

#[derive(Default)]
struct Remembered {
    /// What all of it was judged by.
    by: Option<Arc<KeySet>>,
    callers: HashMap<[u8; 32], Principal>,
}

impl fmt::Debug for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judged").field("tokens", &self.remembered().callers.len()).finish_non_exhaustive()
    }
}

impl Judged {
    /// Whose token this is, if it was judged by these keys. Whether its time is over, the caller says.
    pub(super) fn find(&self, token: &str, keys: &Arc<KeySet>) -> Option<Principal> {
        let hash = hash(token);
        let remembered = self.remembered();
        let by = remembered.by.as_ref().filter(|by| Arc::ptr_eq(by, keys));
        by.and_then(|_| remembered.callers.get(&hash)).cloned()
    }

    pub(super) fn keep(&self, token: &str, keys: &Arc<KeySet>, caller: &Principal) {
        let hash = hash(token);
        let mut remembered = self.remembered();
        let is_of_these = remembered.by.as_ref().is_some_and(|by| Arc::ptr_eq(by, keys));
        if !is_of_these || remembered.callers.len() >= MAX {
            *remembered = Remembered { by: Some(Arc::clone(keys)), callers: HashMap::new() };
        }
        remembered.callers.insert(hash, caller.clone());
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_the_keys_that_it_was_judged_by_and_no_others() {
        let (judged, keys, newer) =
            (Judged::default(), Arc::new(KeySet::default()), Arc::new(KeySet::default()));
        let ada = Principal::default();
        assert_eq!(judged.find("a.b.c", &keys), None);
        judged.keep("a.b.c", &keys, &ada);
        assert_eq!(judged.find("a.b.c", &keys), Some(ada.clone()));
        assert_eq!(judged.find("a.b.d", &keys), None);
        assert_eq!(judged.find("a.b.c", &newer), None);
        judged.keep("a.b.d", &newer, &ada);
        assert_eq!(judged.find("a.b.c", &keys), None, "what older keys said is forgotten");
        for n in 0..=MAX {
            judged.keep(&n.to_string(), &newer, &ada);
        }
        assert!(judged.remembered().callers.len() <= MAX);
    }
}
