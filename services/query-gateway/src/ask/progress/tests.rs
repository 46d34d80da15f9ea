use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use contract::ConsistencyToken;
use futures::future::join_all;
use tokio::time::sleep;

use super::super::quota::Quotas;
use super::*;
use crate::config::QueriesConfig;

/// How long a refresh is waited for by whoever does not wait for the write.
const LIMIT: Duration = Duration::from_millis(50);

/// An index of one partition: what is applied, what of it can be found, and what it was asked.
#[derive(Default)]
struct Index {
    applied: AtomicI64,
    searchable: AtomicI64,
    version: AtomicU64,
    is_away: AtomicBool,
    /// What a refresh takes beside its own, in milliseconds.
    stands_behind_ms: AtomicU64,
    looks: AtomicUsize,
    refreshes: AtomicUsize,
}

impl Index {
    fn at(applied: i64) -> (Arc<Self>, SearchProgress) {
        let index = Arc::new(Self { applied: applied.into(), version: 7.into(), ..Self::default() });
        let this = index.clone();
        let watcher = Watcher::new(move |_| {
            this.looks.fetch_add(1, Ordering::SeqCst);
            let applied = this.applied.load(Ordering::SeqCst);
            async move { Ok(applied) }.boxed()
        });
        let this = index.clone();
        let refreshes = Flights::new(move || {
            let this = this.clone();
            async move {
                this.refreshes.fetch_add(1, Ordering::SeqCst);
                if this.is_away.load(Ordering::SeqCst) {
                    return Err(ApiError::Unavailable { store: "search", why: "it is away".to_owned() });
                }
                // A refresh shows what was applied when it began.
                let applied = this.applied.load(Ordering::SeqCst);
                sleep(Duration::from_millis(5 + this.stands_behind_ms.load(Ordering::SeqCst))).await;
                this.searchable.fetch_max(applied, Ordering::SeqCst);
                Ok(())
            }
            .boxed()
        });
        (index, SearchProgress::new(watcher, refreshes, ("search", LIMIT)))
    }

    /// A search with a token of this offset; checks that what answers it shows the write.
    async fn search(&self, progress: &SearchProgress, offset: i64) -> Result<(), ApiError> {
        self.search_within(Duration::from_secs(5), progress, offset).await
    }

    async fn search_within(
        &self,
        budget: Duration,
        progress: &SearchProgress,
        offset: i64,
    ) -> Result<(), ApiError> {
        let product = "p-1".try_into().unwrap();
        let token = ConsistencyToken { partition: 0, offset, product, version: Version(7), log: None };
        let mut place =
            Quotas::new(&QueriesConfig::default()).enter(&edge::limits::Account::default()).unwrap();
        let mut wait = Wait::new(&token, budget, &mut place);
        let version_of = || async { Ok(Version(self.version.load(Ordering::SeqCst))) };
        progress.reached(&mut wait, version_of).await?;
        let searchable = self.searchable.load(Ordering::SeqCst);
        assert!(searchable > offset, "answered at {searchable}, asked for {offset}");
        Ok(())
    }

    fn asked(&self) -> (usize, usize) {
        (self.looks.load(Ordering::SeqCst), self.refreshes.load(Ordering::SeqCst))
    }
}

#[tokio::test]
async fn many_searches_share_a_refresh_and_later_ones_need_none() {
    let (index, progress) = Index::at(100);
    join_all((0..40).map(|n| index.search(&progress, 50 + n))).await.into_iter().for_each(Result::unwrap);
    let (looks, refreshes) = index.asked();
    assert!(looks <= 3 && refreshes <= 2, "{looks} looks, {refreshes} refreshes");
    join_all((0..40).map(|_| index.search(&progress, 99))).await.into_iter().for_each(Result::unwrap);
    assert_eq!(index.asked(), (looks, refreshes), "what is known to be searchable is not asked for again");
}

#[tokio::test]
async fn no_search_is_answered_by_a_refresh_that_began_before_its_position_was_reached() {
    let (index, progress) = Index::at(0);
    let begun = std::time::Instant::now();
    let applying = async {
        for applied in 1..=200 {
            sleep(Duration::from_millis(1)).await;
            index.applied.store(applied, Ordering::SeqCst);
        }
    };
    let searches = join_all((0..200_i64).map(|n| {
        let (index, progress) = (&index, &progress);
        async move {
            sleep(Duration::from_millis((n * 7 % 200) as u64)).await;
            index.search(progress, n).await.unwrap();
        }
    }));
    tokio::join!(applying, searches);
    let (_, refreshes) = index.asked();
    let one_after_another = begun.elapsed().as_millis() as usize / 5 + 2;
    assert!(refreshes <= one_after_another, "{refreshes} refreshes");
}

#[tokio::test]
async fn documents_that_were_lost_are_waited_for_and_made_searchable_again() {
    let (index, progress) = Index::at(100);
    index.search(&progress, 10).await.unwrap();
    index.version.store(2, Ordering::SeqCst);
    index.searchable.store(0, Ordering::SeqCst);
    let restoring = async {
        sleep(Duration::from_millis(300)).await;
        index.version.store(7, Ordering::SeqCst);
    };
    let (found, ()) = tokio::join!(index.search(&progress, 10), restoring);
    found.unwrap();
    assert_eq!(index.asked().1, 2);
}

#[tokio::test]
async fn after_an_outage_nothing_is_taken_for_searchable() {
    let (index, progress) = Index::at(100);
    index.search(&progress, 10).await.unwrap();
    index.is_away.store(true, Ordering::SeqCst);
    progress.notice(&ApiError::Unavailable { store: "search", why: String::new() });
    let all = join_all((0..10).map(|_| index.search(&progress, 10))).await;
    assert!(all.iter().all(|one| matches!(one, Err(ApiError::Unavailable { .. }))), "{all:?}");
    index.is_away.store(false, Ordering::SeqCst);
    index.searchable.store(0, Ordering::SeqCst);
    index.search(&progress, 10).await.unwrap();
}

#[tokio::test]
async fn a_refresh_that_stands_behind_others_is_waited_for_as_long_as_the_write() {
    let (index, progress) = Index::at(100);
    index.stands_behind_ms.store(500, Ordering::SeqCst);
    let late = index.search_within(Duration::ZERO, &progress, 10).await.unwrap_err();
    assert!(matches!(late, ApiError::Unavailable { store: "search", .. }), "{late:?}");
    index.search(&progress, 10).await.unwrap();
}
