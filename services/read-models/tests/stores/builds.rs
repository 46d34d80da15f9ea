//! Builds beside one another: made, filled, compared, published, named and dropped.

use std::sync::Arc;

use read_models::compare::By;
use read_models::control::BuildStore;
use read_models::history::HistoryModel;
use read_models::model::{Fold, Opens, Position, Positions, Store};
use read_models::products::Products;
use read_models::publication::Published;
use read_models::search::SearchModel;
use read_models::{Error, Generation, ReadModel};

use super::records::{created, deleted, id, moved, priced, project, records};
use super::{GENERATION, GROUP, SearchParts};

/// An adapter that holds several builds.
pub(crate) trait BuildParts: SearchParts {
    fn builds(&self) -> &dyn BuildStore;

    fn told(&self, read_model: ReadModel) -> Arc<dyn Published>;

    /// Whether of two publications the one that was decided later stays, whichever comes last. Where an alias is moved the last one
    /// stays: whoever moves it looks first.
    fn is_published_by_revision(&self, read_model: ReadModel) -> bool;
}

fn second() -> Generation {
    Generation::try_from(2).unwrap()
}

fn of<M: Fold>() -> ReadModel {
    M::DECLARED.name.parse().unwrap()
}

/// What opens the build, or asks for it where nothing is looked at before, is told that it is missing.
async fn is_missing<M: Fold, A: Opens<M>>(parts: &A, generation: Generation) -> bool {
    let there = async { parts.open(generation).await?.positions().is_there().await };
    let outcome: Result<(), Error> = there.await;
    outcome.is_err_and(|error| error.is_missing())
}

pub(crate) async fn a_build_is_made_filled_and_dropped_beside_another_one<A: BuildParts>() {
    let parts = A::fresh(ReadModel::ALL).await;
    is_made_filled_and_dropped::<Products, A>(&parts).await;
    is_made_filled_and_dropped::<HistoryModel, A>(&parts).await;
    is_made_filled_and_dropped::<SearchModel, A>(&parts).await;
    parts.end().await;
}

async fn is_made_filled_and_dropped<M: Fold, A: BuildParts + Opens<M>>(parts: &A) {
    let (builds, of, second) = (parts.builds(), of::<M>(), second());
    assert_eq!(builds.all(of).await.unwrap(), [GENERATION], "{of}");
    assert!(is_missing::<M, A>(parts, second).await, "{of}");
    builds.create(of, second).await.unwrap();
    let mut all = builds.all(of).await.unwrap();
    all.sort_unstable();
    assert_eq!(all, [GENERATION, second], "{of}");
    let store = Opens::<M>::open(parts, second).await.unwrap();
    project::<M, _>(&store, &records(0, vec![created(0, "rings"), priced(5)])).await;
    store.positions().write(GROUP, 0, Position { applied: 2, durable: 2, log: None }).await.unwrap();
    builds.create(of, second).await.unwrap();
    builds.ready(of, second).await.unwrap();
    let first = Opens::<M>::open(parts, GENERATION).await.unwrap();
    assert_eq!(first.positions().read(GROUP, 0).await.unwrap(), None, "{of}: of the other build");
    let position = store.positions().read(GROUP, 0).await.unwrap().unwrap();
    assert_eq!(position.applied, 2, "{of}: what is there stays");
    builds.drop_build(of, second).await.unwrap();
    builds.drop_build(of, second).await.unwrap();
    assert_eq!(builds.all(of).await.unwrap(), [GENERATION], "{of}");
    assert!(is_missing::<M, A>(parts, second).await, "{of}");
    assert!(store.positions().is_there().await.is_err_and(|error| error.is_missing()), "{of}");
    first.positions().is_there().await.unwrap();
}

pub(crate) async fn whoever_reads_is_told_the_build_that_was_published_last_and_those_with_names<
    A: BuildParts,
>() {
    let parts = A::fresh(ReadModel::ALL).await;
    let (builds, second) = (parts.builds(), second());
    for of in ReadModel::ALL.iter().copied() {
        let told = parts.told(of);
        assert_eq!(told.read().await.unwrap(), GENERATION, "{of}");
        assert_eq!(told.named("old").await.unwrap(), None, "{of}");
        assert!(builds.publish(of, second, None, 1).await.is_err_and(|error| error.is_missing()), "{of}");
        assert_eq!(told.read().await.unwrap(), GENERATION, "{of}");
        builds.create(of, second).await.unwrap();
        builds.publish(of, second, Some(GENERATION), 5).await.unwrap();
        assert_eq!(told.read().await.unwrap(), second, "{of}: at once");
        assert_eq!(builds.published(of).await.unwrap().generation, second, "{of}");
        if parts.is_published_by_revision(of) {
            builds.publish(of, GENERATION, Some(second), 4).await.unwrap();
            assert_eq!(told.read().await.unwrap(), second, "{of}: decided before");
        }
        builds.publish(of, GENERATION, Some(second), 6).await.unwrap();
        assert_eq!(told.read().await.unwrap(), GENERATION, "{of}: back again");
        builds.name(of, second, "old", 7).await.unwrap();
        assert_eq!(told.named("old").await.unwrap(), Some(second), "{of}");
        assert_eq!(told.named("older").await.unwrap(), None, "{of}");
        builds.name(of, GENERATION, "old", 8).await.unwrap();
        assert_eq!(told.named("old").await.unwrap(), Some(GENERATION), "{of}: one build has it");
        assert_eq!(told.read().await.unwrap(), GENERATION, "{of}: a name changes nothing else");
        builds.drop_build(of, second).await.unwrap();
    }
    parts.end().await;
}

pub(crate) async fn builds_are_the_same_or_it_is_told_what_differs<A: BuildParts>() {
    let parts = A::fresh(ReadModel::ALL).await;
    are_compared::<Products, A>(&parts).await;
    are_compared::<HistoryModel, A>(&parts).await;
    are_compared::<SearchModel, A>(&parts).await;
    parts.end().await;
}

async fn are_compared<M: Fold, A: BuildParts + Opens<M>>(parts: &A) {
    let (builds, of, second) = (parts.builds(), of::<M>(), second());
    builds.create(of, second).await.unwrap();
    let one = Opens::<M>::open(parts, GENERATION).await.unwrap();
    let other = Opens::<M>::open(parts, second).await.unwrap();
    let life = |n: usize| match n % 3 {
        0 => records(n, vec![created(n, "rings"), moved("rings/old"), deleted()]),
        _ => records(n, vec![created(n, "rings"), priced(7)]),
    };
    for n in 0..40 {
        project::<M, _>(&one, &life(n)).await;
    }
    // In another order, and in one batch.
    let all: Vec<_> = (0..40).rev().flat_map(life).collect();
    project::<M, _>(&other, &all).await;
    let same = builds.compare(of, [second, GENERATION], By::Rows).await.unwrap();
    assert!(same.is_same(), "{of}: {same:?}");
    assert!(same.rows.iter().all(|(_, [one, other])| *one > 0 && one == other), "{of}: {:?}", same.rows);

    project::<M, _>(&other, &records(40, vec![created(40, "rings")])).await;
    let further = records(1, vec![created(1, "rings"), priced(7), priced(8)]);
    project::<M, _>(&one, &further).await;
    let compared = builds.compare(of, [second, GENERATION], By::Rows).await.unwrap();
    assert!(compared.hopeless.is_none() && !compared.is_same());
    let mut products: Vec<&str> = compared.differences.keys().map(|(product, _)| product.as_str()).collect();
    products.dedup();
    assert_eq!(products, [id(1).as_str(), id(40).as_str()], "{of}");
    let first_table = of.declared().tables[0].name;
    let of_new = &compared.differences[&(id(40).to_string(), first_table)];
    assert_eq!(of_new.each_ref().map(Vec::len), [1, 0], "{of}");
    builds.drop_build(of, second).await.unwrap();
}
