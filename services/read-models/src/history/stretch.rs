//! Consecutive events of a product, read in pieces: so many that the memory they take is bounded, and without gaps.

use domain::{ProductId, Version};

use super::{HistoryEntry, Order, Queries};
use crate::QueryError;

/// Some events in a row, and whether there are more behind them.
#[derive(Debug)]
pub(super) struct Stretch {
    pub(super) items: Vec<HistoryEntry>,
    pub(super) more: bool,
}

/// A stretch ends when its events take this much, in bytes, but not before the first.
const MAX_BYTES: usize = 3 * 1024 * 1024;
/// Rows asked for first, when nobody knows how large they are. A row takes a few hundred KiB at most.
const FIRST_ROWS: usize = 16;

impl Queries {
    /// Up to `limit` events behind version `after`, or from the beginning.
    pub(super) async fn stretch(
        &self,
        id: &ProductId,
        order: Order,
        after: Option<Version>,
        limit: usize,
    ) -> Result<Stretch, QueryError> {
        let mut gaps = Gaps { order, last: after, head: None };
        // The last version that was read, given or not.
        let mut behind = after;
        let (mut items, mut bytes) = (Vec::new(), 0);
        loop {
            // One more than wanted, to know whether there are more.
            let wanted = limit + 1 - items.len();
            let rows = wanted.min(next_rows(items.len(), bytes));
            let mut read = self.rows.entries(id, order, behind, rows).await?;
            if read.is_empty() && behind == after {
                // No row tells the head. One that was written since tells of rows that were, too.
                gaps.head = self.head(id).await?.map(|head| head.version);
                if gaps.head > after {
                    read = self.rows.entries(id, order, behind, rows).await?;
                }
            }
            let ended = read.len() < rows;
            for row in read {
                gaps.head = gaps.head.max(row.head);
                behind = Some(row.version);
                if gaps.head.is_none() {
                    return Err(incomplete(id, Version::NONE));
                }
                // What is above the head is being written, in any order: it is not there yet.
                if behind > gaps.head {
                    match order {
                        Order::NewestFirst => continue,
                        Order::OldestFirst => {
                            gaps.end(id)?;
                            return Ok(Stretch { items, more: false });
                        }
                    }
                }
                if items.len() == limit || (bytes >= MAX_BYTES && !items.is_empty()) {
                    return Ok(Stretch { items, more: true });
                }
                bytes += row.bytes;
                let entry = row.entry?;
                gaps.next(id, entry.version)?;
                items.push(entry);
            }
            if ended {
                gaps.end(id)?;
                return Ok(Stretch { items, more: false });
            }
        }
    }
}

/// How many rows to ask for, when so many took so many bytes.
fn next_rows(rows: usize, bytes: usize) -> usize {
    match bytes.checked_div(rows) {
        None => FIRST_ROWS,
        Some(average) => (MAX_BYTES.saturating_sub(bytes) / average.max(1)).clamp(1, 500),
    }
}

/// Finds what is missing between the versions of a stretch, before the first and behind the last.
struct Gaps {
    order: Order,
    /// The version before the next one.
    last: Option<Version>,
    /// The newest event that there is a row of, or was. (The head is written with its row or after it.)
    head: Option<Version>,
}

impl Gaps {
    fn next(&mut self, id: &ProductId, version: Version) -> Result<(), QueryError> {
        let follows = match (self.order, self.last) {
            (Order::OldestFirst, last) => version == last.map_or(Version::FIRST, Version::next),
            (Order::NewestFirst, Some(last)) => version.next() == last,
            (Order::NewestFirst, None) => self.head == Some(version),
        };
        self.last = Some(version);
        if follows { Ok(()) } else { Err(incomplete(id, version)) }
    }

    fn end(&self, id: &ProductId) -> Result<(), QueryError> {
        let whole = match (self.order, self.last) {
            (Order::NewestFirst, Some(last)) => last <= Version::FIRST,
            (Order::OldestFirst, last) => last >= self.head,
            (Order::NewestFirst, None) => self.head.is_none(),
        };
        if whole { Ok(()) } else { Err(incomplete(id, self.last.unwrap_or(Version::NONE))) }
    }
}

fn incomplete(id: &ProductId, version: Version) -> QueryError {
    QueryError::Incomplete(format!("events of product {id} next to version {version} are not there"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether these versions, behind `after`, are an answer; `head` is what the rows say of it.
    fn whole(order: Order, after: Option<u64>, versions: &[u64], head: Option<u64>, more: bool) -> bool {
        let id = ProductId::parse("p").unwrap();
        let mut gaps = Gaps { order, last: after.map(Version), head: head.map(Version) };
        let fits = versions.iter().all(|version| gaps.next(&id, Version(*version)).is_ok());
        fits && (more || gaps.end(&id).is_ok())
    }

    #[test]
    fn a_history_that_is_whole_has_every_version_up_to_its_head() {
        use Order::{NewestFirst, OldestFirst};

        assert!(whole(OldestFirst, None, &[1, 2, 3], Some(3), false));
        assert!(whole(OldestFirst, Some(2), &[3], Some(3), false));
        assert!(whole(OldestFirst, None, &[1, 2], Some(9), true));
        assert!(whole(NewestFirst, None, &[3, 2, 1], Some(3), false));
        assert!(whole(NewestFirst, Some(3), &[2, 1], Some(3), false));
        assert!(whole(NewestFirst, None, &[3, 2], Some(3), true));
        assert!(whole(OldestFirst, None, &[], None, false) && whole(NewestFirst, None, &[], None, false));
    }

    #[test]
    fn a_version_that_is_missing_anywhere_is_found() {
        use Order::{NewestFirst, OldestFirst};

        for (after, versions, head) in [
            (None, &[1, 3][..], Some(3)),
            (None, &[2, 3], Some(3)),
            (None, &[1, 2], Some(3)),
            (None, &[], Some(1)),
            (Some(1), &[3], Some(3)),
            (Some(1), &[], Some(3)),
        ] {
            assert!(!whole(OldestFirst, after, versions, head, false), "{versions:?} behind {after:?}");
        }
        for (after, versions, head) in [
            (None, &[3, 1][..], Some(3)),
            (None, &[3, 2], Some(3)),
            (None, &[2, 1], Some(3)),
            (None, &[], Some(1)),
            (Some(3), &[1], Some(3)),
            (Some(3), &[], Some(3)),
        ] {
            assert!(!whole(NewestFirst, after, versions, head, false), "{versions:?} behind {after:?}");
        }
    }

    #[test]
    fn large_rows_are_read_a_few_at_a_time() {
        assert_eq!(next_rows(0, 0), FIRST_ROWS);
        assert_eq!(next_rows(16, 16 * 1_000), 500);
        assert!(next_rows(4, 4 * 300_000) <= 8);
        assert_eq!(next_rows(16, 16 * 300_000), 1);
    }
}
