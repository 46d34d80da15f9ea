//! A journal whose end, or all of it, is lost.

use super::*;
use crate::publication::PublishedBuild;

#[tokio::test]
async fn what_was_published_by_a_decision_that_is_lost_is_told_and_may_be_adopted() {
    let journal = Arc::new(Memory::default());
    let mut whole = desk(&journal);
    let (mut published, mut order) = (Vec::new(), 0);
    for step in [a_build(2), equal(2), hold(2), Step::Switch, Step::Live, hold(1), Step::Switch, Step::Live] {
        let is_switch = step == Step::Switch;
        take(&mut whole, step).await;
        let builds = whole.builds(MODEL);
        assert!(builds.published_order() > order);
        order = builds.published_order();
        let now = PublishedBuild { generation: builds.read, order };
        assert_eq!(builds.lost(MODEL, now), None);
        published.extend(is_switch.then_some((builds.revision as usize, now)));
    }
    // What was published long ago, or is put back by hand, is known.
    assert!(published.iter().all(|(_, it)| whole.builds(MODEL).lost(MODEL, *it).is_none()));
    let all = journal.entries.lock().unwrap().clone();
    for (revision, published) in published {
        for (kept, begins) in (0..revision).flat_map(|kept| [(kept, 0), (kept, 100)]) {
            // Also one that was copied, so that its times are later: of that one a build is known that was read before.
            let journal = Arc::new(Memory::default());
            for _ in 0..begins {
                journal.put("read-model/prices/1/x", b"{}");
            }
            for entry in &all[..kept] {
                journal.put(std::str::from_utf8(&entry.key).unwrap(), &entry.value);
            }
            let mut desk = desk(&journal);
            desk.look().await.unwrap();
            let lost = desk.builds(MODEL).lost(MODEL, published);
            if begins > 0 && kept > 0 && published.generation == build(1) {
                assert_eq!(lost, None);
                continue;
            }
            let lost = lost.unwrap_or_else(|| panic!("{kept} of {revision} are there"));
            let command = format!("folio read-models adopt products --generation {}", published.generation);
            assert!(lost.contains(&command), "{lost}");
            let adopt = |published| Step::Adopt { generation: build(1), format: 1, published };
            if kept > 0 {
                let refused = refused(&mut desk, adopt(None)).await;
                assert!(refused.contains("nothing else was published since"), "{refused}");
            }
            let PublishedBuild { generation, order } = published;
            take(&mut desk, Step::Adopt { generation, format: 1, published: Some(order) }).await;
            let builds = desk.builds(MODEL);
            assert_eq!((builds.read, builds.turn, builds.all().count()), (generation, Turn::Steady, 1));
            assert!(builds.published_order() > order && builds.lost(MODEL, published).is_none());
        }
    }
}
