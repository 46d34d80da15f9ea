//! What was redriven, on a store that may lose what it has acknowledged.

use super::*;

const WINDOW: Duration = Duration::from_millis(200);

impl World {
    async fn has_version(&self, product: &str, version: u64) {
        for _ in 0..PATIENCE {
            if self.rows.versions().get(product) == Some(&version) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("{product} is not at {version}: {:?}", self.rows.versions());
    }

    /// The store is started anew, and has only this of its states. All records are below its position: none of them comes again.
    async fn loses_its_last_rows(&self, kept: BTreeMap<String, ProductState>) {
        let position = self.log.lock().unwrap().len() as i64;
        {
            let mut rows = self.rows.0.lock().unwrap();
            rows.states = kept;
            rows.position = Some(Position { applied: position, durable: position, log: None });
            rows.start = rows.start.map(|it| it + 1);
        }
        self.look().await;
    }

    async fn look(&self) {
        self.durability.as_ref().unwrap().look(&self.rows).await.unwrap();
    }
}

#[tokio::test]
async fn letters_stay_until_what_was_redriven_is_on_disk_for_a_store_that_loses_it_gets_no_record_again() {
    let mut world = World::new();
    world.rows.0.lock().unwrap().start = Some(1);
    world.durability = Some(Arc::new(Durability::new(WINDOW)));
    world.look().await;
    for wrong in [Wrong::Nothing, Wrong::Late, Wrong::Nothing] {
        world.append("a", wrong);
    }
    world.restart().await;
    let parked = [(1, Kind::Undecodable), (2, Kind::Follows)];
    world.has(&parked).await;
    let kept = world.rows.0.lock().unwrap().states.clone();

    // A release that can read it comes, and all of it is applied; nobody knows yet whether it is on disk.
    world.cure();
    world.begins = 3;
    world.rows.0.lock().unwrap().position = Some(Position { applied: 3, durable: 3, log: None });
    world.restart().await;
    world.has_version("a", 3).await;
    world.has(&parked).await;
    world.loses_its_last_rows(kept).await;
    world.has_version("a", 3).await;
    world.has(&parked).await;

    // The process dies in between: the next one finds the letters, and that they are applied already.
    world.append("a", Wrong::Nothing);
    world.has_version("a", 4).await;
    world.has(&parked).await;
    world.restart().await;
    world.append("a", Wrong::Nothing);
    world.has_version("a", 5).await;
    tokio::time::sleep(2 * WINDOW).await;
    world.look().await;
    world.has(&[]).await;
    world.rows(&[("a", 5)]);
    world.equals_one_that_never_failed().await;
}
