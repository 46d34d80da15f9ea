//! A queue of bytes between the task that answers an upload and the response its client reads: many clients send all they
//! have before they read anything, and answers that nobody reads must not stop the reading of what is sent.
//!
//! Promises: frames come out whole and in order; a few hundred KiB of them lie in memory, the rest in a file without a
//! name, up to a limit of its own and one of all files, beyond which the writer waits; a writer that waits longer than the limit says gives up; nothing is
//! left, in memory or on disk, once either side is gone.

mod discard;
mod reader;
mod ring;
#[cfg(test)]
mod tests;
mod writer;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use toolkit::memory::{Memory, Share};

pub(crate) use discard::discard;
pub(crate) use reader::Reader;
use ring::Ring;
pub(crate) use writer::Writer;

/// What may lie in memory at the front before the file is used.
const MEMORY: usize = 128 * 1024;
/// How much goes to the file at once, at least: few and large writes. Up to that it lies in memory too.
const BLOCK: usize = 128 * 1024;
/// How many times longer than in the middle of an upload a client may take nothing at its end.
const LAST_STALLS: u32 = 5;

/// How much a spool takes.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Where the file lies; none: where the system has its temporary files.
    pub(crate) dir: Option<PathBuf>,
    pub(crate) max_bytes: usize,
    /// What the files of all spools share.
    pub(crate) disk: Memory,
    /// How long what was written may lie there without any of it being taken, where that matters to the writer.
    pub(crate) stall: Duration,
}

impl Limits {
    /// The same once everything is written: then only this upload waits, and its client may work on what it took.
    pub(crate) fn last_stall(&self) -> Duration {
        self.stall * LAST_STALLS
    }
}

/// Why nothing more can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nobody reads any more.
    Gone,
    /// Nobody has taken anything for too long.
    Stalled,
}

/// The writer ended without saying how, or the file could not be read.
#[derive(Debug, thiserror::Error)]
#[error("the answers broke off because of a defect or a broken disk")]
pub(crate) struct Broken;

impl From<Broken> for std::io::Error {
    fn from(broken: Broken) -> Self {
        Self::other(broken)
    }
}

struct Shared<E> {
    state: Mutex<State<E>>,
    /// Something was written or ended: for the reader. Something was taken: for the writer. The reader is gone.
    written: Notify,
    taken: Notify,
    gone: Notify,
    limits: Limits,
}

/// The order is: front, file, back.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, and most of them can hold together"
)]
struct State<E> {
    front: VecDeque<Bytes>,
    front_bytes: usize,
    ring: Option<Ring>,
    /// How long the file is, or is about to be.
    disk: Share,
    back: Vec<Bytes>,
    back_bytes: usize,
    /// Everything written and not taken.
    bytes: usize,
    /// A block is on its way to the file.
    is_storing: bool,
    /// The file cannot be written, or may not grow: from then on there is memory only, beside what it holds.
    has_no_file: bool,
    end: Option<Result<(), E>>,
    has_ended: bool,
    is_gone: bool,
    /// Since when what lies there waits to be taken.
    waits_since: Instant,
}

/// An empty spool.
pub(crate) fn spool<E: From<Broken>>(limits: Limits) -> (Writer<E>, Reader<E>) {
    let state = State {
        front: VecDeque::new(),
        front_bytes: 0,
        ring: None,
        disk: limits.disk.empty(),
        back: Vec::new(),
        back_bytes: 0,
        bytes: 0,
        is_storing: false,
        has_no_file: false,
        end: None,
        has_ended: false,
        is_gone: false,
        waits_since: Instant::now(),
    };
    let shared = Arc::new(Shared {
        state: Mutex::new(state),
        written: Notify::new(),
        taken: Notify::new(),
        gone: Notify::new(),
        limits,
    });
    (Writer::new(Arc::clone(&shared)), Reader::new(shared))
}

impl<E> Shared<E> {
    fn lock(&self) -> MutexGuard<'_, State<E>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until something is taken; fails if nothing was for longer than `patience`. Nobody had to take anything before
    /// `since`, when the writer began to wait for it.
    async fn until_taken(&self, since: Instant, patience: Duration) -> Result<(), Ended> {
        let deadline = || self.lock().waits_since.max(since) + patience;
        if tokio::time::timeout_at(deadline(), self.taken.notified()).await.is_err()
            && deadline() <= Instant::now()
        {
            return Err(Ended::Stalled);
        }
        Ok(())
    }
}

impl<E> State<E> {
    fn has_room(&self, len: usize, limits: &Limits) -> bool {
        let max = if self.has_no_file { MEMORY } else { limits.max_bytes };
        self.bytes == 0 || self.bytes + len <= max
    }

    fn push(&mut self, frame: Bytes) {
        if self.bytes == 0 {
            self.waits_since = Instant::now();
        }
        self.bytes += frame.len();
        let behind = self.is_storing
            || !self.back.is_empty()
            || self.ring.as_ref().is_some_and(|ring| !ring.is_empty());
        if behind || self.front_bytes > 0 && self.front_bytes + frame.len() > MEMORY {
            self.back_bytes += frame.len();
            self.back.push(frame);
        } else {
            self.front_bytes += frame.len();
            self.front.push_back(frame);
        }
    }

    fn took(&mut self, frame: Bytes) -> Bytes {
        self.bytes -= frame.len();
        self.waits_since = Instant::now();
        frame
    }

    fn take_back(&mut self) -> Bytes {
        self.back_bytes = 0;
        let mut frames = std::mem::take(&mut self.back);
        if frames.len() == 1 { frames.remove(0) } else { frames.concat().into() }
    }

    /// Lets go of everything that was not taken.
    fn clear(&mut self) {
        (self.front, self.back, self.ring) = (VecDeque::new(), Vec::new(), None);
        self.disk.set(0);
        (self.front_bytes, self.back_bytes, self.bytes) = (0, 0, 0);
    }
}
