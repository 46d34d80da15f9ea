//! What every store of persons' keys owes its port, [`KeyStore`], one case per promise. Each adapter's test runs it on an empty store.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use jiff::Timestamp;
use persons::{Erasure, KeyStore, Lookup, PersonKey, Pseudonym, Wrapped};
use tokio::task::JoinSet;

/// Persons of the case that goes through all.
const MANY: u16 = 230;

/// Runs every case.
///
/// # Errors
/// The first promise that is not kept.
pub async fn person_keys_conform(store: Arc<dyn KeyStore>) -> anyhow::Result<()> {
    what_was_added_is_found_both_ways(&*store).await.context("what was added is found both ways")?;
    of_many_at_once_one_is_first(&store).await.context("of many at once one is first")?;
    what_was_erased_is_gone(&*store).await.context("what was erased is gone")?;
    only_what_is_still_so_is_rewrapped(&*store).await.context("only what is still so is rewrapped")?;
    pages_have_everybody_once(&*store).await.context("pages have everybody once")
}

/// Somebody whose lookup is filled with this number.
fn person(number: u16) -> PersonKey {
    let mut lookup = [7; 32];
    lookup[..2].copy_from_slice(&number.to_be_bytes());
    PersonKey {
        lookup: Lookup(lookup),
        pseudonym: Pseudonym::random(),
        wrapped: Wrapped { master: "k1".to_owned(), bytes: vec![0, 255, number as u8] },
        created_at: Timestamp::UNIX_EPOCH,
    }
}

fn erasure(person: &PersonKey, reason: &str) -> Erasure {
    let (by, reason) = ("a test".to_owned(), reason.to_owned());
    Erasure { pseudonym: person.pseudonym, at: Timestamp::UNIX_EPOCH, by, reason }
}

async fn what_was_added_is_found_both_ways(store: &dyn KeyStore) -> anyhow::Result<()> {
    let (ann, nobody) = (person(1), Pseudonym::random());
    ensure!(store.by_lookup(ann.lookup).await?.is_none() && store.page(None, 10).await?.is_empty());
    ensure!(store.create(&ann).await? == ann);
    ensure!(store.create(&ann).await? == ann, "to repeat it is harmless");
    ensure!(store.by_lookup(ann.lookup).await? == Some(ann.clone()));
    let found = store.by_pseudonyms(&[nobody, ann.pseudonym]).await?;
    ensure!(found == [None, Some(ann.clone())]);
    let late = PersonKey { pseudonym: Pseudonym::random(), ..ann.clone() };
    ensure!(store.create(&late).await? == ann, "who was first stays");
    ensure!(store.by_pseudonyms(&[late.pseudonym]).await? == [None]);
    Ok(())
}

async fn of_many_at_once_one_is_first(store: &Arc<dyn KeyStore>) -> anyhow::Result<()> {
    let mut race = JoinSet::new();
    for _ in 0..12 {
        let (store, person) = (Arc::clone(store), person(2));
        race.spawn(async move {
            // Stores may let one of those who race try again.
            loop {
                match store.create(&person).await {
                    Err(error) if error.transient => {}
                    answer => return answer,
                }
            }
        });
    }
    let answers: Vec<_> = race.join_all().await.into_iter().collect::<Result<_, _>>()?;
    ensure!(answers.windows(2).all(|two| two[0] == two[1]), "{answers:?}");
    ensure!(store.by_lookup(person(2).lookup).await?.as_ref() == answers.first());
    Ok(())
}

async fn what_was_erased_is_gone(store: &dyn KeyStore) -> anyhow::Result<()> {
    let bob = store.create(&person(3)).await?;
    store.erase(&bob, &erasure(&bob, "asked")).await?;
    store.erase(&bob, &erasure(&bob, "asked")).await?;
    ensure!(store.by_lookup(bob.lookup).await?.is_none());
    ensure!(store.by_pseudonyms(&[bob.pseudonym]).await? == [None]);
    ensure!(store.erasures().await? == [erasure(&bob, "asked")]);
    let again = store.create(&person(3)).await?;
    ensure!(again.pseudonym != bob.pseudonym, "whoever comes back is somebody else");
    // A late repetition is about who was erased, not about who came back.
    store.erase(&bob, &erasure(&bob, "asked twice")).await?;
    ensure!(store.by_lookup(again.lookup).await? == Some(again.clone()));
    ensure!(store.by_pseudonyms(&[bob.pseudonym, again.pseudonym]).await? == [None, Some(again)]);
    Ok(())
}

async fn only_what_is_still_so_is_rewrapped(store: &dyn KeyStore) -> anyhow::Result<()> {
    let eve = store.create(&person(4)).await?;
    let wrapped = Wrapped { master: "k2".to_owned(), bytes: vec![1; 60] };
    ensure!(store.rewrap(&eve, &wrapped).await?);
    let now = PersonKey { wrapped: wrapped.clone(), ..eve.clone() };
    ensure!(store.by_lookup(eve.lookup).await? == Some(now.clone()));
    let other = Wrapped { master: "k3".to_owned(), bytes: vec![2; 60] };
    ensure!(!store.rewrap(&eve, &other).await?, "somebody else was first");
    store.erase(&now, &erasure(&now, "asked")).await?;
    ensure!(!store.rewrap(&now, &other).await?, "nobody is there");
    ensure!(store.by_lookup(eve.lookup).await?.is_none(), "and nobody comes back by it");
    Ok(())
}

async fn pages_have_everybody_once(store: &dyn KeyStore) -> anyhow::Result<()> {
    for number in 100..100 + MANY {
        store.create(&person(number)).await?;
    }
    let (mut after, mut all) = (None, Vec::new());
    loop {
        let page = store.page(after, 50).await?;
        ensure!(page.len() <= 50);
        let Some(last) = page.last() else { break };
        after = Some(last.lookup);
        all.extend(page.into_iter().map(|it| it.lookup));
    }
    let told = all.len();
    all.sort_unstable();
    all.dedup();
    ensure!(told == all.len() && told == 3 + usize::from(MANY), "{told} of which {} differ", all.len());
    Ok(())
}
