//! The builds of each read model: made, opened, published, compared and dropped.
//!
//! Promises: a build is opened once, and shared by all who ask for it; what is dropped goes in an order of which a crash leaves a
//! build that is there and is built again from the beginning, or none; a build that is made begins empty.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use read_models::{Error, Generation, ReadModel};

use crate::build::{Build, Presence};
use crate::catalog;
use crate::disk::failed;
use crate::marks::TableMarks;
use crate::search::{self, EmbeddedSearch};
use crate::{Inner, history, letters, marks, positions, products};

/// The directory of the first build of `search`; those of others have their names behind it.
const SEARCH: &str = "search";

/// The directory of the first build of `search`.
pub(crate) fn first_index(dir: &std::path::Path) -> PathBuf {
    dir.join(SEARCH)
}

/// What is open of each build that anybody has asked for.
#[derive(Debug, Default)]
pub(crate) struct Places(Mutex<ByBuild>);

type ByBuild = BTreeMap<(ReadModel, Generation), Arc<Mutex<Place>>>;

/// What is open of one build. Held by whoever makes, opens or drops it; not by those who only use it.
#[derive(Debug, Default)]
pub(crate) struct Place {
    presence: Arc<Presence>,
    search: Option<EmbeddedSearch>,
}

impl Places {
    fn of(&self, read_model: ReadModel, generation: Generation) -> Arc<Mutex<Place>> {
        Arc::clone(locked(&self.0).entry((read_model, generation)).or_default())
    }
}

/// All of this blocks on the disk.
impl Inner {
    /// A build in tables.
    pub(crate) fn build(&self, read_model: ReadModel, generation: Generation) -> Result<Build, Error> {
        // First: whoever asks for what is not there leaves nothing behind.
        self.catalog.require(read_model, generation)?;
        let place = self.places.of(read_model, generation);
        let place = locked(&place);
        self.require(&place, read_model, generation)?;
        Ok(Build::new(&self.tables, generation, Arc::clone(&place.presence)))
    }

    /// The index of a build of `search`.
    pub(crate) fn index(&self, generation: Generation) -> Result<EmbeddedSearch, Error> {
        self.catalog.require(ReadModel::Search, generation)?;
        let place = self.places.of(ReadModel::Search, generation);
        self.index_at(&mut locked(&place), generation)
    }

    fn index_at(&self, place: &mut Place, generation: Generation) -> Result<EmbeddedSearch, Error> {
        self.require(place, ReadModel::Search, generation)?;
        if let Some(open) = &place.search {
            return Ok(open.clone());
        }
        let presence = Arc::clone(&place.presence);
        let beside = Build::new(&self.tables, generation, Arc::clone(&presence));
        let marks = Arc::new(TableMarks::new(&beside, ReadModel::Search));
        let opened = EmbeddedSearch::open(&self.index_dir(generation), &self.log, presence, marks)?;
        Ok(place.search.insert(opened).clone())
    }

    fn require(&self, place: &Place, read_model: ReadModel, generation: Generation) -> Result<(), Error> {
        // It is recorded as there until all of it is dropped.
        place.presence.check()?;
        self.catalog.require(read_model, generation)
    }

    /// An error if the build is not there.
    pub(crate) fn look_for(&self, read_model: ReadModel, generation: Generation) -> Result<(), Error> {
        self.catalog.require(read_model, generation)?;
        let place = self.places.of(read_model, generation);
        self.require(&locked(&place), read_model, generation)
    }

    /// Whether any group has a position in it.
    pub(crate) fn is_begun(&self, read_model: ReadModel, generation: Generation) -> Result<bool, Error> {
        if !self.catalog.is_there(read_model, generation)? {
            return Ok(false);
        }
        if read_model == ReadModel::Search {
            return Ok(self.index(generation)?.has_positions());
        }
        let table = self.tables.table(&format!("{}_{generation}", positions::table(read_model)));
        let first = table.page(None, 1, 1).map_err(|error| failed(&error))?;
        Ok(!first.is_empty())
    }

    /// The builds that are there, whole or in parts.
    pub(crate) fn all(&self, read_model: ReadModel) -> Result<Vec<Generation>, Error> {
        let mut all = self.catalog.all(read_model)?;
        if read_model == ReadModel::Search {
            all.extend(self.index_dirs()?);
        }
        Ok(all.into_iter().collect())
    }

    /// Makes place for a build that is not there.
    pub(crate) fn create(&self, read_model: ReadModel, generation: Generation) -> Result<(), Error> {
        let place = self.places.of(read_model, generation);
        let mut place = locked(&place);
        if self.is_there(&place, read_model, generation)? {
            return Ok(());
        }
        // Of one that was lost with the tables, or half dropped: it must not begin where that ended.
        self.clear(&mut place, read_model, generation)?;
        self.catalog.made(read_model, generation)?;
        *place = Place::default();
        Ok(())
    }

    fn is_there(&self, place: &Place, read_model: ReadModel, generation: Generation) -> Result<bool, Error> {
        Ok(!place.presence.is_gone() && self.catalog.is_there(read_model, generation)?)
    }

    /// Drops a build, or what is there of it.
    pub(crate) fn drop_build(&self, read_model: ReadModel, generation: Generation) -> Result<(), Error> {
        let place = self.places.of(read_model, generation);
        let mut place = locked(&place);
        self.clear(&mut place, read_model, generation)?;
        // Last: a build that is there in part is found, and dropped again.
        if self.catalog.is_there(read_model, generation)? {
            self.catalog.dropped(read_model, generation)?;
        }
        Ok(())
    }

    /// Makes an end of all that a build has: its positions first.
    fn clear(&self, place: &mut Place, read_model: ReadModel, generation: Generation) -> Result<(), Error> {
        place.presence.end(read_model, generation);
        if let Some(open) = place.search.take() {
            open.abandon();
        }
        if read_model == ReadModel::Search {
            // Its positions are among its files: once this is there, none of them is believed.
            search::distrust(&self.index_dir(generation), "it was dropped");
        } else {
            self.clear_table(&positions::table(read_model), generation)?;
        }
        // What was not applied is come to again, as long as it is not known how far anybody was.
        self.clear_table(&letters::table(read_model), generation)?;
        self.clear_table(&marks::table(read_model), generation)?;
        match read_model {
            ReadModel::Products => self.clear_tables(&products::TABLES, generation),
            ReadModel::History => self.clear_tables(&history::TABLES, generation),
            ReadModel::Search => {
                let dir = self.index_dir(generation);
                match fs::remove_dir_all(&dir) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(Error::Unavailable(format!(
                            "search index in {}: cannot remove it: {error}; Folio must be able to write there",
                            dir.display()
                        )))
                    }
                    _ => Ok(()),
                }
            }
        }
    }

    fn clear_tables(&self, rows: &[&str], generation: Generation) -> Result<(), Error> {
        rows.iter().try_for_each(|table| self.clear_table(table, generation))
    }

    fn clear_table(&self, name: &str, generation: Generation) -> Result<(), Error> {
        let table = self.tables.table(&format!("{name}_{generation}"));
        table.clear().map_err(|error| failed(&error))
    }

    pub(crate) fn publish(
        &self,
        read_model: ReadModel,
        generation: Generation,
        before: Option<Generation>,
        order: u64,
    ) -> Result<(), Error> {
        if let Some(before) = before.filter(|_| read_model == ReadModel::Search) {
            // Not while the other place is held: two who publish could wait for one another.
            self.make_visible(before)?;
        }
        let place = self.places.of(read_model, generation);
        let mut place = locked(&place);
        self.require(&place, read_model, generation)?;
        if read_model == ReadModel::Search {
            self.index_at(&mut place, generation)?.make_visible()?;
        }
        self.catalog.tell(catalog::read_by_all(read_model), generation, order)
    }

    /// What was written to an index is found. In one that nobody has open it is; and one that is gone nobody reads.
    pub(crate) fn make_visible(&self, generation: Generation) -> Result<(), Error> {
        let place = self.places.of(ReadModel::Search, generation);
        let open = locked(&place).search.clone();
        match open.map(|open| open.make_visible()) {
            Some(Err(error)) if !error.is_missing() => Err(error),
            _ => Ok(()),
        }
    }

    pub(crate) fn name(
        &self,
        read_model: ReadModel,
        generation: Generation,
        name: &str,
        order: u64,
    ) -> Result<(), Error> {
        let place = self.places.of(read_model, generation);
        let place = locked(&place);
        self.require(&place, read_model, generation)?;
        self.catalog.tell(&catalog::named(read_model, name), generation, order)
    }

    fn index_dir(&self, generation: Generation) -> PathBuf {
        if generation == Generation::FIRST {
            first_index(&self.dir)
        } else {
            self.dir.join(format!("{SEARCH}-{generation}"))
        }
    }

    /// The builds whose directories are there.
    fn index_dirs(&self) -> Result<BTreeSet<Generation>, Error> {
        let unreadable = |error: io::Error| {
            Error::Unavailable(format!("cannot look into the directory {}: {error}", self.dir.display()))
        };
        let mut found = BTreeSet::new();
        for entry in fs::read_dir(&self.dir).map_err(unreadable)? {
            let name = entry.map_err(unreadable)?.file_name();
            let Some(behind) = name.to_str().and_then(|name| name.strip_prefix(SEARCH)) else { continue };
            let generation = match behind.strip_prefix('-') {
                Some(generation) => generation.parse().ok(),
                None => behind.is_empty().then_some(Generation::FIRST),
            };
            // One spelling.
            found.extend(generation.filter(|it| self.index_dir(*it).file_name() == Some(&name)));
        }
        Ok(found)
    }
}

/// What a panic left behind is used: each change of it is a single step.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
