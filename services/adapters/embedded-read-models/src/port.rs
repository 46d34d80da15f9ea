//! What whoever carries out decisions, and whoever reads, asks of the builds here.
//!
//! Promise: nothing is decided here; whatever may wait for the disk is done on a thread that may block.

use std::sync::Arc;

use futures::FutureExt;
use read_models::compare::{By, Compared, compare};
use read_models::control::BuildStore;
use read_models::publication::{Published, PublishedBuild};
use read_models::{Answered, Error, Generation, ReadModel};

use crate::disk::blocking;
use crate::{Embedded, Inner, catalog};

/// Where the build of one read model is told.
#[derive(Debug)]
struct Publication {
    inner: Arc<Inner>,
    read_model: ReadModel,
}

impl Embedded {
    /// Which build of the read model is read, and which has a name.
    pub fn publication(&self, read_model: ReadModel) -> Arc<dyn Published> {
        Arc::new(Publication { inner: Arc::clone(&self.0), read_model })
    }

    fn doing<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, Error> + Send + 'static,
    ) -> Answered<'_, T> {
        let inner = Arc::clone(&self.0);
        blocking(move || work(&inner)).boxed()
    }
}

impl Published for Publication {
    fn read(&self) -> Answered<'_, Generation> {
        async { Ok(self.inner.catalog.published(self.read_model)?.generation) }.boxed()
    }

    fn named<'a>(&'a self, name: &'a str) -> Answered<'a, Option<Generation>> {
        async { self.inner.catalog.told(&catalog::named(self.read_model, name)) }.boxed()
    }
}

impl BuildStore for Embedded {
    fn all(&self, read_model: ReadModel) -> Answered<'_, Vec<Generation>> {
        self.doing(move |inner| inner.all(read_model))
    }

    /// What is left of a build that is not there goes first.
    fn create(&self, read_model: ReadModel, generation: Generation) -> Answered<'_, ()> {
        self.doing(move |inner| inner.create(read_model, generation))
    }

    /// Nothing is left out to fill it sooner; what was written last is found then.
    fn ready(&self, read_model: ReadModel, generation: Generation) -> Answered<'_, ()> {
        self.doing(move |inner| {
            inner.look_for(read_model, generation)?;
            if read_model == ReadModel::Search { inner.make_visible(generation) } else { Ok(()) }
        })
    }

    fn is_begun(&self, read_model: ReadModel, generation: Generation) -> Answered<'_, bool> {
        self.doing(move |inner| inner.is_begun(read_model, generation))
    }

    /// The process that dies is this one, and what it wrote is the system's.
    fn may_lose(&self) -> bool {
        false
    }

    /// Whoever has it open is told so: it stays gone for them, also if one with its number is made again.
    fn drop_build(&self, read_model: ReadModel, generation: Generation) -> Answered<'_, ()> {
        self.doing(move |inner| {
            inner.drop_build(read_model, generation)?;
            tracing::info!("build {generation} of {read_model}: dropped");
            Ok(())
        })
    }

    fn published(&self, read_model: ReadModel) -> Answered<'_, PublishedBuild> {
        async move { self.0.catalog.published(read_model) }.boxed()
    }

    fn publish(
        &self,
        read_model: ReadModel,
        generation: Generation,
        before: Option<Generation>,
        order: u64,
    ) -> Answered<'_, ()> {
        self.doing(move |inner| inner.publish(read_model, generation, before, order))
    }

    fn name<'a>(
        &'a self,
        read_model: ReadModel,
        generation: Generation,
        name: &'a str,
        order: u64,
    ) -> Answered<'a, ()> {
        let name = name.to_owned();
        self.doing(move |inner| inner.name(read_model, generation, &name, order))
    }

    fn compare(&self, read_model: ReadModel, builds: [Generation; 2], by: By) -> Answered<'_, Compared> {
        compare(self, read_model, builds, by).boxed()
    }
}
