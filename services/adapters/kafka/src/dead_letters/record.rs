//! A letter as a record of Kafka: the value and the headers as they were, and behind them what is known of the failure, under the
//! names that Kafka Connect and Spring use and under our own.
//!
//! Promises: what is written is read back the same, whatever headers the record had; a record without a value is a letter too,
//! and no tombstone.

use bytes::Bytes;
use ledger::{Headers, LogRecord};
use toolkit::dead_letters::{Kind, Letter, Original, Outline};

/// Behind the record's own headers: what comes after the last of these is ours.
const OURS: &str = "x-folio-letter";
/// How what is ours is laid out.
const FORMAT: &[u8] = b"1";
const SUBJECT: &str = "x-folio-product";
const KIND: &str = "x-folio-error-kind";
const ATTEMPTS: &str = "x-folio-attempts";
const FIRST_FAILED: &str = "x-folio-first-failed-at";
const LAST_FAILED: &str = "x-folio-last-failed-at";
const ACTED: &str = "x-folio-acted";
const DISCARDED: &str = "x-folio-discarded";
/// The key of a letter is its place; the record's own is here.
const KEY: &str = "x-folio-original-key";
/// The record has no value, which an empty one stands for.
const NO_VALUE: &str = "x-folio-no-value";
const TOPIC: &str = "kafka_dlt-original-topic";
const TIMESTAMP: &str = "kafka_dlt-original-timestamp";
const MESSAGE: &str = "kafka_dlt-exception-message";

/// The key of the letter of this record.
pub(super) fn key(partition: i32, offset: i64) -> Bytes {
    format!("{partition}/{offset}").into()
}

/// Of which record it is the letter.
pub(super) fn place(key: &[u8]) -> Option<(i32, i64)> {
    let (partition, offset) = std::str::from_utf8(key).ok()?.split_once('/')?;
    Some((partition.parse().ok()?, offset.parse().ok()?))
}

/// Value and headers of a letter of this group.
pub(super) fn encode(letter: &Letter, group: &str) -> (Bytes, Headers) {
    let Letter { outline, original } = letter;
    let Outline { partition, offset, subject, kind, reason, .. } = outline;
    let mut headers = Headers::new();
    for (name, value) in &original.headers {
        headers.push(name, value);
    }
    headers.push(OURS, FORMAT);
    let text = |headers: &mut Headers, name: &str, value: &str| headers.push(name, value.as_bytes());
    for (name, value) in [
        ("__connect.errors.topic", original.topic.as_str()),
        ("__connect.errors.partition", &partition.to_string()),
        ("__connect.errors.offset", &offset.to_string()),
        ("__connect.errors.connector.name", group),
        ("__connect.errors.task.id", &partition.to_string()),
        ("__connect.errors.stage", stage(*kind)),
        ("__connect.errors.class.name", "folio.projector"),
        ("__connect.errors.exception.class.name", kind.name()),
        ("__connect.errors.exception.message", reason),
    ] {
        text(&mut headers, name, value);
    }
    // Spring's numbers are binary.
    text(&mut headers, TOPIC, &original.topic);
    headers.push("kafka_dlt-original-partition", &partition.to_be_bytes());
    headers.push("kafka_dlt-original-offset", &offset.to_be_bytes());
    headers.push(TIMESTAMP, &original.timestamp_ms.to_be_bytes());
    text(&mut headers, "kafka_dlt-original-timestamp-type", "LogAppendTime");
    text(&mut headers, "kafka_dlt-original-consumer-group", group);
    text(&mut headers, "kafka_dlt-exception-fqcn", kind.name());
    text(&mut headers, MESSAGE, reason);
    for (name, value) in [
        (SUBJECT, subject.as_str()),
        (KIND, kind.name()),
        (ATTEMPTS, &outline.attempts.to_string()),
        (FIRST_FAILED, &outline.first_failed_ms.to_string()),
        (LAST_FAILED, &outline.last_failed_ms.to_string()),
        (ACTED, &outline.acted.to_string()),
    ] {
        text(&mut headers, name, value);
    }
    headers.push(KEY, &original.key);
    if outline.is_discarded {
        headers.push(DISCARDED, b"true");
    }
    if original.value.is_none() {
        headers.push(NO_VALUE, b"true");
    }
    (original.value.clone().unwrap_or_default(), headers)
}

/// The stage of Kafka Connect at which such a record fails.
fn stage(kind: Kind) -> &'static str {
    match kind {
        Kind::Undecodable | Kind::SchemaUnavailable => "VALUE_CONVERTER",
        Kind::Unfoldable | Kind::Gap | Kind::Diverged | Kind::Follows => "TRANSFORMATION",
        Kind::RefusedByStore => "TASK_PUT",
    }
}

/// What is known of a letter; `None`: nobody of ours wrote it.
pub(super) fn outline(record: &LogRecord) -> Option<Outline> {
    let (partition, offset) = place(&record.key)?;
    let ours = ours(&record.headers)?;
    let text = |name: &str| ours.iter().find(|(it, _)| *it == name).map(|(_, value)| utf8(value));
    let number = |name: &str| text(name).and_then(|it| it.parse::<i64>().ok()).unwrap_or_default();
    Some(Outline {
        partition,
        offset,
        subject: text(SUBJECT)?,
        // A kind of a later release: what this one knows is that it cannot read it.
        kind: text(KIND)?.parse().unwrap_or(Kind::Undecodable),
        reason: text(MESSAGE).unwrap_or_default(),
        attempts: u32::try_from(number(ATTEMPTS)).unwrap_or_default(),
        first_failed_ms: number(FIRST_FAILED),
        last_failed_ms: number(LAST_FAILED),
        acted: text(ACTED).and_then(|it| it.parse().ok()).unwrap_or_default(),
        is_discarded: text(DISCARDED).is_some(),
    })
}

/// The letter; `None`: nobody of ours wrote it.
pub(super) fn decode(record: LogRecord) -> Option<Letter> {
    let outline = outline(&record)?;
    let ours = ours(&record.headers)?;
    let value = |name: &str| ours.iter().find(|(it, _)| *it == name).map(|(_, value)| *value);
    let timestamp = value(TIMESTAMP).and_then(|it| it.first_chunk().copied());
    let own = record.headers.len() - ours.len() - 1;
    let own = record.headers.iter().take(own);
    let original = Original {
        topic: value(TOPIC).map(utf8).unwrap_or_default(),
        timestamp_ms: timestamp.map_or(record.timestamp_ms, i64::from_be_bytes),
        key: Bytes::copy_from_slice(value(KEY).unwrap_or_default()),
        headers: own.map(|(name, value)| (name.to_owned(), Bytes::copy_from_slice(value))).collect(),
        value: if value(NO_VALUE).is_some() { None } else { record.value },
    };
    Some(Letter { outline, original })
}

/// The headers behind the record's own.
fn ours(headers: &Headers) -> Option<Vec<(&str, &[u8])>> {
    let all: Vec<(&str, &[u8])> = headers.iter().collect();
    let begins = all.iter().rposition(|(name, _)| *name == OURS)?;
    Some(all[begins + 1..].to_vec())
}

fn utf8(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(value: Option<&'static [u8]>, is_discarded: bool) -> Letter {
        let outline = Outline {
            partition: 3,
            offset: 1_234_567_890_123,
            subject: "p-1".to_owned(),
            kind: Kind::RefusedByStore,
            reason: "the mapping says no: \"größer\"".to_owned(),
            attempts: 2,
            first_failed_ms: 1_000,
            last_failed_ms: 2_000,
            acted: u64::MAX - 7,
            is_discarded,
        };
        let own = |name: &str, value: &'static [u8]| (name.to_owned(), Bytes::from_static(value));
        let original = Original {
            topic: "events".to_owned(),
            timestamp_ms: 1_700_000_000_000,
            key: "p-1/2/1/00000000-0000-8000-8000-000000000001".into(),
            value: value.map(Bytes::from_static),
            // As one that was a dead letter before.
            headers: vec![own("ce_id", b"1"), own(OURS, b"1"), own(SUBJECT, b"p-2"), own("ce_id", b"\xff")],
        };
        Letter { outline, original }
    }

    fn written(letter: &Letter) -> LogRecord {
        let (value, headers) = encode(letter, "folio.products.g1");
        let Outline { partition, offset, .. } = letter.outline;
        LogRecord { offset: 7, timestamp_ms: 9, key: key(partition, offset), value: Some(value), headers }
    }

    #[test]
    fn a_letter_is_read_back_as_it_was_written_whatever_its_record_holds() {
        for (value, is_discarded) in [(Some(&b"\0value"[..]), false), (Some(b""), true), (None, false)] {
            let letter = letter(value, is_discarded);
            let record = written(&letter);
            assert_eq!(outline(&record).as_ref(), Some(&letter.outline));
            assert_eq!(decode(record), Some(letter));
        }
    }

    #[test]
    fn the_names_of_kafka_connect_and_spring_say_where_the_record_stands() {
        let record = written(&letter(Some(b"v"), false));
        let headers = &record.headers;
        assert_eq!(headers.get("__connect.errors.topic"), Some(&b"events"[..]));
        assert_eq!(headers.get("__connect.errors.partition"), Some(&b"3"[..]));
        assert_eq!(headers.get("__connect.errors.offset"), Some(&b"1234567890123"[..]));
        assert_eq!(headers.get("__connect.errors.stage"), Some(&b"TASK_PUT"[..]));
        assert_eq!(headers.get("kafka_dlt-original-partition"), Some(&3_i32.to_be_bytes()[..]));
        assert_eq!(headers.get("kafka_dlt-original-offset"), Some(&1_234_567_890_123_i64.to_be_bytes()[..]));
        assert_eq!(headers.get(TIMESTAMP), Some(&1_700_000_000_000_i64.to_be_bytes()[..]));
        assert_eq!(headers.get("kafka_dlt-original-consumer-group"), Some(&b"folio.products.g1"[..]));
    }

    #[test]
    fn what_nobody_of_ours_wrote_is_no_letter() {
        let foreign = |key: &'static str, headers| LogRecord {
            offset: 0,
            timestamp_ms: 0,
            key: key.into(),
            value: Some(Bytes::new()),
            headers,
        };
        let ours = || written(&letter(None, false)).headers;
        for record in [foreign("3/7", Headers::new()), foreign("37", ours()), foreign("", ours())] {
            assert_eq!((outline(&record), decode(record)), (None, None));
        }
    }
}
