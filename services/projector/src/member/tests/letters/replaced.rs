//! A log that is not the one that the rows are of: nothing of it is written, and it is said what was found.

use read_models::LogId;

use super::*;

/// A log that is applied: of these products, with a version for each time they are named.
async fn applied(products: &[&str]) -> World {
    let mut world = World::new();
    for product in products {
        world.append(product, Wrong::Nothing);
    }
    world.restart().await;
    world.has(&[]).await;
    world
}

/// The records of another log.
fn others(products: &[&str]) -> Vec<LogRecord> {
    let mut world = World::new();
    for product in products {
        world.append(product, Wrong::Nothing);
    }
    world.log.lock().unwrap().clone()
}

impl World {
    /// Another log is there from now on.
    fn holds(&self, records: Vec<LogRecord>) {
        *self.log.lock().unwrap() = records;
    }

    fn log_id(&self) -> LogId {
        LogId::of_first(&self.log.lock().unwrap()[0])
    }

    fn position(&self) -> Position {
        self.rows.0.lock().unwrap().position.unwrap()
    }

    /// Waits until the partition has stopped; why.
    async fn stopped(&self) -> String {
        for _ in 0..PATIENCE {
            if let Some(reason) = self.progress.stopped_because(0) {
                return reason;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("the partition has not stopped: {:?}", self.position());
    }
}

#[tokio::test]
async fn a_log_that_was_replaced_stops_the_partition_before_anything_of_it_is_written() {
    // Longer, as long, shorter: what is there says which log it is.
    for products in [&["c", "c", "c", "d", "d"][..], &["c", "d", "c"], &["c"]] {
        let mut world = applied(&["a", "b", "a"]).await;
        let (was, before) = (world.log_id(), world.position());
        world.holds(others(products));
        world.restart().await;
        let reason = world.stopped().await;
        for part in [was.to_string(), world.log_id().to_string(), "folio stores apply".to_owned()] {
            assert!(reason.contains(&part), "{reason} names {part}");
        }
        world.rows(&[("a", 2), ("b", 1)]);
        assert_eq!(world.position(), before);
    }
}

#[tokio::test]
async fn a_log_that_is_replaced_while_it_is_followed_stops_the_partition_too() {
    let world = applied(&["a", "b", "a"]).await;
    let before = world.position();
    world.holds(others(&["c", "d", "c", "d", "e", "e"]));
    let reason = world.stopped().await;
    assert!(reason.contains("another log"), "{reason}");
    world.rows(&[("a", 2), ("b", 1)]);
    assert_eq!(world.position(), before);
}

#[tokio::test]
async fn a_log_without_the_records_that_are_applied_stops_the_partition() {
    let world = applied(&["a", "b", "a"]).await;
    let (records, before) = (world.log.lock().unwrap().clone(), world.position());
    for (kept, said) in [(0, "there is no record here"), (2, "ends at offset 2")] {
        for log in [before.log, None] {
            let mut world = World::new();
            world.holds(records[..kept].to_vec());
            world.rows.0.lock().unwrap().position = Some(Position { log, ..before });
            world.restart().await;
            let reason = world.stopped().await;
            assert!(reason.contains(said), "{reason}");
            assert_eq!(world.position(), Position { log, ..before });
        }
    }
}

#[tokio::test]
async fn a_log_that_was_moved_with_all_its_records_is_the_one_it_was() {
    let mut world = applied(&["a", "b", "a"]).await;
    world.log.lock().unwrap().iter_mut().for_each(|record| record.timestamp_ms += 1_000);
    world.append("b", Wrong::Nothing);
    world.restart().await;
    world.has(&[]).await;
    world.rows(&[("a", 2), ("b", 2)]);
}

#[tokio::test]
async fn the_log_is_written_beside_the_position_also_where_an_earlier_release_or_nothing_was() {
    let mut world = applied(&["a", "b", "a"]).await;
    assert_eq!(world.position().log, Some(world.log_id()));
    let position = world.position();
    world.rows.0.lock().unwrap().position = Some(Position { log: None, ..position });
    world.restart().await;
    world.append("b", Wrong::Nothing);
    world.has(&[]).await;
    assert_eq!(world.position().log, Some(world.log_id()));
    // A partition that is empty when it is taken over has no log yet.
    let mut world = World::new();
    world.restart().await;
    world.append("a", Wrong::Nothing);
    world.has(&[]).await;
    assert_eq!(world.position().log, Some(world.log_id()));
}

#[tokio::test]
async fn a_store_that_lost_its_positions_is_filled_again_from_whatever_log_there_is() {
    let mut world = applied(&["a", "b", "a"]).await;
    world.begins = 3;
    world.holds(others(&["c", "d", "c", "d"]));
    *world.rows.0.lock().unwrap() = Rows::default();
    world.restart().await;
    world.has(&[]).await;
    world.rows(&[("c", 2), ("d", 2)]);
}
