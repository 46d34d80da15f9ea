//! The adapter on local disk, in a directory of its own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use embedded_read_models::{Embedded, Options};
use read_models::control::BuildStore;
use read_models::model::{Fold, Opens};
use read_models::publication::Published;
use read_models::{Error, Generation, ReadModel, history, products, search};
use uuid::Uuid;

use super::builds::BuildParts;
use super::{GENERATION, Parts, SearchParts};

/// A new directory, removed at the end.
#[derive(Debug)]
pub(crate) struct Dir(pub(crate) PathBuf);

impl Dir {
    pub(crate) fn new() -> Self {
        Self(std::env::temp_dir().join(format!("folio-read-models-{}", Uuid::new_v4())))
    }

    pub(crate) fn open(&self) -> Embedded {
        Embedded::open(&self.0, &Options::of_log("log 1")).unwrap()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

#[derive(Debug, Clone)]
pub(crate) struct InThisProcess {
    embedded: Embedded,
    /// Dropped behind it.
    _dir: Arc<Dir>,
}

impl<M: Fold> Opens<M> for InThisProcess
where
    Embedded: Opens<M>,
{
    type Store = <Embedded as Opens<M>>::Store;

    async fn open(&self, generation: Generation) -> Result<Self::Store, Error> {
        self.embedded.open(generation).await
    }
}

impl Parts for InThisProcess {
    async fn fresh(_read_models: &[ReadModel]) -> Self {
        let dir = Dir::new();
        Self { embedded: dir.open(), _dir: Arc::new(dir) }
    }

    async fn product_queries(&self) -> products::Queries {
        products::Queries::new(self.embedded.product_rows(GENERATION).await.unwrap())
    }

    async fn history_queries(&self) -> history::Queries {
        history::Queries::new(self.embedded.history_rows(GENERATION).await.unwrap())
    }

    async fn end(self) {}
}

impl SearchParts for InThisProcess {
    async fn search_queries(&self) -> search::Queries {
        search::Queries::new(self.embedded.search_index(GENERATION).await.unwrap())
    }
}

impl BuildParts for InThisProcess {
    fn builds(&self) -> &dyn BuildStore {
        &self.embedded
    }

    fn told(&self, read_model: ReadModel) -> Arc<dyn Published> {
        self.embedded.publication(read_model)
    }

    fn is_published_by_revision(&self, _read_model: ReadModel) -> bool {
        true
    }
}

/// Every file below `dir`.
pub(crate) fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}
