//! A message of librdkafka as a record of the log.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use ledger::{Headers, LogRecord};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Headers as _, Message};

/// Bytes for a name and its value at first: enough for an id or a hash.
const ROOM: usize = 64;

/// The headers that a reader looks at: each that it does not need is read and copied for every record in vain.
#[derive(Clone, Copy, Debug)]
pub enum WantedHeaders {
    All,
    /// Of each of these names the last value, in no order.
    Last(&'static [&'static str]),
}

/// Copies a message out of librdkafka's fetch buffer (holding it would hold the whole buffer).
pub(super) fn log_record(message: &BorrowedMessage<'_>, wanted: WantedHeaders) -> LogRecord {
    LogRecord {
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: Bytes::copy_from_slice(message.key().unwrap_or_default()),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: headers(message, wanted),
    }
}

fn headers(message: &BorrowedMessage<'_>, wanted: WantedHeaders) -> Headers {
    let Some(borrowed) = message.headers() else { return Headers::new() };
    // rdkafka panics at a header whose name is not UTF-8. Anyone with write access could stop every reader with one,
    // so a record in which one is met is read without headers.
    catch_unwind(AssertUnwindSafe(|| match wanted {
        WantedHeaders::All => all(borrowed),
        WantedHeaders::Last(names) => last(borrowed, names),
    }))
    .unwrap_or_else(|_| {
        tracing::warn!(
            partition = message.partition(),
            kafka.offset = message.offset(),
            "unreadable header names"
        );
        Headers::new()
    })
}

fn all(borrowed: &BorrowedHeaders) -> Headers {
    let bytes = borrowed.iter().map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len)).sum();
    let mut headers = Headers::with_capacity(borrowed.count(), bytes);
    for header in borrowed.iter() {
        headers.push(header.key, header.value.unwrap_or_default());
    }
    headers
}

/// Looks from the end, and no further than it must.
fn last(borrowed: &BorrowedHeaders, names: &[&str]) -> Headers {
    let mut headers = Headers::with_capacity(names.len(), names.len() * ROOM);
    for i in (0..borrowed.count()).rev() {
        let header = borrowed.get(i);
        if names.contains(&header.key) && headers.get(header.key).is_none() {
            headers.push(header.key, header.value.unwrap_or_default());
            if headers.len() == names.len() {
                break;
            }
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;

    #[test]
    fn of_the_wanted_headers_the_last_value_is_copied_and_of_the_others_nothing() {
        let pairs = [("a", Some("1")), ("b", Some("2")), ("a", Some("3")), ("c", None), ("b", Some("4"))];
        let owned = pairs
            .into_iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| headers.insert(Header { key, value }));
        let every = all(owned.as_borrowed());
        let found: Vec<_> = every.iter().collect();
        let expected: [(&str, &[u8]); 5] = [("a", b"1"), ("b", b"2"), ("a", b"3"), ("c", b""), ("b", b"4")];
        assert_eq!(found, expected);
        for (names, len) in
            [(&["a", "c"][..], 2), (&["a", "z"], 1), (&["z"], 0), (&["a", "b", "c"], 3), (&[], 0)]
        {
            let some = last(owned.as_borrowed(), names);
            assert_eq!(some.len(), len, "{names:?}");
            for name in ["a", "b", "c", "z"] {
                let wanted = every.get(name).filter(|_| names.contains(&name));
                assert_eq!(some.get(name), wanted, "{name} of {names:?}");
            }
        }
    }
}
