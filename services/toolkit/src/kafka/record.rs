//! A message of librdkafka as a record of the log.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bytes::Bytes;
use ledger::{Headers, LogRecord};
use rdkafka::message::{BorrowedMessage, Headers as _, Message};

/// Copies a message out of librdkafka's fetch buffer (holding it would hold the whole buffer).
pub(super) fn log_record(message: &BorrowedMessage<'_>) -> LogRecord {
    LogRecord {
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: Bytes::copy_from_slice(message.key().unwrap_or_default()),
        value: message.payload().map(Bytes::copy_from_slice),
        headers: headers(message),
    }
}

fn headers(message: &BorrowedMessage<'_>) -> Headers {
    let Some(borrowed) = message.headers() else { return Headers::new() };
    // rdkafka panics at a header whose name is not UTF-8. Anyone with write access could stop every reader with one,
    // so such a record is read without headers.
    catch_unwind(AssertUnwindSafe(|| {
        let bytes =
            borrowed.iter().map(|header| header.key.len() + header.value.map_or(0, <[u8]>::len)).sum();
        let mut headers = Headers::with_capacity(borrowed.count(), bytes);
        for header in borrowed.iter() {
            headers.push(header.key, header.value.unwrap_or_default());
        }
        headers
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
