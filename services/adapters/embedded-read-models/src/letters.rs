//! [`DeadLetters`] in tables, beside the rows of the build that they are letters of.
//!
//! Promises what the port promises: what was parked is on the disk when that is acknowledged. Letters go with their build, and with
//! the tables: then the build begins at zero, and comes to their records again.

use std::ops::Bound;

use adapter_embedded::tables::{Change, Order, Row, Table};
use bytes::Bytes;
use read_models::{Error, ReadModel};
use toolkit::dead_letters::{DeadLetterError, DeadLetters, Letter, Lettered, Original, Outline};

use crate::build::Build;
use crate::bytes::{Reader, Unreadable, Writer, key_of};
use crate::disk::blocking;

/// Always the same: what was written last stays. A letter that is resolved is an empty row, since a deleted one would not come back.
const VERSION: u64 = 0;

/// The table of the letters of a read model.
pub(crate) fn table(read_model: ReadModel) -> String {
    format!("{read_model}_letters")
}

/// The letters of one group. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct TableLetters {
    build: Build,
    /// By group, partition and offset.
    letters: Table,
    /// What it is called in errors.
    name: String,
    group: String,
}

impl TableLetters {
    pub(crate) fn new(build: &Build, read_model: ReadModel, group: &str) -> Self {
        let name = table(read_model);
        Self { build: build.clone(), letters: build.table(&name), name, group: group.to_owned() }
    }

    fn key(&self, partition: i32, offset: i64) -> Vec<u8> {
        [&key_of(&self.group)[..], &partition.to_be_bytes(), &offset.to_be_bytes()].concat()
    }

    fn all(&self, partition: i32) -> Result<Vec<Outline>, Error> {
        let (first, last) = (self.key(partition, 0), self.key(partition, i64::MAX));
        let (mut found, mut from) = (Vec::new(), Bound::Included(first));
        loop {
            // Part by part: only what is known of them stays in memory.
            let bounds = (from.as_ref().map(Vec::as_slice), Bound::Included(&last[..]));
            let rows = self.build.read(|| self.letters.range(bounds, Order::Ascending, 64))?;
            let Some((end, _)) = rows.last() else { return Ok(found) };
            from = Bound::Excluded(end.clone());
            for (_, row) in rows {
                found.extend(self.read(&row)?.map(|letter| letter.outline));
            }
        }
    }

    fn some(&self, partition: i32, offsets: &[i64]) -> Result<Vec<Letter>, Error> {
        let mut found = Vec::new();
        for offset in offsets {
            let row = self.build.read(|| self.letters.get(&self.key(partition, *offset)))?;
            found.extend(row.map(|row| self.read(&row)).transpose()?.flatten());
        }
        found.sort_by_key(|it| it.outline.offset);
        Ok(found)
    }

    fn read(&self, row: &Row) -> Result<Option<Letter>, Error> {
        if row.bytes.is_empty() {
            return Ok(None);
        }
        decode(row).map(Some).map_err(|problem| self.build.unreadable(&self.name, &self.group, &problem))
    }

    fn write(&self, changes: Vec<Change>) -> Result<(), Error> {
        self.build.write(changes)?;
        // The positions of an index do not wait for these tables.
        self.build.sync()
    }
}

impl DeadLetters for TableLetters {
    fn load(&self, partition: i32) -> Lettered<'_, Vec<Outline>> {
        let this = self.clone();
        Box::pin(async move { blocking(move || this.all(partition)).await.map_err(failed) })
    }

    fn letters(&self, partition: i32, offsets: Vec<i64>) -> Lettered<'_, Vec<Letter>> {
        let this = self.clone();
        Box::pin(async move { blocking(move || this.some(partition, &offsets)).await.map_err(failed) })
    }

    fn park(&self, letters: Vec<Letter>) -> Lettered<'_, ()> {
        let this = self.clone();
        let park = move || {
            let change = |letter: &Letter| {
                let key = this.key(letter.outline.partition, letter.outline.offset);
                this.letters.put(&key, VERSION, encode(letter).bytes())
            };
            this.write(letters.iter().map(change).collect())
        };
        Box::pin(async move { blocking(park).await.map_err(failed) })
    }

    fn resolve(&self, partition: i32, offsets: Vec<i64>) -> Lettered<'_, ()> {
        let this = self.clone();
        let resolve = move || {
            let change = |offset: &i64| this.letters.put(&this.key(partition, *offset), VERSION, &[]);
            this.write(offsets.iter().map(change).collect())
        };
        Box::pin(async move { blocking(resolve).await.map_err(failed) })
    }

    /// They go with the build's tables.
    fn abolish(&self) -> Lettered<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}

fn encode(letter: &Letter) -> Writer {
    let Letter { outline, original } = letter;
    let mut row = Writer::default();
    row.count(outline.partition.unsigned_abs() as usize).number(outline.offset).text(&outline.subject);
    row.text(outline.kind.name()).text(&outline.reason).count(outline.attempts as usize);
    row.number(outline.first_failed_ms).number(outline.last_failed_ms);
    row.number(i64::from_be_bytes(outline.acted.to_be_bytes()));
    row.is_some(outline.is_discarded.then_some(&()));
    row.text(&original.topic).number(original.timestamp_ms).blob(&original.key);
    row.is_some(original.value.as_ref()).blob(original.value.as_deref().unwrap_or_default());
    row.count(original.headers.len());
    for (name, value) in &original.headers {
        row.text(name).blob(value);
    }
    row
}

fn decode(row: &Row) -> Result<Letter, Unreadable> {
    let mut row = Reader::of(row);
    let outline = Outline {
        partition: row.count()? as i32,
        offset: row.number()?,
        subject: row.text()?.to_owned(),
        kind: row.text()?.parse().map_err(|_| Unreadable::Text)?,
        reason: row.text()?.to_owned(),
        attempts: row.count()? as u32,
        first_failed_ms: row.number()?,
        last_failed_ms: row.number()?,
        acted: u64::from_be_bytes(row.number()?.to_be_bytes()),
        is_discarded: row.is_some()?,
    };
    let (topic, timestamp_ms) = (row.text()?.to_owned(), row.number()?);
    let key = Bytes::copy_from_slice(row.blob()?);
    let has_value = row.is_some()?;
    let value = row.blob()?;
    let value = has_value.then(|| Bytes::copy_from_slice(value));
    let mut headers = Vec::new();
    for _ in 0..row.count()? {
        headers.push((row.text()?.to_owned(), Bytes::copy_from_slice(row.blob()?)));
    }
    row.end()?;
    Ok(Letter { outline, original: Original { topic, timestamp_ms, key, value, headers } })
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn failed(error: Error) -> DeadLetterError {
    DeadLetterError { problem: error.to_string(), transient: error.is_transient() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use adapter_embedded::tables::Tables;
    use read_models::Generation;
    use toolkit::dead_letters::Kind;

    use super::*;

    fn letter(partition: i32, offset: i64, value: Option<&'static [u8]>) -> Letter {
        let outline = Outline {
            partition,
            offset,
            subject: "größe".to_owned(),
            kind: Kind::Follows,
            reason: "behind 3/7".to_owned(),
            attempts: 0,
            first_failed_ms: 5,
            last_failed_ms: 6,
            acted: u64::MAX,
            is_discarded: offset == 0,
        };
        let original = Original {
            topic: "events".to_owned(),
            timestamp_ms: -1,
            key: Bytes::from_static(b"k\xff"),
            value: value.map(Bytes::from_static),
            headers: vec![("a".to_owned(), Bytes::from_static(b"\xff")), ("a".to_owned(), Bytes::new())],
        };
        Letter { outline, original }
    }

    #[tokio::test]
    async fn letters_are_found_by_partition_in_order_until_they_are_resolved_and_may_come_back() {
        let dir = tempfile::TempDir::new().unwrap();
        let (tables, _) = Tables::open(dir.path(), "test", 1 << 20).unwrap();
        let build = Build::new(&tables, Generation::FIRST, Arc::default());
        let letters = TableLetters::new(&build, ReadModel::Search, "g");
        let other = TableLetters::new(&build, ReadModel::Search, "g.more");
        assert_eq!(letters.load(3).await.unwrap(), []);
        let offsets: Vec<i64> = (0..200).chain([i64::MAX]).collect();
        let all: Vec<Letter> = offsets.iter().rev().map(|it| letter(3, *it, Some(b"v"))).collect();
        letters.park(all.clone()).await.unwrap();
        letters.park(vec![letter(4, 1, None)]).await.unwrap();
        other.park(vec![letter(3, 1, Some(b""))]).await.unwrap();
        let found = letters.load(3).await.unwrap();
        assert_eq!(found.iter().map(|it| it.offset).collect::<Vec<_>>(), offsets);
        assert_eq!(letters.load(4).await.unwrap(), [letter(4, 1, None).outline]);
        assert_eq!(other.letters(3, vec![1]).await.unwrap(), [letter(3, 1, Some(b""))]);
        letters.resolve(3, offsets[2..].to_vec()).await.unwrap();
        assert_eq!(
            letters.letters(3, vec![1, 5, 0]).await.unwrap(),
            [letter(3, 0, Some(b"v")), letter(3, 1, Some(b"v"))]
        );
        letters.park(vec![letter(3, 5, None)]).await.unwrap();
        assert_eq!(letters.letters(3, vec![5]).await.unwrap(), [letter(3, 5, None)]);
        assert_eq!(letters.load(3).await.unwrap().len(), 3);
    }
}
