//! What is done with builds as a whole, by whoever carries out what is decided.

use std::fmt::Debug;

use futures::FutureExt;

use super::record::Step;
use crate::compare::{By, Compared, compare};
use crate::declared::On;
use crate::publication::PublishedBuild;
use crate::{Answered, Error, Generation, ReadModel, Servers};

/// Where the builds of read models lie.
pub trait BuildStore: Debug + Send + Sync {
    /// The builds that are there, whole or in parts.
    fn all(&self, read_model: ReadModel) -> Answered<'_, Vec<Generation>>;

    /// Makes place for a build. What is there already stays.
    fn create(&self, read_model: ReadModel, generation: Generation) -> Answered<'_, ()>;

    /// The build has all that it is to have: what was left out to fill it sooner is made up for.
    fn ready(&self, read_model: ReadModel, generation: Generation) -> Answered<'_, ()>;

    /// Whether anybody has ever made some of a build, in whatever group.
    fn is_begun(&self, read_model: ReadModel, generation: Generation) -> Answered<'_, bool>;

    /// Whether it may lose what it acknowledged last, if its processes die.
    fn may_lose(&self) -> bool;

    /// Makes an end of all that a build has.
    fn drop_build(&self, read_model: ReadModel, generation: Generation) -> Answered<'_, ()>;

    /// The build that whoever reads is told.
    fn published(&self, read_model: ReadModel) -> Answered<'_, PublishedBuild>;

    /// Tells whoever reads that this is the one; `order` is [`super::Builds::published_order`]: what was decided before has no effect after
    /// it. All that was written to it is found by then, and in the one that was read `before`.
    fn publish(
        &self,
        read_model: ReadModel,
        generation: Generation,
        before: Option<Generation>,
        order: u64,
    ) -> Answered<'_, ()>;

    /// Gives a build a name by which it can be read, told in this `order`.
    fn name<'a>(
        &'a self,
        read_model: ReadModel,
        generation: Generation,
        name: &'a str,
        order: u64,
    ) -> Answered<'a, ()>;

    /// Compares two builds.
    fn compare(&self, read_model: ReadModel, builds: [Generation; 2], by: By) -> Answered<'_, Compared>;
}

/// The step that says, where decisions were lost, that this build is what is read. Where others are left it is taken only of a build that
/// is published.
///
/// # Errors
/// If the store cannot say what is published.
pub async fn adoption(
    store: &dyn BuildStore,
    read_model: ReadModel,
    generation: Generation,
) -> Result<Step, Error> {
    let published = match store.published(read_model).await {
        Ok(published) => Some(published).filter(|it| it.generation == generation).map(|it| it.order),
        Err(error) if error.is_missing() => None,
        Err(error) => return Err(error),
    };
    Ok(Step::Adopt { generation, format: read_model.declared().format, published })
}

impl BuildStore for Servers {
    fn all(&self, read_model: ReadModel) -> Answered<'_, Vec<Generation>> {
        self.generations(read_model).boxed()
    }

    fn create(&self, read_model: ReadModel, generation: Generation) -> Answered<'_, ()> {
        async move { self.make(read_model, generation).await }.boxed()
    }

    fn ready(&self, read_model: ReadModel, generation: Generation) -> Answered<'_, ()> {
        async move {
            if let On::Search { index, .. } = &read_model.declared().on {
                self.search().await?.ready(index, generation.get()).await?;
            }
            Ok(())
        }
        .boxed()
    }

    fn is_begun(&self, read_model: ReadModel, generation: Generation) -> Answered<'_, bool> {
        async move {
            let builds = self.builds(read_model).await?;
            Ok(builds.iter().any(|it| it.generation == generation && !it.groups.is_empty()))
        }
        .boxed()
    }

    fn may_lose(&self) -> bool {
        true
    }

    fn drop_build(&self, read_model: ReadModel, generation: Generation) -> Answered<'_, ()> {
        async move {
            for what in self.drop_generation(read_model, generation).await? {
                tracing::info!("{what}: dropped");
            }
            Ok(())
        }
        .boxed()
    }

    fn published(&self, read_model: ReadModel) -> Answered<'_, PublishedBuild> {
        async move { self.publication(read_model).told().await }.boxed()
    }

    fn publish(
        &self,
        read_model: ReadModel,
        generation: Generation,
        before: Option<Generation>,
        order: u64,
    ) -> Answered<'_, ()> {
        async move { self.publication(read_model).publish(generation, before, order).await }.boxed()
    }

    fn name<'a>(
        &'a self,
        read_model: ReadModel,
        generation: Generation,
        name: &'a str,
        order: u64,
    ) -> Answered<'a, ()> {
        async move { self.publication(read_model).name(generation, name, order).await }.boxed()
    }

    fn compare(&self, read_model: ReadModel, builds: [Generation; 2], by: By) -> Answered<'_, Compared> {
        compare(self, read_model, builds, by).boxed()
    }
}
