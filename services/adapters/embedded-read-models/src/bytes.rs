//! Rows as bytes: their fields one after another, without names.
//!
//! Promises: what was written is read back the same; any bytes give a row or an error.

use adapter_embedded::tables::Row;
use domain::{ValueError, Version};
use jiff::Timestamp;
use uuid::Uuid;

/// Writes a row.
#[derive(Debug, Default)]
pub(crate) struct Writer(Vec<u8>);

/// Reads what is left of a row.
#[derive(Debug)]
pub(crate) struct Reader<'a>(&'a [u8]);

/// Why bytes are no row.
#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("it ends too early")]
    Short,
    #[error("it goes on behind its end")]
    Long,
    #[error("a text is not UTF-8")]
    Text,
    #[error("a time is out of range")]
    Time,
    #[error("a build has no such number")]
    Generation,
    #[error(transparent)]
    Value(#[from] ValueError),
    #[error("its JSON is damaged: {0}")]
    Json(String),
}

impl Writer {
    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    pub(crate) fn blob(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len());
        self.0.extend_from_slice(bytes);
        self
    }

    /// How many of something follow.
    pub(crate) fn count(&mut self, count: usize) -> &mut Self {
        self.0.extend_from_slice(&(count as u32).to_be_bytes());
        self
    }

    pub(crate) fn number(&mut self, number: i64) -> &mut Self {
        self.0.extend_from_slice(&number.to_be_bytes());
        self
    }

    pub(crate) fn uuid(&mut self, uuid: Uuid) -> &mut Self {
        self.0.extend_from_slice(uuid.as_bytes());
        self
    }

    /// In milliseconds: what brokers stamp.
    pub(crate) fn time(&mut self, time: Timestamp) -> &mut Self {
        self.number(time.as_millisecond())
    }

    /// Whether something follows.
    pub(crate) fn is_some<T>(&mut self, value: Option<&T>) -> &mut Self {
        self.0.push(u8::from(value.is_some()));
        self
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn of(row: &'a Row) -> Self {
        Self(&row.bytes)
    }

    /// Of a key, or a part of it: fields as rows have them.
    pub(crate) fn of_key(key: &'a [u8]) -> Self {
        Self(key)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, Unreadable> {
        let length = self.count()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Unreadable::Text)
    }

    pub(crate) fn blob(&mut self) -> Result<&'a [u8], Unreadable> {
        let length = self.count()?;
        self.take(length)
    }

    pub(crate) fn count(&mut self) -> Result<usize, Unreadable> {
        Ok(u32::from_be_bytes(self.array()?) as usize)
    }

    pub(crate) fn number(&mut self) -> Result<i64, Unreadable> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub(crate) fn uuid(&mut self) -> Result<Uuid, Unreadable> {
        Ok(Uuid::from_bytes(self.array()?))
    }

    pub(crate) fn time(&mut self) -> Result<Timestamp, Unreadable> {
        Timestamp::from_millisecond(self.number()?).map_err(|_| Unreadable::Time)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, Unreadable> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    /// All that is left, as a text.
    pub(crate) fn rest(self) -> Result<&'a str, Unreadable> {
        std::str::from_utf8(self.0).map_err(|_| Unreadable::Text)
    }

    pub(crate) fn is_some(&mut self) -> Result<bool, Unreadable> {
        Ok(self.array()? != [0])
    }

    /// Nothing may be left.
    pub(crate) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn end(self) -> Result<(), Unreadable> {
        if self.0.is_empty() { Ok(()) } else { Err(Unreadable::Long) }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Unreadable::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Unreadable> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Unreadable::Short)?;
        self.0 = rest;
        Ok(*taken)
    }
}

/// The beginning of keys that begin with this text and no other.
pub(crate) fn key_of(text: &str) -> Vec<u8> {
    let mut key = Writer::default();
    key.text(text);
    key.0
}

pub(crate) fn version(row: &Row) -> Version {
    Version(row.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Writer {
        let mut row = Writer::default();
        row.text("größe").count(2).number(-5).uuid(Uuid::from_u128(7)).is_some(Some(&()));
        row.time(Timestamp::from_millisecond(1_234).unwrap()).text("");
        row
    }

    /// Everything that [`written`] wrote, as text.
    fn read(bytes: &[u8]) -> Result<String, Unreadable> {
        let mut row = Reader(bytes);
        let first = format!("{} {} {}", row.text()?, row.count()?, row.number()?);
        let then = format!("{} {}", row.uuid()?.as_u128(), row.is_some()?);
        let last = format!("{} {:?}", row.time()?.as_millisecond(), row.text()?);
        row.end()?;
        Ok([first, then, last].join(" "))
    }

    #[test]
    fn a_row_is_read_back_and_a_shorter_or_a_longer_one_is_an_error() {
        let row = written();
        assert_eq!(read(row.bytes()).as_deref(), Ok("größe 2 -5 7 true 1234 \"\""));
        for length in 0..row.bytes().len() {
            assert_eq!(read(&row.bytes()[..length]), Err(Unreadable::Short), "{length}");
        }
        assert_eq!(read(&[row.bytes(), &[0]].concat()), Err(Unreadable::Long));
    }

    #[test]
    fn any_bytes_give_an_error_or_a_row() {
        for place in 0..written().bytes().len() {
            for byte in [0, 1, 0x7f, 0x80, 0xff] {
                let mut bytes = written().bytes().to_vec();
                bytes[place] = byte;
                drop(read(&bytes));
            }
        }
        let mut text = Writer::default();
        text.text("ab");
        text.0[4] = 0xff;
        assert_eq!(Reader(&text.0).text(), Err(Unreadable::Text));
        assert_eq!(Reader(&i64::MAX.to_be_bytes()).time(), Err(Unreadable::Time));
    }

    #[test]
    fn keys_of_different_texts_begin_differently() {
        let keys = ["", "a", "ab", "a\0", "b"].map(key_of);
        for (n, one) in keys.iter().enumerate() {
            for (m, other) in keys.iter().enumerate() {
                assert_eq!(one.starts_with(other), n == m);
            }
        }
    }
}
