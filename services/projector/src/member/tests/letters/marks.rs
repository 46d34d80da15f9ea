//! What readers are told of what is parked: before the position that is beyond it, and as the letters say.

use std::collections::BTreeMap;

use futures::FutureExt;
use futures::future::BoxFuture;
use read_models::marks::{Mark, Marking, Marks};
use read_models::{Answered, ProductId};

use super::*;

/// The marks that are in a store.
#[derive(Debug, Default)]
pub(super) struct Marked {
    all: BTreeMap<String, Mark>,
    is_away: bool,
    looked: usize,
    written: usize,
}

impl Marks for Kept {
    fn write<'a>(
        &'a self,
        _: &'a str,
        _: i32,
        marks: &'a Marking,
        retry: &'a Retry,
    ) -> BoxFuture<'a, Result<(), GaveUp<Error>>> {
        let write = move || async move {
            let marked = &mut self.0.lock().unwrap().marks;
            if marked.is_away {
                return Err(Error::Unavailable("it is away".to_owned()));
            }
            marked.written += 1;
            for (product, mark) in marks {
                match mark {
                    Some(mark) => drop(marked.all.insert(product.clone(), *mark)),
                    None => drop(marked.all.remove(product)),
                }
            }
            Ok(())
        };
        async move { retry.run("mark", write).await }.boxed()
    }

    fn of_partition<'a>(&'a self, _: &'a str, _: i32) -> Answered<'a, BTreeMap<String, Mark>> {
        let marked = &mut self.0.lock().unwrap().marks;
        marked.looked += 1;
        let all = marked.all.clone();
        async move { Ok(all) }.boxed()
    }

    fn of_products<'a>(&'a self, _: &'a str, ids: &'a [ProductId]) -> Answered<'a, Vec<Option<Mark>>> {
        let marks = &self.0.lock().unwrap().marks.all;
        let found = ids.iter().map(|id| marks.get(id.as_str()).copied()).collect();
        async move { Ok(found) }.boxed()
    }

    fn count<'a>(&'a self, _: &'a str) -> Answered<'a, u64> {
        let count = self.0.lock().unwrap().marks.all.len() as u64;
        async move { Ok(count) }.boxed()
    }
}

impl World {
    /// Of each marked product its first offset, why, and whether it was given up.
    fn marks(&self) -> Vec<(String, i64, Kind, bool)> {
        let marks = &self.rows.0.lock().unwrap().marks.all;
        let told =
            |(product, it): (&String, &Mark)| (product.clone(), it.first_offset, it.kind, it.is_discarded);
        marks.iter().map(told).collect()
    }

    /// The marks are those of the letters, as a look at both says.
    fn is_marked_as_lettered(&self) {
        let letters = self.letters.all.lock().unwrap();
        let mut expected: BTreeMap<String, Mark> = BTreeMap::new();
        for letter in letters.values() {
            let of = expected.entry(letter.outline.subject.clone());
            of.or_insert_with(|| Mark::from(&letter.outline));
        }
        assert_eq!(self.rows.0.lock().unwrap().marks.all, expected);
    }
}

fn marked(product: &str, first: i64, kind: Kind) -> (String, i64, Kind, bool) {
    (product.to_owned(), first, kind, false)
}

#[tokio::test]
async fn who_finds_the_position_finds_the_mark_and_where_nothing_is_parked_nothing_is_written() {
    let mut world = World::new();
    for product in ["a", "b", "a"] {
        world.append(product, Wrong::Nothing);
    }
    world.restart().await;
    world.has(&[]).await;
    {
        let marked = &mut world.rows.0.lock().unwrap().marks;
        assert_eq!((marked.looked, marked.written), (1, 0), "once for the take-over");
        marked.is_away = true;
    }
    world.append("a", Wrong::Garbage);
    world.append("b", Wrong::Nothing);
    for _ in 0..PATIENCE {
        if !world.letters().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(world.letters(), [(3, Kind::Undecodable)], "the letter is first");
    let applied = |world: &World| world.rows.0.lock().unwrap().position.map(|it| it.applied);
    assert_eq!((applied(&world), world.marks()), (Some(3), vec![]), "and the mark before the position");
    world.rows.0.lock().unwrap().marks.is_away = false;
    world.has(&[(3, Kind::Undecodable)]).await;
    assert_eq!(world.marks(), [marked("a", 3, Kind::Undecodable)]);
    let written = world.rows.0.lock().unwrap().marks.written;
    // What follows changes nothing of it.
    world.append("a", Wrong::Nothing);
    world.append("b", Wrong::Nothing);
    world.has(&[(3, Kind::Undecodable), (5, Kind::Follows)]).await;
    assert_eq!(world.rows.0.lock().unwrap().marks.written, written);
    world.is_marked_as_lettered();
}

#[tokio::test]
async fn whoever_has_the_partition_next_makes_the_marks_those_of_the_letters() {
    let mut world = World::new();
    for (product, wrong) in [
        ("a", Wrong::Nothing),
        ("a", Wrong::Garbage),
        ("b", Wrong::Nothing),
        ("b", Wrong::Garbage),
        ("c", Wrong::Nothing),
    ] {
        world.append(product, wrong);
    }
    world.restart().await;
    let letters = [(1, Kind::Undecodable), (3, Kind::Undecodable)];
    world.has(&letters).await;
    world.is_marked_as_lettered();
    {
        // One is missing, one says something else, and one is of nothing that is parked.
        let all = &mut world.rows.0.lock().unwrap().marks.all;
        let other = all.remove("a").unwrap();
        all.insert("b".to_owned(), Mark { first_offset: 2, ..other });
        all.insert("c".to_owned(), other);
    }
    world.restart().await;
    world.append("c", Wrong::Nothing);
    world.has(&letters).await;
    world.is_marked_as_lettered();
    assert_eq!(world.marks(), [marked("a", 1, Kind::Undecodable), marked("b", 3, Kind::Undecodable)]);
}

#[tokio::test]
async fn a_mark_goes_with_a_redrive_before_its_letters_and_tells_of_what_is_given_up() {
    let mut world = World::new();
    for (product, wrong) in [
        ("a", Wrong::Nothing),
        ("a", Wrong::Late),
        ("a", Wrong::Garbage),
        ("b", Wrong::Nothing),
        ("b", Wrong::Late),
    ] {
        world.append(product, wrong);
    }
    world.restart().await;
    let late = [(1, Kind::Undecodable), (2, Kind::Follows), (4, Kind::Undecodable)];
    world.has(&late).await;
    assert_eq!(world.marks(), [marked("a", 1, Kind::Undecodable), marked("b", 4, Kind::Undecodable)]);
    world.cure();
    world.restart().await;
    world.has(&[(2, Kind::Undecodable)]).await;
    assert_eq!(world.marks(), [marked("a", 2, Kind::Undecodable)], "the rest of it is still parked");
    world.is_marked_as_lettered();
    world.decided(Step::Discard { which: Selection::default(), why: "nobody needs it".to_owned() }).await;
    for _ in 0..PATIENCE {
        if world.marks() == [("a".to_owned(), 2, Kind::Undecodable, true)] {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.marks(), [("a".to_owned(), 2, Kind::Undecodable, true)]);
    world.has(&[(2, Kind::Undecodable)]).await;
    world.is_marked_as_lettered();
}
