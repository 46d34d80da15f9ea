//! How records and committed positions are written: bytes to bytes, without a disk.
//!
//! Promises: a record comes back byte for byte; whatever else is read instead of what was written, be it changed bytes or
//! bytes of another place, is an error that says so, and never a panic.
//!
//! ```text
//! record    key    'r' partition:u32be offset:u64be
//!           value  format:u8 flags:u8 crc:u32le timestamp_ms:i64le lengths of key, value:u32le number of headers:u32le
//!                  key value {length of name:u32le length of value:u32le name value}*
//! position  key    'p' group partition:u32be
//!           value  format:u8 flags:u8 crc:u32le position:i64le
//! ```
//!
//! The checksum is of the key and of everything in the value but itself.

use bytes::Bytes;
use ledger::{Headers, LogRecord, Offset, Partition};

use crate::crc::crc32c;

/// The form of values. Another form is another number.
const FORMAT: u8 = 1;
/// The record has a value: it is no tombstone.
const HAS_VALUE: u8 = 1;
const CRC: std::ops::Range<usize> = 2..6;
const TIMESTAMP: std::ops::Range<usize> = 6..14;
const FIXED: usize = 26;

/// Where a record stands.
pub(super) type Key = [u8; 13];

pub(super) fn record_key(partition: Partition, offset: Offset) -> Key {
    let mut key = [b'r'; 13];
    key[1..5].copy_from_slice(&partition.0.to_be_bytes());
    key[5..].copy_from_slice(&offset.to_be_bytes());
    key
}

/// The partition and offset of a record's key; `None` if it is the key of something else.
pub(super) fn place(key: &[u8]) -> Option<(Partition, Offset)> {
    let (b'r', rest) = key.split_first()? else { return None };
    let (partition, offset) = rest.split_first_chunk()?;
    Some((Partition(i32::from_be_bytes(*partition)), Offset::from_be_bytes(offset.try_into().ok()?)))
}

pub(super) fn position_key(group: &str, partition: Partition) -> Vec<u8> {
    [b"p", group.as_bytes(), &partition.0.to_be_bytes()].concat()
}

/// A record that has no place yet.
#[derive(Debug)]
pub(super) struct Draft(Vec<u8>);

impl Draft {
    pub(super) fn new(key: &[u8], value: Option<&[u8]>, headers: &Headers) -> Self {
        let body = value.unwrap_or_default();
        let mut bytes =
            Vec::with_capacity(FIXED + key.len() + body.len() + headers.size() + 8 * headers.len());
        bytes.extend_from_slice(&[0; FIXED]);
        bytes[0] = FORMAT;
        bytes[1] = if value.is_some() { HAS_VALUE } else { 0 };
        let lengths = [key.len(), body.len(), headers.len()];
        for (at, length) in (TIMESTAMP.end..).step_by(4).zip(lengths) {
            bytes[at..at + 4].copy_from_slice(&(length as u32).to_le_bytes());
        }
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(body);
        for (name, value) in headers.iter() {
            bytes.extend_from_slice(&(name.len() as u32).to_le_bytes());
            bytes.extend_from_slice(&(value.len() as u32).to_le_bytes());
            bytes.extend_from_slice(name.as_bytes());
            bytes.extend_from_slice(value);
        }
        Self(bytes)
    }

    pub(super) fn size(&self) -> usize {
        self.0.len()
    }

    /// The value to write at `key`.
    pub(super) fn at(mut self, key: &Key, timestamp_ms: i64) -> Vec<u8> {
        self.0[TIMESTAMP].copy_from_slice(&timestamp_ms.to_le_bytes());
        seal(key, &mut self.0);
        self.0
    }
}

/// Reads the record that stands at `key`.
pub(super) fn read_record(key: &[u8], value: &[u8]) -> Result<LogRecord, &'static str> {
    let (_, offset) = place(key).ok_or("its key is not one of a record")?;
    fits(key, value)?;
    // What the checksum fits is as it was written: what is not right all the same was written by another program.
    parse(offset, value).ok_or("its form is not known")
}

fn parse(offset: Offset, value: &[u8]) -> Option<LogRecord> {
    let timestamp_ms = i64::from_le_bytes(value.get(TIMESTAMP)?.try_into().ok()?);
    let (key_length, value_length) = (length(value, TIMESTAMP.end)?, length(value, TIMESTAMP.end + 4)?);
    let pairs = length(value, TIMESTAMP.end + 8)?;
    // One copy of everything that is not headers: the two parts share it.
    let kept = Bytes::copy_from_slice(value.get(FIXED..FIXED + key_length + value_length)?);
    let mut rest = &value[FIXED + key_length + value_length..];
    let mut headers = Headers::with_capacity(pairs.min(rest.len()), rest.len());
    for _ in 0..pairs {
        let (name_length, value_length) = (length(rest, 0)?, length(rest, 4)?);
        let name = rest.get(8..8 + name_length)?;
        headers.push(std::str::from_utf8(name).ok()?, rest.get(8 + name_length..)?.get(..value_length)?);
        rest = &rest[8 + name_length + value_length..];
    }
    let value = (value[1] & HAS_VALUE != 0).then(|| kept.slice(key_length..));
    rest.is_empty().then(|| LogRecord { offset, timestamp_ms, key: kept.slice(..key_length), value, headers })
}

fn length(bytes: &[u8], at: usize) -> Option<usize> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?) as usize)
}

/// The value to write for a committed position at `key`.
pub(super) fn position_value(key: &[u8], position: Offset) -> Vec<u8> {
    let mut value = [&[FORMAT, 0][..], &[0; 4], &position.to_le_bytes()].concat();
    seal(key, &mut value);
    value
}

/// Reads the committed position that stands at `key`.
pub(super) fn read_position(key: &[u8], value: &[u8]) -> Result<Offset, &'static str> {
    fits(key, value)?;
    let position = value.get(CRC.end..).and_then(|bytes| bytes.try_into().ok());
    position.map(Offset::from_le_bytes).ok_or("its form is not known")
}

/// Whether `value` is what was written at `key`; the error says why not.
pub(super) fn fits(key: &[u8], value: &[u8]) -> Result<(), &'static str> {
    let written = value.get(CRC).and_then(|crc| crc.try_into().ok()).map(u32::from_le_bytes);
    if written != Some(checksum(key, value)) {
        return Err("its checksum does not fit");
    }
    if value[0] == FORMAT { Ok(()) } else { Err("it is of a later form: a later build of Folio wrote it") }
}

fn seal(key: &[u8], value: &mut [u8]) {
    let crc = checksum(key, value);
    value[CRC].copy_from_slice(&crc.to_le_bytes());
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let before = value.get(..CRC.start).unwrap_or_default();
    crc32c(&[key, before, value.get(CRC.end..).unwrap_or_default()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers() -> Headers {
        [("a", &b"1"[..]), ("", b""), ("a", &[0, 255])].into_iter().collect()
    }

    fn written(key: &[u8], value: Option<&[u8]>) -> (Key, Vec<u8>) {
        let place = record_key(Partition(3), 1 << 40);
        (place, Draft::new(key, value, &headers()).at(&place, 1_234))
    }

    #[test]
    fn a_record_comes_back_byte_for_byte() {
        let every_byte: Vec<u8> = (0..=255).collect();
        for (key, value) in [(&b"k"[..], Some(&every_byte[..])), (&b""[..], Some(&b""[..])), (b"gone", None)]
        {
            let (place, bytes) = written(key, value);
            let read = read_record(&place, &bytes).unwrap();
            assert_eq!((read.offset, read.timestamp_ms), (1 << 40, 1_234));
            assert_eq!((&read.key[..], read.value.as_deref()), (key, value));
            assert_eq!(read.headers, headers());
        }
    }

    #[test]
    fn every_changed_byte_and_every_cut_is_noticed() {
        let (place, bytes) = written(b"key", Some(b"some value"));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            assert!(read_record(&place, &damaged).is_err(), "byte {at}");
            assert!(read_record(&place, &bytes[..at]).is_err(), "cut at {at}");
        }
        let elsewhere = record_key(Partition(3), (1 << 40) + 1);
        assert_eq!(read_record(&elsewhere, &bytes).unwrap_err(), "its checksum does not fit");
        assert!(read_record(b"p", &bytes).is_err());
    }

    #[test]
    fn a_later_form_says_that_it_is_one() {
        let (place, mut bytes) = written(b"key", None);
        bytes[0] = FORMAT + 1;
        seal(&place, &mut bytes);
        assert!(read_record(&place, &bytes).unwrap_err().contains("later build"));
    }

    #[test]
    fn a_form_that_lies_about_its_lengths_is_an_error() {
        let (place, bytes) = written(b"key", Some(b"value"));
        for at in (TIMESTAMP.end..FIXED).step_by(4) {
            for length in [0_u32, 6, u32::MAX] {
                let mut lying = bytes.clone();
                lying[at..at + 4].copy_from_slice(&length.to_le_bytes());
                seal(&place, &mut lying);
                assert_eq!(read_record(&place, &lying), Err("its form is not known"), "{length} at {at}");
            }
        }
    }

    #[test]
    fn positions_come_back_and_belong_to_their_group_and_partition() {
        let key = position_key("group", Partition(7));
        let value = position_value(&key, 42);
        assert_eq!(read_position(&key, &value), Ok(42));
        assert!(read_position(&position_key("group", Partition(8)), &value).is_err());
        assert!(read_position(&key, &value[..9]).is_err());
    }

    #[test]
    fn keys_sort_as_partitions_and_offsets_do() {
        let places = [(0, 0), (0, 1), (0, 256), (0, 1 << 40), (1, 0), (256, 0)];
        let keys = places.map(|(partition, offset)| record_key(Partition(partition), offset));
        assert!(keys.is_sorted());
        assert_eq!(keys.map(|key| place(&key).unwrap()), places.map(|(p, o)| (Partition(p), o)));
        assert_eq!(place(&position_key("12345678", Partition(0))), None);
    }
}
