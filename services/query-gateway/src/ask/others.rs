//! Builds that questions name, beside the one that is read.
//!
//! Promises: one is opened when it is first asked for, once for all who ask meanwhile, and kept while it is among the last
//! [`KEPT`] that were asked for; which build has a name is looked up again when that is older than it may be believed.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use read_models::publication::Published;
use read_models::{Error, Generation};
use tokio::runtime::Handle;
use tokio::sync::OnceCell;

use super::reader::{Reader, Served};

/// Builds of one read model, and names, that are kept at once: it has two or three, and a few with names. Whoever asks for
/// many that are not there drives others out, which costs the next question for those that it opens them again.
const KEPT: usize = 8;

/// Opens a build.
pub(super) type Open<Q> = dyn Fn(Generation) -> BoxFuture<'static, Result<Q, Error>> + Send + Sync;

/// The builds that were asked for by number or by name.
pub(super) struct Others<Q: Served> {
    published: Arc<dyn Published>,
    believed: Duration,
    open: Arc<Open<Q>>,
    /// What readers begin belongs to no question, so it runs on the runtime of the process.
    runtime: Handle,
    readers: Recent<Generation, OnceCell<Arc<Reader<Q>>>>,
    names: Recent<String, tokio::sync::Mutex<Option<LookedUp>>>,
}

/// The build that has a name, if there is one, and until when that is believed.
type LookedUp = (Option<Generation>, Instant);

impl<Q: Served> fmt::Debug for Others<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Others").field("published", &self.published).finish_non_exhaustive()
    }
}

impl<Q: Served> Others<Q> {
    /// Must be called on the runtime of the process.
    pub(super) fn new(published: Arc<dyn Published>, believed: Duration, open: Arc<Open<Q>>) -> Self {
        let (readers, names) = (Recent(Mutex::default()), Recent(Mutex::default()));
        Self { published, believed, open, runtime: Handle::current(), readers, names }
    }

    /// The build that has this name.
    pub(super) async fn named(&self, name: &str) -> Result<Option<Generation>, Error> {
        let name = name.to_owned();
        let known = self.names.of(&name);
        // Held while it is looked up: whoever asks meanwhile is told the same.
        let mut known = known.lock().await;
        if let Some((generation, until)) = *known
            && Instant::now() < until
        {
            return Ok(generation);
        }
        let asked = Instant::now();
        let generation = self.published.named(&name).await?;
        *known = Some((generation, asked + self.believed));
        Ok(generation)
    }

    /// The reader of a build, which `read` makes of what was opened.
    pub(super) async fn reader(
        &self,
        generation: Generation,
        read: impl FnOnce(Q) -> Reader<Q>,
    ) -> Result<Arc<Reader<Q>>, Error> {
        let opening = async || {
            let queries = (self.open)(generation).await?;
            let _on_it = self.runtime.enter();
            Ok(Arc::new(read(queries)))
        };
        let opened = self.readers.of(&generation).get_or_try_init(opening).await.cloned();
        if opened.as_ref().is_err_and(Error::is_missing) {
            self.readers.forget(&generation, |_| true);
        }
        opened
    }

    /// Lets the next question for the build of this reader open it again.
    pub(super) fn forget(&self, reader: &Arc<Reader<Q>>) {
        let is_it = |cell: &OnceCell<_>| cell.get().is_some_and(|kept| Arc::ptr_eq(kept, reader));
        self.readers.forget(&reader.generation, is_it);
    }
}

/// What was asked for last, the newest at the end.
struct Recent<K, V>(Mutex<Vec<(K, Arc<V>)>>);

impl<K: Clone + PartialEq, V: Default> Recent<K, V> {
    /// What is kept for this key; a new one if nothing is, which takes the place of the one that was not asked for longest.
    fn of(&self, key: &K) -> Arc<V> {
        let mut kept = self.kept();
        let value = if let Some(at) = kept.iter().position(|(it, _)| it == key) {
            kept.remove(at).1
        } else {
            if kept.len() == KEPT {
                kept.remove(0);
            }
            Arc::default()
        };
        kept.push((key.clone(), Arc::clone(&value)));
        value
    }

    /// Keeps nothing for this key, if it is what is meant.
    fn forget(&self, key: &K, is_meant: impl Fn(&V) -> bool) {
        self.kept().retain(|(it, value)| it != key || !is_meant(value));
    }

    fn kept(&self) -> MutexGuard<'_, Vec<(K, Arc<V>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_were_asked_for_last_are_kept() {
        let recent = Recent::<usize, OnceCell<usize>>(Mutex::default());
        for n in 0..KEPT {
            recent.of(&n).set(n).unwrap();
        }
        assert_eq!(recent.of(&0).get(), Some(&0));
        recent.of(&KEPT);
        let kept: Vec<usize> = recent.kept().iter().map(|(n, _)| *n).collect();
        assert_eq!(kept, [2, 3, 4, 5, 6, 7, 0, KEPT], "1 was not asked for longest");
        recent.forget(&0, |cell| cell.get() == Some(&7));
        assert_eq!(recent.of(&0).get(), Some(&0), "another is meant");
        recent.forget(&0, |_| true);
        assert_eq!(recent.of(&0).get(), None);
    }
}
