//! What is written and not committed yet, and the commits.
//!
//! Promises: a product is never replaced by an older one; a commit holds everything that was written before it, products and
//! positions as one; what could not be committed is kept and committed later; ending commits what is left, begins no merge, and
//! leaves nobody behind who writes.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ahash::AHashMap;
use domain::ProductId;
use read_models::model::{Position, State};
use read_models::search::first_group;
use read_models::{Error, StoredProduct};
use tantivy::indexer::{IndexWriter, NoMergePolicy};
use tantivy::{Index, IndexReader, Searcher, TantivyDocument};

use super::opening::{self, Kept, Opened};
use super::schema::Fields;
use super::store::Lookup;
use super::{broken, failed};
use crate::build::Presence;

/// How long something written is not committed at most, about.
const COMMIT_AFTER: Duration = Duration::from_secs(1);
/// A commit comes sooner when so many bytes of products wait for one.
const MAX_WAITING_BYTES: usize = 24 * 1024 * 1024;

/// The index, shared by all who write and ask.
pub(super) struct Shared {
    dir: PathBuf,
    log: String,
    pub(super) fields: Fields,
    /// None: the index is abandoned. What is open keeps files of it.
    reader: RwLock<Option<IndexReader>>,
    presence: Arc<Presence>,
    /// Taken before `waiting`, and held while a commit runs.
    writer: Mutex<Writer>,
    /// Held for moments only.
    waiting: Mutex<Waiting>,
    due: Due,
}

struct Writer {
    index: Index,
    /// None: there was an error, and another one has to be made, which knows nothing of what waits.
    open: Option<IndexWriter>,
    is_closed: bool,
    /// Nobody else has the directory as long as this is open.
    lock: Option<File>,
}

/// What is not in a commit yet.
#[derive(Default)]
struct Waiting {
    products: AHashMap<ProductId, Arc<StoredProduct>>,
    bytes: usize,
    /// All there are.
    positions: Kept,
    /// Whether `positions` are others than those of the last commit.
    has_new_positions: bool,
}

impl Writer {
    /// Nobody writes in the directory from then on. Merges that run are awaited, and none begins.
    fn end(&mut self) {
        self.is_closed = true;
        if let Some(open) = self.open.take() {
            open.set_merge_policy(Box::new(NoMergePolicy));
            // What did not end well is in no commit, and is removed by the next writer.
            drop(open.wait_merging_threads());
        }
        self.lock = None;
    }
}

impl Shared {
    pub(super) fn new(opened: Opened, presence: Arc<Presence>) -> Result<Self, Error> {
        let Opened { dir, log, lock, index, reader, fields, positions, discarded: _ } = opened;
        let open = opening::writer(&index).map_err(|error| failed(&dir, &error))?;
        let writer = Writer { index, open: Some(open), is_closed: false, lock: Some(lock) };
        let waiting = Waiting { positions, ..Waiting::default() };
        let due = Due::default();
        let (writer, waiting) = (Mutex::new(writer), Mutex::new(waiting));
        let reader = RwLock::new(Some(reader));
        Ok(Self { dir, log, fields, reader, presence, writer, waiting, due })
    }

    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is committed.
    pub(super) fn searcher(&self) -> Result<Searcher, Error> {
        let reader = self.reader.read().unwrap_or_else(PoisonError::into_inner);
        reader.as_ref().map(IndexReader::searcher).ok_or_else(|| self.gone())
    }

    /// An error if the build that it is of is dropped.
    pub(super) fn is_there(&self) -> Result<(), Error> {
        self.presence.check()
    }

    fn gone(&self) -> Error {
        match self.presence.check() {
            Err(gone) => gone,
            Ok(()) => broken(&self.dir, "it is closed: Folio is ending", false),
        }
    }

    pub(super) fn has_positions(&self) -> bool {
        !locked(&self.waiting).positions.is_empty()
    }

    /// A product that is written and not committed yet.
    pub(super) fn uncommitted(&self, product: &ProductId) -> Option<Arc<StoredProduct>> {
        locked(&self.waiting).products.get(product).cloned()
    }

    pub(super) fn position(&self, group: &str, partition: i32) -> Option<Position> {
        locked(&self.waiting).positions.get(&(group.to_owned(), partition)).copied()
    }

    pub(super) fn write_position(&self, group: &str, partition: i32, position: Position) {
        let key = (group.to_owned(), partition);
        let mut waiting = locked(&self.waiting);
        let there = waiting.positions.get(&key).copied();
        let newest = match there {
            Some(there) if there.applied > position.applied => there,
            Some(there) if there.applied == position.applied => {
                let log = position.log.or(there.log);
                Position { durable: there.durable.max(position.durable), log, ..position }
            }
            _ => position,
        };
        if there == Some(newest) {
            return;
        }
        waiting.positions.insert(key, newest);
        waiting.has_new_positions = true;
        drop(waiting);
        self.due.within(COMMIT_AFTER);
    }

    /// Writes those that are newer than what is there. After an error some are written, and all may be again.
    pub(super) fn write(&self, states: &[StoredProduct]) -> Result<(), Error> {
        let mut left = states;
        while !left.is_empty() {
            let (some, others) = left.split_at(first_group(left));
            self.write_group(some)?;
            left = others;
        }
        Ok(())
    }

    fn write_group(&self, states: &[StoredProduct]) -> Result<(), Error> {
        // Made before anybody has to wait.
        let mut documents = Vec::with_capacity(states.len());
        for state in states {
            documents.push((state, self.fields.document(state)?));
        }
        let mut writer = locked(&self.writer);
        let searcher = self.searcher()?;
        let lookup = Lookup::new(&searcher, &self.fields).map_err(|error| self.failed(&error))?;
        for (state, document) in documents {
            let id = &state.product.id;
            let there = match self.uncommitted(id) {
                Some(there) => there.product.version,
                None => lookup.version(id).map_err(|error| self.failed(&error))?,
            };
            if state.product.version > there {
                self.put(&mut writer, state, document)?;
            }
        }
        if locked(&self.waiting).bytes > MAX_WAITING_BYTES {
            self.commit_with(&mut writer)?;
        } else {
            self.due.within(COMMIT_AFTER);
        }
        Ok(())
    }

    fn put(
        &self,
        writer: &mut Writer,
        state: &StoredProduct,
        document: TantivyDocument,
    ) -> Result<(), Error> {
        let id = &state.product.id;
        let open = self.open(writer)?;
        open.delete_term(self.fields.id(id.as_str()));
        if let Err(error) = open.add_document(document) {
            writer.open = None;
            return Err(self.failed(&error));
        }
        let mut waiting = locked(&self.waiting);
        waiting.bytes += State::size(state);
        if let Some(before) = waiting.products.insert(id.clone(), Arc::new(state.clone())) {
            waiting.bytes -= State::size(&*before).min(waiting.bytes);
        }
        Ok(())
    }

    /// Makes everything written so far searchable, and durable.
    pub(super) fn commit(&self) -> Result<(), Error> {
        self.commit_with(&mut locked(&self.writer))
    }

    /// Makes every product written so far searchable.
    pub(super) fn refresh(&self) -> Result<(), Error> {
        let mut writer = locked(&self.writer);
        if locked(&self.waiting).products.is_empty() { Ok(()) } else { self.commit_with(&mut writer) }
    }

    fn commit_with(&self, writer: &mut Writer) -> Result<(), Error> {
        // A failed one is tried again, asked for or not.
        self.try_to_commit(writer).inspect_err(|_| self.due.within(COMMIT_AFTER))
    }

    fn try_to_commit(&self, writer: &mut Writer) -> Result<(), Error> {
        // Whoever writes a position from now on asks for another commit.
        self.due.is_served();
        let (positions, has_new) = {
            let waiting = locked(&self.waiting);
            (waiting.positions.clone(), waiting.has_new_positions || !waiting.products.is_empty())
        };
        if !has_new {
            return Ok(());
        }
        let payload = opening::payload(&self.log, &positions)
            .map_err(|error| broken(&self.dir, format!("positions cannot be written: {error}"), false))?;
        let open = self.open(writer)?;
        let committed = open.prepare_commit().and_then(|mut commit| {
            commit.set_payload(&payload);
            commit.commit()
        });
        if let Err(error) = committed.and_then(|_| self.reload()) {
            writer.open = None;
            return Err(self.failed(&error));
        }
        // Products are written by those only who have the writer, so all of these are in the commit.
        let mut waiting = locked(&self.waiting);
        let products = std::mem::take(&mut waiting.products);
        waiting.bytes = 0;
        waiting.has_new_positions = waiting.positions != positions;
        drop(waiting);
        // Freed where no reader waits for it.
        drop(products);
        Ok(())
    }

    fn reload(&self) -> tantivy::Result<()> {
        let reader = self.reader.read().unwrap_or_else(PoisonError::into_inner);
        reader.as_ref().map_or(Ok(()), IndexReader::reload)
    }

    /// The writer; after an error another one, with everything that waits.
    fn open<'a>(&self, writer: &'a mut Writer) -> Result<&'a mut IndexWriter, Error> {
        if writer.is_closed {
            return Err(self.gone());
        }
        let open = match writer.open.take() {
            Some(open) => open,
            None => self.reopened(&writer.index)?,
        };
        Ok(writer.open.insert(open))
    }

    fn reopened(&self, index: &Index) -> Result<IndexWriter, Error> {
        let open = opening::writer(index).map_err(|error| self.failed(&error))?;
        let products: Vec<Arc<StoredProduct>> = locked(&self.waiting).products.values().cloned().collect();
        for state in products {
            open.delete_term(self.fields.id(state.product.id.as_str()));
            open.add_document(self.fields.document(&state)?).map_err(|error| self.failed(&error))?;
        }
        Ok(open)
    }

    /// A commit by the thread that makes them when they are due. The library asserts in places that its files are as it wrote
    /// them: that is an error here, after which the commit is due again.
    fn commit_as_due(&self) -> Result<(), Error> {
        catch_unwind(AssertUnwindSafe(|| self.commit())).unwrap_or_else(|_| {
            // What the writer holds may be half of something: another one is made, with everything that waits.
            locked(&self.writer).open = None;
            self.due.within(COMMIT_AFTER);
            Err(broken(&self.dir, "the library that keeps it panicked in a commit", true))
        })
    }

    /// Commits what is left, and waits until nothing writes in the directory any more: only then may others have it. Merges that
    /// run are awaited, and none begins.
    fn close(&self) {
        let mut writer = locked(&self.writer);
        if writer.is_closed {
            return;
        }
        if let Some(open) = &writer.open {
            open.set_merge_policy(Box::new(NoMergePolicy));
        }
        if let Err(error) = self.commit_with(&mut writer) {
            tracing::warn!(
                "the end of what was written is not in the search index, and comes again from the log: {error}"
            );
        }
        writer.end();
    }

    /// Closes it and commits nothing, for good: its files are about to be removed, and belong to nobody any more.
    pub(super) fn abandon(&self) {
        let mut writer = locked(&self.writer);
        writer.end();
        // What is searched at the moment keeps what it has open.
        *self.reader.write().unwrap_or_else(PoisonError::into_inner) = None;
        *locked(&self.waiting) = Waiting::default();
        drop(writer);
        self.due.end();
    }

    pub(super) fn failed(&self, error: &tantivy::TantivyError) -> Error {
        failed(&self.dir, error)
    }
}

/// Commits what nobody asks to be refreshed.
pub(super) struct Committer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Committer {
    pub(super) fn start(shared: &Arc<Shared>) -> Result<Self, Error> {
        let (shared, of_thread) = (shared.clone(), shared.clone());
        let thread = std::thread::Builder::new().name("search-commits".to_owned()).spawn(move || {
            while of_thread.due.wait() {
                if let Err(error) = of_thread.commit_as_due() {
                    tracing::warn!("what was written is not searchable yet; trying again: {error}");
                }
            }
            of_thread.close();
        });
        let dir = shared.dir.clone();
        let thread =
            thread.map_err(|error| broken(&dir, format!("cannot start its thread: {error}"), true))?;
        Ok(Self { shared, thread: Some(thread) })
    }
}

impl Drop for Committer {
    fn drop(&mut self) {
        self.shared.due.end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that commits the search index panicked");
        }
    }
}

/// When the next commit is due.
#[derive(Default)]
struct Due {
    state: Mutex<DueState>,
    changed: Condvar,
}

#[derive(Default)]
struct DueState {
    at: Option<Instant>,
    is_end: bool,
}

impl Due {
    fn within(&self, time: Duration) {
        let mut state = locked(&self.state);
        if state.at.is_none() {
            state.at = Some(Instant::now() + time);
            self.changed.notify_all();
        }
    }

    fn is_served(&self) {
        locked(&self.state).at = None;
    }

    fn end(&self) {
        locked(&self.state).is_end = true;
        self.changed.notify_all();
    }

    /// Until a commit is due; false at the end.
    fn wait(&self) -> bool {
        let mut state = locked(&self.state);
        loop {
            if state.is_end {
                return false;
            }
            let now = Instant::now();
            state = match state.at {
                Some(at) if at <= now => return true,
                Some(at) => {
                    let waited = self.changed.wait_timeout(state, at - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }
}

/// What a panic left behind is used: each change of it is a single step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use domain::Description;

    use super::super::tests::product;
    use super::*;

    #[test]
    fn after_an_error_another_writer_commits_everything_that_waits() {
        let dir = tempfile::TempDir::new().unwrap();
        let shared = Shared::new(opening::open(dir.path(), "a log").unwrap(), Arc::default()).unwrap();
        shared.write(&[product(0, 1), product(1, 1)]).unwrap();
        shared.commit().unwrap();
        shared.write(&[product(1, 2), product(2, 1)]).unwrap();
        // As an error leaves it: what the writer had is gone.
        locked(&shared.writer).open = None;
        shared.write(&[product(3, 1)]).unwrap();
        shared.refresh().unwrap();
        assert!(locked(&shared.waiting).products.is_empty());
        let ids: Vec<ProductId> = [0, 1, 2, 3].map(|n| product(n, 1).product.id).to_vec();
        let found = shared.products(&ids).unwrap();
        let versions: Vec<u64> = found.iter().flatten().map(|state| state.product.version.get()).collect();
        assert_eq!((versions, shared.searcher().unwrap().num_docs()), (vec![1, 2, 1, 1], 4));
    }

    #[test]
    fn more_products_than_are_made_documents_of_at_once_are_all_written() {
        let dir = tempfile::TempDir::new().unwrap();
        let shared = Shared::new(opening::open(dir.path(), "a log").unwrap(), Arc::default()).unwrap();
        let description = Description::parse(&"long ".repeat(1_900)).unwrap();
        let mut states: Vec<StoredProduct> = (0..500).map(|n| product(n, 1)).collect();
        for state in &mut states {
            state.product.description = description.clone();
        }
        assert!(first_group(&states) < 400, "several groups");
        shared.write(&states).unwrap();
        shared.refresh().unwrap();
        assert_eq!(shared.searcher().unwrap().num_docs(), 500);
    }

    #[test]
    fn a_position_that_says_nothing_new_asks_for_no_commit() {
        let dir = tempfile::TempDir::new().unwrap();
        let shared = Shared::new(opening::open(dir.path(), "a log").unwrap(), Arc::default()).unwrap();
        let at = |applied, durable| Position { applied, durable, log: None };
        let is_due = || locked(&shared.due.state).at.is_some();
        shared.write_position("group", 0, at(5, 3));
        assert!(is_due());
        shared.commit().unwrap();
        for old in [at(5, 3), at(5, 2), at(4, 4)] {
            shared.write_position("group", 0, old);
            assert_eq!((is_due(), shared.position("group", 0)), (false, Some(at(5, 3))), "{old:?}");
        }
        shared.write_position("group", 0, at(5, 4));
        assert_eq!((is_due(), shared.position("group", 0)), (true, Some(at(5, 4))));
    }

    #[test]
    fn a_document_without_a_product_is_an_error_and_the_next_start_builds_the_index_again() {
        let dir = tempfile::TempDir::new().unwrap();
        let shared = Shared::new(opening::open(dir.path(), "a log").unwrap(), Arc::default()).unwrap();
        let [whole, empty] = [0, 1].map(|n| product(n, 1).product.id);
        shared.write(&[product(0, 1)]).unwrap();
        let mut document = TantivyDocument::new();
        document.add_text(shared.fields.product_id, empty.as_str());
        shared.open(&mut locked(&shared.writer)).unwrap().add_document(document).unwrap();
        shared.commit().unwrap();
        let failed = shared.products(&[empty]).unwrap_err().to_string();
        assert!(failed.contains("cannot be read") && failed.contains("start again"), "{failed}");
        assert!(shared.products(&[whole]).unwrap()[0].is_some(), "until then it goes on");
        drop(shared);
        let opened = opening::open(dir.path(), "a log").unwrap();
        assert!(opened.discarded.is_some_and(|why| why.contains("it failed in use")));
    }
}
