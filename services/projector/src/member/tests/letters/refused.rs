//! Products that a store refuses, many in one write.

use super::*;

/// More than may be refused in a row.
const MANY: usize = 12;

/// A world whose store refuses [`MANY`] products, which come in one batch with those that it takes, and what is to be parked of it.
fn world(taken: &[&str]) -> (World, Vec<(i64, Kind)>) {
    let mut world = World::new();
    world.at_once = 100;
    let many: Vec<String> = (0..MANY).map(|number| format!("refused-{number:02}")).collect();
    let mut parked = Vec::new();
    for kind in [Kind::RefusedByStore, Kind::Follows] {
        for product in &many {
            parked.push((world.log.lock().unwrap().len() as i64, kind));
            world.append(product, Wrong::Nothing);
        }
        for product in taken {
            world.append(product, Wrong::Nothing);
        }
    }
    world.rows.0.lock().unwrap().refused.extend(many);
    (world, parked)
}

#[tokio::test]
async fn all_that_are_refused_in_one_write_are_parked_in_one_pass_if_others_of_it_are_taken() {
    let (mut world, parked) = world(&["a"]);
    world.restart().await;
    world.has(&parked).await;
    world.rows(&[("a", 2)]);
    let writes = world.rows.0.lock().unwrap().writes;
    assert_eq!(writes, 2, "once with them, and once without");
    // Whoever is taken from now on is no reason to forget them.
    world.append("a", Wrong::Nothing);
    world.has(&parked).await;
    world.rows(&[("a", 3)]);
    world.rows.0.lock().unwrap().refused.clear();
    for number in 0..MANY {
        world.decided(redrive(&format!("refused-{number:02}"))).await;
    }
    world.has(&[]).await;
    world.equals_one_that_never_failed().await;
}

#[tokio::test]
async fn a_store_that_takes_nothing_of_a_write_stops_the_partition_and_nothing_is_parked() {
    let (mut world, _) = world(&[]);
    world.restart().await;
    let mut stopped = None;
    for _ in 0..PATIENCE {
        stopped = world.progress.stopped_because(0);
        if stopped.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let stopped = stopped.expect("the partition stops");
    assert!(stopped.contains("12 products") && stopped.contains("a mapping says no"), "{stopped}");
    assert!(world.letters().is_empty(), "{:?}", world.letters());
    assert_eq!(world.rows.0.lock().unwrap().position.map_or(0, |it| it.applied), 0);
}
