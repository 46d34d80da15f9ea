//! Marks: which products are parked in a build, told beside its positions, so that who reads its rows learns it there.
//!
//! Promises, of every adapter: a mark that was written is what everybody finds from then on, whatever was written of its product before, and by
//! whichever clock; who finds a position finds the marks that were written before it; where none was ever written none is found.

mod cql;
mod search;

use std::collections::BTreeMap;
use std::fmt::Debug;

use domain::ProductId;
use futures::future::BoxFuture;
use jiff::Timestamp;
use toolkit::dead_letters::{Kind, Outline, UnknownKind};
use toolkit::retry::{GaveUp, Retry};

use crate::Error;
use crate::error::Answered;

pub use cql::CqlMarks;
pub(crate) use cql::table;
pub use search::SearchMarks;

/// So many are counted; as many then means at least as many.
pub const MAX_COUNTED: u64 = 1_000;

/// What is told of a product that is parked, or was given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The first of its records that is not applied.
    pub first_offset: i64,
    /// When that one failed first, in milliseconds since 1970,
    pub since_ms: i64,
    /// and why.
    pub kind: Kind,
    /// It was given up: nobody tries it again by himself.
    pub is_discarded: bool,
}

/// By product; none: it has no mark any more.
pub type Marking = BTreeMap<String, Option<Mark>>;

/// Where the marks of one build lie.
pub trait Marks: Debug + Send + Sync {
    /// Puts marks of products of a partition, in place of those that are there, and removes others.
    fn write<'a>(
        &'a self,
        group: &'a str,
        partition: i32,
        marks: &'a Marking,
        retry: &'a Retry,
    ) -> BoxFuture<'a, Result<(), GaveUp<Error>>>;

    /// All that are there of a partition, as they are; of those that were put in the last seconds some may be missing.
    fn of_partition<'a>(&'a self, group: &'a str, partition: i32) -> Answered<'a, BTreeMap<String, Mark>>;

    /// Those of these products, in their order.
    fn of_products<'a>(
        &'a self,
        group: &'a str,
        products: &'a [ProductId],
    ) -> Answered<'a, Vec<Option<Mark>>>;

    /// How many products of the group have one, up to [`MAX_COUNTED`]. May lag some seconds behind the others.
    fn count<'a>(&'a self, group: &'a str) -> Answered<'a, u64>;
}

impl From<&Outline> for Mark {
    /// The mark of a product whose first letter this is.
    fn from(first: &Outline) -> Self {
        Self {
            first_offset: first.offset,
            since_ms: first.first_failed_ms,
            kind: first.kind,
            is_discarded: first.is_discarded,
        }
    }
}

/// A kind as a store has it, of the mark of a product there.
fn kind(table: &str, product: &str, kind: &str) -> Result<Kind, Error> {
    kind.parse().map_err(|unknown: UnknownKind| Error::Corrupt {
        table: table.to_owned(),
        row: product.to_owned(),
        problem: unknown.to_string(),
    })
}

/// What takes a write with it, where the later of two stays.
#[derive(Debug, Default)]
struct Times {
    /// How far ahead of the clock, in microseconds.
    ahead: i64,
}

impl Times {
    const SECOND: i64 = 1_000_000;
    const MAX_AHEAD: i64 = 10 * 366 * 24 * 3_600 * Self::SECOND;

    /// The next one. After the first they grow quickly: the write before was hidden by one of a clock that was ahead of ours.
    fn next(&mut self) -> i64 {
        let time = Timestamp::now().as_microsecond().saturating_add(self.ahead);
        self.ahead = (self.ahead * 8).clamp(Self::SECOND, Self::MAX_AHEAD);
        time
    }
}

/// Where marks lie, of which the later of two writes stays.
trait Place: Sync {
    /// For messages.
    fn name(&self) -> &str;

    /// Puts marks there, with this time, and removes others.
    fn put(
        &self,
        group: &str,
        partition: i32,
        marks: &Marking,
        time: i64,
        retry: &Retry,
    ) -> impl Future<Output = Result<(), GaveUp<Error>>> + Send;

    /// Those of these products, in their order, as they are now.
    fn find(
        &self,
        group: &str,
        products: &[String],
    ) -> impl Future<Output = Result<Vec<Option<Mark>>, Error>> + Send;
}

/// Puts marks until they are what is found. Who had the partition before may have had a clock that is ahead of ours, so what was written is
/// looked at, and is written again, as if later, where it is not there.
async fn write_until_found(
    place: &impl Place,
    group: &str,
    partition: i32,
    marks: &Marking,
    retry: &Retry,
) -> Result<(), GaveUp<Error>> {
    let (mut left, mut times, mut waits) = (marks.clone(), Times::default(), retry.waits());
    loop {
        place.put(group, partition, &left, times.next(), retry).await?;
        let products: Vec<String> = left.keys().cloned().collect();
        let there = retry.run("look at what is marked", || place.find(group, &products)).await?;
        let differs: Vec<bool> = left.values().zip(&there).map(|(wanted, there)| wanted != there).collect();
        let mut differs = differs.into_iter();
        left.retain(|_, _| differs.next().unwrap_or(true));
        if left.is_empty() {
            return Ok(());
        }
        waits.wait("mark what is parked", hidden(place.name())).await?;
    }
}

/// What is said while a write is not what is found.
fn hidden(place: &str) -> Error {
    Error::Unavailable(format!(
        "{place}: what was marked there by a clock that is ahead hides what is marked now; writing it again, as if later"
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use tokio_util::sync::CancellationToken;

    use super::*;

    /// What a clock that is ahead wrote stays until it is passed.
    #[derive(Default)]
    struct Ahead {
        /// By product, with their times.
        all: Mutex<BTreeMap<String, (i64, Option<Mark>)>>,
        puts: Mutex<Vec<usize>>,
    }

    impl Place for Ahead {
        fn name(&self) -> &'static str {
            "a place"
        }

        async fn put(
            &self,
            _: &str,
            _: i32,
            marks: &Marking,
            time: i64,
            _: &Retry,
        ) -> Result<(), GaveUp<Error>> {
            self.puts.lock().unwrap().push(marks.len());
            let mut all = self.all.lock().unwrap();
            for (product, mark) in marks {
                if all.get(product).is_none_or(|(known, _)| *known <= time) {
                    all.insert(product.clone(), (time, *mark));
                }
            }
            Ok(())
        }

        async fn find(&self, _: &str, products: &[String]) -> Result<Vec<Option<Mark>>, Error> {
            let all = self.all.lock().unwrap();
            Ok(products.iter().map(|product| all.get(product).and_then(|(_, mark)| *mark)).collect())
        }
    }

    #[tokio::test]
    async fn only_what_is_hidden_is_written_again_until_it_is_what_is_found() {
        let mark = |first_offset| {
            Some(Mark { first_offset, since_ms: 1, kind: Kind::Undecodable, is_discarded: false })
        };
        let (place, ahead) = (Ahead::default(), Timestamp::now().as_microsecond() + 3 * Times::SECOND);
        for (product, first) in [("b", 7), ("c", 8)] {
            place.all.lock().unwrap().insert(product.to_owned(), (ahead, mark(first)));
        }
        // What is to become of the hidden ones: one is to be another, and one goes.
        let marks = [("a", mark(1)), ("b", mark(2)), ("c", None), ("d", None)];
        let marks: Marking = marks.into_iter().map(|(product, mark)| (product.to_owned(), mark)).collect();
        let retry = Retry::until(CancellationToken::new()).waiting(Duration::ZERO, Duration::from_millis(1));
        write_until_found(&place, "g", 0, &marks, &retry).await.unwrap();
        let all = place.all.lock().unwrap();
        let there: Marking = all.iter().map(|(product, (_, mark))| (product.clone(), *mark)).collect();
        assert_eq!(there, marks);
        assert_eq!(*place.puts.lock().unwrap(), [4, 2, 2]);
    }

    #[test]
    fn a_write_that_is_hidden_is_soon_later_than_any_clock() {
        let (mut times, now) = (Times::default(), Timestamp::now().as_microsecond());
        let taken: Vec<i64> = std::iter::repeat_with(|| times.next()).take(30).collect();
        assert!(taken[0] - now < Times::SECOND, "the first is now");
        assert!(taken[1] - now >= Times::SECOND && taken[5] - now > 3_600 * Times::SECOND, "{taken:?}");
        assert!(taken.is_sorted() && taken[29] - now <= Times::MAX_AHEAD + 60 * Times::SECOND);
    }
}
