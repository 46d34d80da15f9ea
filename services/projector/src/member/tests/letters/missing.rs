//! Letters that somebody has deleted: what they held the log says.

use super::*;

async fn with_refused() -> World {
    let mut world = World::new();
    for product in ["a", "b", "a", "b", "b"] {
        world.append(product, Wrong::Nothing);
    }
    world.rows.0.lock().unwrap().refused.insert("b".to_owned());
    world.restart().await;
    world.has(&[(1, Kind::RefusedByStore), (3, Kind::Follows), (4, Kind::Follows)]).await;
    world.rows.0.lock().unwrap().refused.clear();
    world
}

#[tokio::test]
async fn a_product_of_which_a_letter_is_missing_is_built_from_the_log() {
    for missing in [1, 3, 4] {
        let mut world = with_refused().await;
        world.letters.all.lock().unwrap().remove(&(0, missing));
        world.decided(redrive("b")).await;
        world.has(&[]).await;
        world.append("b", Wrong::Nothing);
        world.has(&[]).await;
        world.rows(&[("a", 2), ("b", 4)]);
        world.equals_one_that_never_failed().await;
    }
}

#[tokio::test]
async fn a_product_whose_first_letter_is_missing_is_given_up_all_the_same() {
    let mut world = with_refused().await;
    world.letters.all.lock().unwrap().remove(&(0, 1));
    let which = Selection { product: Some("b".to_owned()), ..Selection::default() };
    world.decided(Step::Discard { which, why: "a test".to_owned() }).await;
    world.has(&[(1, Kind::RefusedByStore)]).await;
    let marker = world.letters.all.lock().unwrap()[&(0, 1)].clone();
    assert!(marker.outline.is_discarded && marker.original.key == world.log.lock().unwrap()[1].key);
    world.rows(&[("a", 2)]);
}
