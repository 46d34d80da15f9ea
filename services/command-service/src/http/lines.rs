//! The lines of an upload as they come in. Promises that memory holds at most one line and one chunk, that a line which
//! is too long is told once and passed over, and that reading stops when the service shuts down or when nothing more comes.

use std::time::Duration;

use actix_web::error::PayloadError;
use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use edge::limits::Load;

/// So much of an unfinished line costs nothing: only long lines are counted among the bodies that arrive.
const UNCOUNTED: usize = 64 * 1024;

/// So much of a line that is too long is kept, to say which one it was.
const BEGINNING: usize = 1024;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// What a line number holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line with something in it, without its end.
    Text(u64, Bytes),
    /// With its beginning.
    TooLong(u64, Bytes),
    /// The upload broke off, why.
    Broken(u64, String),
    /// The service shuts down: the lines from here on were not read.
    Stopped(u64),
    /// Nothing more came for too long: the lines from here on were not read.
    Stalled(u64),
    /// Long lines take too much memory already: the lines from here on were not read.
    NoMemory(u64),
}

impl Line {
    pub(super) fn number(&self) -> u64 {
        match self {
            Self::Text(number, _)
            | Self::TooLong(number, _)
            | Self::Broken(number, _)
            | Self::Stopped(number)
            | Self::Stalled(number)
            | Self::NoMemory(number) => *number,
        }
    }
}

struct Reader<S> {
    chunks: S,
    max_bytes: usize,
    stall: Duration,
    share: Load,
    shutdown: CancellationToken,
    buffer: BytesMut,
    /// Bytes of the buffer known to hold no end of line.
    searched: usize,
    /// Inside a line that is too long.
    skipping: bool,
    number: u64,
    ended: bool,
}

/// Splits chunks into lines; what a long one takes goes into `share`. Empty lines count but are not told.
pub(super) fn lines<S>(
    chunks: S,
    max_bytes: usize,
    stall: Duration,
    share: impl Into<Load>,
    shutdown: CancellationToken,
) -> impl Stream<Item = Line>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let reader = Reader {
        chunks,
        max_bytes,
        stall,
        share: share.into(),
        shutdown,
        buffer: BytesMut::new(),
        searched: 0,
        skipping: false,
        number: 1,
        ended: false,
    };
    futures::stream::unfold(reader, |mut reader| async move { Some((reader.next().await?, reader)) })
}

impl<S: Stream<Item = Result<Bytes, PayloadError>> + Unpin> Reader<S> {
    async fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.buffered() {
                return Some(line);
            }
            if self.ended {
                return self.last();
            }
            // Lines that have arrived are taken first; only waiting for more is cut short.
            let chunk = tokio::select! {
                biased;
                chunk = tokio::time::timeout(self.stall, self.chunks.next()) => match chunk {
                    Ok(chunk) => chunk,
                    Err(_elapsed) => {
                        self.end();
                        return Some(Line::Stalled(self.number));
                    }
                },
                () = self.shutdown.cancelled() => {
                    self.end();
                    return Some(Line::Stopped(self.number));
                }
            };
            match chunk {
                Some(Ok(chunk)) => {
                    self.buffer.extend_from_slice(&chunk);
                }
                Some(Err(error)) => {
                    self.end();
                    return Some(Line::Broken(self.number, error.to_string()));
                }
                None => self.ended = true,
            }
        }
    }

    fn end(&mut self) {
        self.ended = true;
        self.buffer.clear();
        self.searched = 0;
        self.skipping = false;
    }

    /// The next line that lies in the buffer as a whole, or is too long already.
    fn buffered(&mut self) -> Option<Line> {
        loop {
            let Some(at) = self.buffer[self.searched..].iter().position(|byte| *byte == b'\n') else {
                self.searched = self.buffer.len();
                if self.skipping {
                    self.buffer.clear();
                    self.searched = 0;
                } else if self.buffer.len() > self.max_bytes {
                    self.skipping = true;
                    let beginning = beginning(&self.buffer);
                    self.buffer.clear();
                    self.searched = 0;
                    return Some(Line::TooLong(self.number, beginning));
                }
                // What lies here now is the beginning of a line.
                if !self.share.set(self.buffer.len().saturating_sub(UNCOUNTED)) {
                    self.end();
                    return Some(Line::NoMemory(self.number));
                }
                return None;
            };
            let line = self.buffer.split_to(self.searched + at).freeze();
            self.buffer.advance(1);
            self.searched = 0;
            let number = self.number;
            self.number += 1;
            if std::mem::take(&mut self.skipping) {
                continue;
            }
            if let Some(line) = self.report(number, &line) {
                return Some(line);
            }
        }
    }

    /// A last line without an end.
    fn last(&mut self) -> Option<Line> {
        let line = self.buffer.split().freeze();
        self.searched = 0;
        if std::mem::take(&mut self.skipping) { None } else { self.report(self.number, &line) }
    }

    fn report(&self, number: u64, line: &Bytes) -> Option<Line> {
        let line = &if number == 1 { without_mark(line.clone()) } else { line.clone() };
        let line = line.strip_suffix(b"\r").map_or_else(|| line.clone(), |text| line.slice_ref(text));
        if line.iter().all(u8::is_ascii_whitespace) {
            None
        } else if line.len() > self.max_bytes {
            Some(Line::TooLong(number, beginning(&line)))
        } else {
            Some(Line::Text(number, line))
        }
    }
}

/// The bytes without the byte order mark that some editors put before a file's first character.
pub(super) fn without_mark(mut bytes: Bytes) -> Bytes {
    if bytes.starts_with(BYTE_ORDER_MARK) {
        bytes.advance(BYTE_ORDER_MARK.len());
    }
    bytes
}

/// What is kept of a line that is too long.
fn beginning(line: &[u8]) -> Bytes {
    let line = line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line);
    Bytes::copy_from_slice(&line[..line.len().min(BEGINNING)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use toolkit::memory::{Memory, Share};

    fn share() -> Share {
        Memory::new(usize::MAX).empty()
    }

    const STALL: Duration = Duration::from_secs(10);

    async fn split(chunks: &[&'static str], max_bytes: usize) -> Vec<Line> {
        let chunks: Vec<_> = chunks.iter().map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))).collect();
        lines(futures::stream::iter(chunks), max_bytes, STALL, share(), CancellationToken::new())
            .collect()
            .await
    }

    fn text(number: u64, text: &'static str) -> Line {
        Line::Text(number, Bytes::from_static(text.as_bytes()))
    }

    fn too_long(number: u64, beginning: &'static str) -> Line {
        Line::TooLong(number, Bytes::from_static(beginning.as_bytes()))
    }

    #[tokio::test]
    async fn lines_are_the_same_however_they_are_cut() {
        let expected = vec![text(1, "ab"), text(3, "c"), text(4, "def")];
        assert_eq!(split(&["ab\n\nc\r\ndef"], 10).await, expected);
        assert_eq!(split(&["a", "b", "\n", "\n", "c", "\r", "\n", "d", "e", "f"], 10).await, expected);
        assert_eq!(split(&["ab\n  \nc\ndef\n\n"], 10).await, expected);
    }

    #[tokio::test]
    async fn a_byte_order_mark_before_the_first_line_is_no_part_of_it() {
        assert_eq!(split(&["\u{feff}a\n\u{feff}b"], 10).await, vec![text(1, "a"), text(2, "\u{feff}b")]);
        assert_eq!(split(&["\u{feff}\nb"], 10).await, vec![text(2, "b")]);
    }

    #[tokio::test]
    async fn a_long_line_is_told_once_and_the_next_ones_are_read() {
        let expected = |beginning| vec![text(1, "a"), too_long(2, beginning), text(3, "b")];
        assert_eq!(split(&["a\n", "123", "456", "789", "\nb"], 4).await, expected("123456"));
        assert_eq!(split(&["a\n123456789\nb"], 4).await, expected("123456789"));
        assert_eq!(split(&["12345"], 4).await, vec![too_long(1, "12345")]);
        let long: &'static str = "x".repeat(10_000).leak();
        assert_eq!(split(&[long], 4).await, vec![too_long(1, &long[..BEGINNING])]);
    }

    #[tokio::test]
    async fn a_broken_upload_says_so_at_the_end() {
        let chunks = vec![Ok(Bytes::from_static(b"a\nb")), Err(PayloadError::EncodingCorrupted)];
        let told: Vec<_> =
            lines(futures::stream::iter(chunks), 9, STALL, share(), CancellationToken::new()).collect().await;
        assert!(matches!(told[..], [Line::Text(1, _), Line::Broken(2, _)]), "{told:?}");
    }

    #[tokio::test]
    async fn at_shut_down_what_has_arrived_is_read_and_no_more() {
        let shutdown = CancellationToken::new();
        shutdown.cancel();
        let chunks =
            futures::stream::iter([Ok(Bytes::from_static(b"a\nb"))]).chain(futures::stream::pending());
        let told: Vec<_> = lines(Box::pin(chunks), 9, STALL, share(), shutdown).collect().await;
        assert_eq!(told, vec![text(1, "a"), Line::Stopped(2)]);
    }

    #[tokio::test]
    async fn an_upload_that_stands_still_says_from_where_on_nothing_was_read() {
        let chunks =
            futures::stream::iter([Ok(Bytes::from_static(b"a\nb\nc"))]).chain(futures::stream::pending());
        let told: Vec<_> =
            lines(Box::pin(chunks), 9, Duration::from_millis(50), share(), CancellationToken::new())
                .collect()
                .await;
        assert_eq!(told, vec![text(1, "a"), text(2, "b"), Line::Stalled(3)]);
    }

    #[tokio::test]
    async fn long_lines_are_read_only_while_there_is_memory_for_them() {
        let memory = Memory::new(100_000);
        let others = memory.take(50_000).unwrap();
        let chunks = || futures::stream::iter((0..20).map(|_| Ok(Bytes::from(vec![b'x'; 10_000]))));
        let all =
            |share| lines(chunks(), 1_000_000, STALL, share, CancellationToken::new()).collect::<Vec<_>>();
        assert_eq!(all(memory.empty()).await, vec![Line::NoMemory(1)]);
        drop(others);
        assert!(matches!(all(Memory::new(1_000_000).empty()).await[..], [Line::Text(1, _)]));
        assert_eq!(memory.taken(), 0);
    }

    #[tokio::test]
    async fn whole_lines_cost_nothing_however_large_the_chunk_they_come_in() {
        let memory = Memory::new(60_000);
        let _others = memory.take(50_000).unwrap();
        let chunk = Bytes::from("a short line\n".repeat(20_000));
        let chunks = futures::stream::iter([Ok(chunk)]);
        let told: Vec<_> =
            lines(chunks, 100, STALL, memory.empty(), CancellationToken::new()).collect().await;
        assert!(told.len() == 20_000 && told.iter().all(|line| matches!(line, Line::Text(..))));
    }
}
